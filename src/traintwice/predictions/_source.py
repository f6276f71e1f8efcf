"""One input: the types of its columns, columns that are read as one list or are part of another, and the table it is copied to."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from traintwice._database import Session, identifier, literal
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden

Family = Literal["integer", "number", "text", "boolean", "time", "numbers", "list", "other"]

PROBABILITIES = ("p", "prob", "probs", "proba", "probas", "probability", "probabilities", "score", "scores", "y_prob", "y_score")
LOGITS = ("logit", "logits")

NAMED = re.compile(r'STRUCT\("?(\w+)"? (\w+), "?(\w+)"? (\w+)\)\[\]')
"""The type of a list of pairs of a class and its probability, as Hugging Face and BigQuery write them: sorted by probability."""

WIDE = 100
"""More columns of classes than this are read as one list: DuckDB's time for a query grows faster than its columns."""

VECTOR = re.compile(r'STRUCT\("?type"? \w+, "?size"? \w+, "?indices"? \w+\[\], "?values"? \w+\[\]\)')
"""The type of a vector of Spark."""

NO_NUMBER = ("NA", "na", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", "none", "\\N", "-", "--", "?", ".")
"""How R, Excel, pandas, SAS and databases write a missing number."""
PRESENT = f"{{}} NOT IN ({', '.join(map(literal, NO_NUMBER))})"
"""Whether a cell does not say that a number is missing."""

INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")}

Scan: TypeAlias = Callable[[Sequence[str] | None], AbstractContextManager[str]]
"""From the columns that are needed, None for all columns and no rows, to a FROM item that has them."""


@dataclass(frozen=True)
class Source:
    """One replica's file or table.

    Attributes:
        name: as shown to the user.
        relation: what follows FROM.
        row: the SQL of the row number, which counts from 0.
        columns: column name to DuckDB type.
        prefix: comes before the names of columns in ``relation``, so that no column of a table of ours is called rowid.
        untyped: every cell is text (CSV, TSV), so types follow from the contents of the cells.
        class_names: the names of the K classes, where the file has them.
        path, stamp: the file, and its size and time of change when it was opened; None for what is held in memory.
        computed: name of a column that is part of another, to the SQL before it, that other column, and the SQL after it.
        named: name of a column of pairs, which are read as a list in the order of the names of the classes, to the SQL of these names.
        packed: name of a column of lists to the columns of the file that it was made of.
        parts: the shards of a model in several files.
        fill: for rows that are elsewhere: copies those of some columns into ``relation``, which is empty until then.
        note: what the reader of a report should know about the file; empty in general.
        table: name of ``relation`` in the FROM clause, which comes before the names of columns; empty where there is only one.
    """

    name: str
    relation: str
    row: str
    columns: Mapping[str, str]
    prefix: str = ""
    untyped: bool = False
    class_names: tuple[str, ...] | None = None
    path: Path | None = None
    stamp: tuple[int, ...] = ()
    computed: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    packed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: tuple[Source, ...] = ()
    fill: Callable[[Collection[str]], Source] | None = None
    note: str = ""
    table: str = ""

    def cell(self, column: str) -> str:
        """The SQL of a column over ``relation``."""
        before, base, after = self.computed.get(column, ("", column, ""))
        return f"{before}{self.table}{'.' if self.table else ''}{identifier(self.prefix + base)}{after}"

    def number(self, cell: str) -> str:
        """The SQL of a cell as a float64; what cannot be converted becomes NULL, which is only possible in text."""
        return f"{'TRY_CAST' if self.untyped else 'CAST'}({cell} AS DOUBLE)"

    def given(self, column: str) -> str:
        """The SQL of a column, NULL where a number is NaN. (DuckDB answers isnan from a file's statistics, which leave NaN out.)"""
        cell = self.cell(column)
        number = self.number(cell)
        is_number = family(self.columns[column]) == "number"
        return f"CASE WHEN isfinite({number}) OR isinf({number}) THEN {cell} END" if is_number else cell

    def as_class(self, column: str, names: Sequence[str] | None) -> str:
        """The class 0 … K−1 of a label in SQL; NULL where it is none."""
        cell, kind = self.cell(column), family(self.columns[column])
        if kind == "boolean":
            at = [name.lower() for name in names or ("false", "true")]
            codes = [at.index(truth) if truth in at else "NULL" for truth in ("true", "false")]
            return f"CASE CAST({cell} AS BOOLEAN) WHEN true THEN {codes[0]} WHEN false THEN {codes[1]} END"
        if kind == "number":
            value = self.number(cell)
            cell = f"CASE WHEN isfinite({value}) AND {value} = floor({value}) THEN TRY_CAST({value} AS BIGINT) END"
        if names is not None and (kind == "text" or all(name.lstrip("-").isdigit() for name in names)):
            return f"CAST(enum_code(TRY_CAST(CAST({cell} AS VARCHAR) AS class_names)) AS BIGINT)"
        if kind == "number":
            return cell
        whole = self.columns[column] in ("INTEGER", "BIGINT") and not self.untyped
        return cell if whole else f"TRY_CAST({cell} AS BIGINT)"

    def names_in_pairs(self, session: Session, column: str) -> tuple[str, ...] | None:
        """The classes that a column of pairs names, which are the same in all rows; None for other columns, and where no row has pairs."""
        if (names := self.named.get(column)) is None:
            return None
        sql = f"SELECT DISTINCT {names} AS n FROM {self.relation} WHERE n IS NOT NULL LIMIT 2"
        found = [tuple(map(str, row[0])) for row in session.rows(sql, doing=f"{self.name}: reading the classes")]
        if len(found) > 1:
            told = (
                f"{self.name}: rows of {column!r} name different classes{hidden(' (' + ' and '.join(map(listed, found)) + ')')}"
            )
            raise BadInput(f"{told}; every row needs the probabilities of all classes")
        return found[0] if found else None

    def check_unchanged(self) -> None:
        """Raise `BadInput` where the file changed after it was opened."""
        if self.path is not None and stamp_of(self.path) != self.stamp:
            raise BadInput(f"{self.name} was replaced or changed while it was read; run again when nothing writes to it")
        for part in self.parts:
            part.check_unchanged()


def family(type_name: str) -> Family:
    """The family of a type of DuckDB; "numbers" is a list of numbers, and "list" a list of something else.

    >>> family("UBIGINT"), family("DECIMAL(18,3)"), family("DECIMAL(38,0)"), family("ENUM('a', 'b')"), family("STRUCT(a INTEGER)")
    ('integer', 'number', 'integer', 'text', 'other')
    >>> family("FLOAT[10]"), family("DOUBLE[]"), family("VARCHAR[]"), family("FLOAT[][3]")
    ('numbers', 'numbers', 'list', 'list')
    """
    if type_name.endswith("]"):
        return "numbers" if family(re.sub(r"\[\d*\]$", "", type_name)) in ("number", "integer") else "list"
    if type_name in INTEGERS or re.fullmatch(r"DECIMAL\(\d+,0\)", type_name):
        return "integer"
    if type_name in ("FLOAT", "DOUBLE") or type_name.startswith("DECIMAL"):
        return "number"
    if type_name in ("VARCHAR", "UUID") or type_name.startswith("ENUM("):
        return "text"
    if type_name == "BOOLEAN":
        return "boolean"
    return "time" if type_name.startswith(("DATE", "TIME")) else "other"


def by_number(columns: Sequence[str]) -> tuple[str, ...]:
    """Columns in the order of the numbers that they end in, where all have the same text before it; otherwise as they are.

    >>> by_number(["prob_class_10", "prob_class_2"]), by_number(["p_dog", "p_cat"])
    (('prob_class_2', 'prob_class_10'), ('p_dog', 'p_cat'))
    """
    numbers = numbers_at_end(columns)
    return tuple(columns) if numbers is None else tuple(sorted(columns, key=lambda name: numbers[columns.index(name)]))


def numbers_at_end(names: Sequence[str]) -> list[int] | None:
    """The numbers that names end in, where all have the same text before it."""
    ends = [m for name in names if (m := re.fullmatch(r"(.*?)(\d+)", name))]
    return [int(m[2]) for m in ends] if len(ends) == len(names) and len({m[1] for m in ends}) == 1 else None


def numbered(prefix: str, columns: Iterable[str]) -> dict[int, str]:
    """The columns prefix_0, prefix_1 … by number, in numeric order, whatever their order in the file."""
    found = {int(m[1]): c for c in columns if (m := re.fullmatch(re.escape(prefix) + r"_(\d+)", c))}
    return dict(sorted(found.items()))


def described(column: str, kind: str) -> str:
    """The type of a column for messages, and how the parts of a nested one are named."""
    inner = kind.rstrip("]").rstrip("0123456789").removesuffix("[")
    nested = inner.startswith(("STRUCT(", "MAP("))
    how = f" (name its parts, as {column}{'.0' * kind.endswith(']')}{'.FIELD' * nested})" if nested or kind.endswith("]") else ""
    shown = "JSON, values of several kinds" if kind == "JSON" else kind if len(kind) <= 80 else f"{kind[:80]}…"
    return shown + how


def packs(types: Mapping[str, str], names: set[str], apart: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Columns of a usual name, prefix_0 … or prefix_CLASS, that are read as one list because there are many, by prefix.

    >>> wide = {f"p_{k}": "DOUBLE" for k in range(200)}
    >>> [(name, columns[:2], len(columns)) for name, columns in packs(wide, set(wide), frozenset()).items()]
    [('p', ('p_0', 'p_1'), 200)]
    """
    if len(types) <= WIDE:
        return {}
    found: dict[str, list[str]] = {}
    for name in types:
        head, mark, _ = name.partition("_")
        for prefix in (head, *(name[: m.start()] for m in [re.search(r"_[0-9]+$", name)] if m)):
            if mark and (prefix.lower() in (*PROBABILITIES, *LOGITS) or prefix in apart) and prefix not in names:
                found.setdefault(prefix, []).append(name)
                break
    packed = {}
    for prefix, columns in found.items():
        if len(columns) <= WIDE or apart & set(columns):
            continue
        by_class = numbered(prefix, columns)
        if len(by_class) == len(columns) and list(by_class) != list(range(len(columns))):
            continue  # a number is missing, which is reported where columns are recognised
        packed[prefix] = tuple(by_class.values()) if len(by_class) == len(columns) else by_number(columns)
    return packed


def with_vectors(source: Source) -> Source:
    """The source with vectors of Spark, and pairs of a class and its probability, as lists."""
    computed = {name: ("vector_entries(", name, ")") for name, kind in source.columns.items() if VECTOR.fullmatch(kind)}
    named = {}
    for name, kind in source.columns.items():
        fields = (found := NAMED.fullmatch(kind)) and {family(found[n + 1]): found[n] for n in (3, 1)}
        if fields and fields.keys() in ({"text", "number"}, {"integer", "number"}):
            key, number = (f"e[{literal(fields[of])}]" for of in (min(fields.keys() - {"number"}), "number"))
            pairs = f", lambda e: {{'k': CAST({key} AS VARCHAR), 'v': {number}}}))"
            computed[name] = ("list_transform(list_sort(list_transform(", name, f"{pairs}, lambda e: e.v)")
            named[name] = f"list_transform(list_sort(list_transform({source.cell(name)}{pairs}, lambda e: e.k)"
    types = {**source.columns, **dict.fromkeys(computed, "DOUBLE[]")}
    return replace(source, columns=types, computed=computed, named=named)


def with_path(session: Session, source: Source, path: str) -> Source:
    """The source with the column ``a.b.0`` where it has a column ``a``: fields of structs, keys of maps and entries of lists, from 0."""
    starts = [path[:at] for at, mark in enumerate(path) if mark == "."]
    base = next((start for start in reversed(starts) if start in source.columns), None)
    if path in source.columns or base is None:
        return source
    cell, after, doing = replace(source, computed={}).cell(base), "", f"{source.name}: no field {path!r}"

    def kind_there() -> str:
        ((_, kind, *_),) = session.rows(f"DESCRIBE SELECT {cell}{after} AS c FROM {source.relation}", doing=doing)
        return str(kind)

    for step in path[len(base) + 1 :].split("."):
        kind = kind_there()
        is_list = kind.endswith("]")
        if is_list and not step.isdigit():
            raise BadInput(f"{source.name}: {path!r}: {base!r} holds a list there; name an entry by its number, from 0")
        if not is_list and not kind.startswith(("STRUCT(", "MAP(")):
            raise BadInput(f"{source.name}: {path!r}: {base!r} has no field {step!r}; its type there is {kind}")
        after += f"[{int(step) + 1}]" if is_list else f"[{literal(step)}]"
    computed = {**source.computed, path: ("", base, after)}
    return replace(source, columns={**source.columns, path: kind_there()}, computed=computed)


def stamp_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written: its number, size and time of change."""
    try:
        status = path.stat()
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from reason
    return (status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Table:
    """A temporary table of DuckDB, to be filled from one input.

    Attributes:
        named: the columns that options name, which stay columns of their own.
    """

    session: Session
    name: str
    named: frozenset[str]

    def on_demand(self, scan: Scan, source: str) -> Source:
        """An empty table of rows that are elsewhere; `Source.fill` replaces it by a table with the rows of some columns."""
        with scan(None) as relation:
            empty = self.staged(relation, source, rows=False)

        def fill(columns: Collection[str]) -> Source:
            wanted = [part for column in columns for part in empty.packed.get(column, (column,))]
            self.session.rows(f"DROP TABLE {self.name}", doing=f"{source}: reading")
            with scan(wanted) as relation:
                return self.staged(relation, source, only=wanted)

        return replace(empty, fill=fill)

    def staged(
        self, relation: str, source: str, *, text: Collection[str] = (), rows: bool = True, only: Collection[str] | None = None
    ) -> Source:
        """The table, copied from a relation: it spills under the memory limit, and any range of its rows can be read again.

        Args:
            text: the columns, where every cell of the relation is text; it calls them as the table does.
            rows, only: copy the rows too; these columns only.
        """
        doing, prefix, types = f"{source}: reading", "c_" if text else "", dict.fromkeys(text, "VARCHAR")
        if not text:
            described = self.session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{source}: reading the columns")
            types = {row[0]: row[1] for row in described if only is None or row[0] in only}
        lists = packs({n: t for n, t in types.items() if text or family(t) in ("integer", "number")}, set(types), self.named)
        inside = {column for columns in lists.values() for column in columns}
        cells = {name: identifier(prefix + name) for name in types if name not in inside}
        for name, columns in lists.items():
            entries = [identifier(prefix + column) for column in columns]
            cells[name] = f"[{', '.join(f'TRY_CAST({e} AS DOUBLE)' if text else e for e in entries)}]"
        select = ", ".join(f"{cell} AS {identifier('c_' + name)}" for name, cell in cells.items())
        limit = "" if rows else " LIMIT 0"
        self.session.rows(f"CREATE TABLE {self.name} AS SELECT {select} FROM {relation}{limit}", doing=doing)
        if not text:
            return self.source(source, lists)
        return Source(source, self.name, "rowid", {n: types.get(n, "DOUBLE[]") for n in cells}, prefix="c_", packed=lists)

    def source(self, name: str, packed: Mapping[str, tuple[str, ...]] | None = None) -> Source:
        described = self.session.rows(f"DESCRIBE {self.name}", doing=f"{name}: reading the columns")
        types = {row[0].removeprefix("c_"): row[1] for row in described}
        return with_vectors(Source(name, self.name, "rowid", types, prefix="c_", packed=packed or {}))


def refuse_repeated(names: Sequence[str], source: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(name.casefold(), name)
        if before != name:
            raise BadInput(f"{source}: the columns {before!r} and {name!r} differ only in case; rename one")
    if len(seen) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        raise BadInput(f"{source}: {names.count(name)} columns are named {name!r}; rename all but one")


def check_names(session: Session, schema: str, name: str) -> list[str]:
    """The columns of a Parquet file, from its schema."""
    names: list[str] = []
    nested = 0
    for column, children in session.rows(f"SELECT name, num_children FROM {schema}", doing=f"{name}: reading Parquet")[1:]:
        names += [column] if nested == 0 else []  # depth first, the root first
        nested += (children or 0) - (nested > 0)
    refuse_repeated(names, name)
    return names
