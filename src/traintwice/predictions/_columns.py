"""The columns of one input: their types, columns that are read as one list, and columns that are part of another."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from traintwice.errors import BadInput
from traintwice.predictions._session import Session, identifier, literal

Family = Literal["integer", "number", "text", "boolean", "time", "list", "other"]

PROBABILITIES = ("p", "prob", "probs", "proba", "probas", "probability", "probabilities", "score", "scores", "y_prob", "y_score")
LOGITS = ("logit", "logits")

WIDE = 100
"""More columns of classes than this are read as one list: DuckDB's time for a query grows faster than its columns."""

VECTOR = re.compile(r'STRUCT\("?type"? \w+, "?size"? \w+, "?indices"? \w+\[\], "?values"? \w+\[\]\)')
"""The type of a vector of Spark."""

INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")}


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
        packed: name of a column of lists to the columns of the file that it was made of.
        parts: the shards of a model in several files.
        fill: for rows that are elsewhere: copies those of some columns into ``relation``, which is empty until then.
        note: what the reader of a report should know about the file; empty in general.
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
    packed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: tuple[Source, ...] = ()
    fill: Callable[[Collection[str]], Source] | None = None
    note: str = ""

    def cell(self, column: str, table: str = "") -> str:
        """The SQL of a column over ``relation``, which is named ``table`` in the FROM clause."""
        before, base, after = self.computed.get(column, ("", column, ""))
        return f"{before}{table}{'.' if table else ''}{identifier(self.prefix + base)}{after}"

    def check_unchanged(self) -> None:
        """Raise `BadInput` where the file changed after it was opened."""
        if self.path is not None and stamp_of(self.path) != self.stamp:
            raise BadInput(f"{self.name} was replaced or changed while it was read; run again when nothing writes to it")
        for part in self.parts:
            part.check_unchanged()


def family(type_name: str) -> Family:
    """The family of a type of DuckDB.

    >>> family("UBIGINT"), family("DECIMAL(18,3)"), family("ENUM('a', 'b')"), family("FLOAT[10]"), family("STRUCT(a INTEGER)")
    ('integer', 'number', 'text', 'list', 'other')
    """
    if type_name.endswith("]"):
        return "list"
    if type_name in INTEGERS:
        return "integer"
    if type_name in ("FLOAT", "DOUBLE") or type_name.startswith("DECIMAL"):
        return "number"
    if type_name in ("VARCHAR", "UUID") or type_name.startswith("ENUM("):
        return "text"
    if type_name == "BOOLEAN":
        return "boolean"
    return "time" if type_name.startswith(("DATE", "TIME")) else "other"


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
    wide = {prefix: columns for prefix, columns in found.items() if len(columns) > WIDE and not apart & set(columns)}
    packed = {}
    for prefix, columns in wide.items():
        numbered = {int(m[1]): c for c in columns if (m := re.fullmatch(re.escape(prefix) + r"_([0-9]+)", c))}
        if len(numbered) == len(columns) and sorted(numbered) != list(range(len(columns))):
            continue  # a number is missing, which is reported where columns are recognised
        packed[prefix] = tuple(numbered[k] for k in sorted(numbered)) if len(numbered) == len(columns) else tuple(columns)
    return packed


def with_vectors(source: Source) -> Source:
    """The source with vectors of Spark as lists."""
    vectors = [name for name, kind in source.columns.items() if VECTOR.fullmatch(kind)]
    types = {name: "DOUBLE[]" if name in vectors else kind for name, kind in source.columns.items()}
    return replace(source, columns=types, computed={name: ("vector_entries(", name, ")") for name in vectors})


def with_path(session: Session, source: Source, path: str) -> Source:
    """The source with the column ``a.b.0`` where it has a column ``a``: fields of structs, keys of maps and entries of lists, from 0."""
    starts = [path[:at] for at, mark in enumerate(path) if mark == "."]
    base = next((start for start in reversed(starts) if start in source.columns), None)
    if path in source.columns or base is None:
        return source
    steps, after = path[len(base) + 1 :].split("."), ""
    plain = replace(source, computed={})
    for step in steps:
        sql = f"SELECT {plain.cell(base)}{after} AS c FROM {source.relation}"
        ((_, kind, *_),) = session.rows(f"DESCRIBE {sql}", doing=f"{source.name}: reading {base!r}")
        is_list = kind.endswith("]")
        if is_list and not step.isdigit():
            raise BadInput(f"{source.name}: {path!r}: {base!r} holds a list there; name an entry by its number, from 0")
        if not is_list and not kind.startswith(("STRUCT(", "MAP(")):
            raise BadInput(f"{source.name}: {path!r}: {base!r} has no field {step!r}; its type there is {kind}")
        after += f"[{int(step) + 1}]" if is_list else f"[{literal(step)}]"
    ((_, kind, *_),) = session.rows(
        f"DESCRIBE SELECT {plain.cell(base)}{after} AS c FROM {source.relation}", doing=f"{source.name}: no field {path!r}"
    )
    computed = {**source.computed, path: ("", base, after)}
    return replace(source, columns={**source.columns, path: kind}, computed=computed)


def stamp_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written: its number, size and time of change."""
    try:
        status = path.stat()
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from reason
    return (status.st_ino, status.st_size, status.st_mtime_ns)
