"""Each input as something that DuckDB can scan: a Parquet file, or a temporary table.

A new format is one function in `READERS`, or one module that such a function imports.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions._columns import Source, family, packs, stamp_of, with_vectors
from traintwice.predictions._inputs import Shards, format_of
from traintwice.predictions._session import Session, identifier, listed, literal
from traintwice.predictions._text_files import ends_inside_a_line, scan_of_text, standard_input, typed, unpacked


def open_source(session: Session, item: Any, number: int, named: frozenset[str] = frozenset()) -> Source:
    """Make one input scannable; a table gets the name ``source<number>``.

    Args:
        named: the columns that options name, which stay columns of their own.
    Raises:
        BadInput: the input cannot be read, or two of its columns have the same name.
    """
    table = _Table(session, f"source{number}", named)
    if isinstance(item, TableWithArrays):
        return _with_arrays(table, open_source(session, item.table, number, named), item.columns)
    if isinstance(item, Shards):
        return _of_shards(table, item)
    if isinstance(item, Path):
        return _of_file(table, item)
    name = f"table {number + 1}"
    if isinstance(item, Mapping):
        return _from_arrays(table, item, name)
    if hasattr(item, "collect_schema") and hasattr(item, "collect"):
        item = item.collect()  # the columns of a lazy Polars frame
    if hasattr(item, "reset_index") and (keys := [n for n in item.index.names if n is not None and n not in item.columns]):
        item = item.reset_index(level=keys)  # named index columns of pandas
    names = getattr(item, "column_names", getattr(item, "columns", None))
    if names is None and hasattr(item, "shape"):
        return _from_arrays(table, {"": item}, name)
    if names is None and not hasattr(item, "__arrow_c_stream__"):
        raise BadInput(
            f"{name}: got {type(item).__name__}, expected a path, a pandas, Polars or Arrow table, a mapping from names to "
            "arrays, or an array"
        )
    _refuse_repeated([] if names is None else [str(n) for n in names], name)
    with _registered(session, item, name, table.name) as relation:
        return table.staged(relation, name)


@dataclass(frozen=True)
class _Table:
    """A temporary table to be filled from one input."""

    session: Session
    name: str
    named: frozenset[str]

    def staged(self, relation: str, source: str, *, prefix: str = "", untyped: bool = False) -> Source:
        """The table, copied from a relation: it spills under the memory limit, and any range of its rows can be read again.

        Args:
            prefix: comes before the names of columns in the relation.
            untyped: every cell is text.
        """
        doing = f"{source}: reading"
        described = self.session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{source}: reading the columns")
        types = {row[0].removeprefix(prefix): row[1] for row in described}
        lists = packs({n: t for n, t in types.items() if untyped or family(t) in ("integer", "number")}, set(types), self.named)
        inside = {column for columns in lists.values() for column in columns}
        cells = {name: identifier(prefix + name) for name in types if name not in inside}
        for name, columns in lists.items():
            entries = [identifier(prefix + column) for column in columns]
            cells[name] = f"[{', '.join(f'TRY_CAST({e} AS DOUBLE)' if untyped else e for e in entries)}]"
        select = ", ".join(f"{cell} AS {identifier('c_' + name)}" for name, cell in cells.items())
        self.session.rows(f"CREATE TABLE {self.name} AS SELECT {select} FROM {relation}", doing=doing)
        return self.source(source, lists)

    def source(self, name: str, packed: Mapping[str, tuple[str, ...]] | None = None) -> Source:
        """The filled table."""
        described = self.session.rows(f"DESCRIBE {self.name}", doing=f"{name}: reading the columns")
        types = {row[0].removeprefix("c_"): row[1] for row in described}
        return with_vectors(Source(name, self.name, "rowid", types, prefix="c_", packed=packed or {}))


@dataclass(frozen=True)
class TableWithArrays:
    """A table in memory, and arrays with one entry for each of its rows."""

    table: Any
    columns: Mapping[str, Any]


def _with_arrays(table: _Table, source: Source, arrays: Mapping[str, Any]) -> Source:
    session, doing = table.session, f"{source.name}: reading"
    added = _from_arrays(_Table(session, f"arrays_{table.name}", table.named), arrays, source.name)
    ((rows, entries),) = session.rows(
        f"SELECT (SELECT count(*) FROM {source.relation}), (SELECT count(*) FROM {added.relation})", doing=doing
    )
    if rows != entries:
        raise BadInput(f"{source.name}: the table has {rows:,} rows and {next(iter(arrays))!r} {entries:,} entries")
    _refuse_repeated([*source.columns, *added.columns], source.name)
    whole = f"whole_{table.name}"
    sql = f"SELECT * FROM {source.relation} POSITIONAL JOIN {added.relation}"
    session.rows(f"CREATE TABLE {whole} AS {sql}", doing=doing)
    return replace(source, relation=whole, columns={**source.columns, **added.columns})


def _of_file(table: _Table, item: Path) -> Source:
    session, shown = table.session, str(item)
    if shown == "-":
        path, shown = standard_input(session), "standard input"
    else:
        path = item
    stamp = stamp_of(path)
    kind, compression = format_of(path, shown)
    plain = path if compression is None else unpacked(session, path, compression, shown)
    source = replace(READERS[kind](table, plain, shown), path=path, stamp=stamp)
    source.check_unchanged()
    return source


def _of_shards(table: _Table, shards: Shards) -> Source:
    """The rows of all shards in one table, with the keys of their folders as columns of text."""
    parts = [_of_file(_Table(table.session, f"{table.name}_{n}", table.named), path) for n, path in enumerate(shards.files)]
    first, selects = parts[0], []
    for part, partition in zip(parts, shards.partitions, strict=True):
        if set(part.columns) != set(first.columns) or part.class_names != first.class_names:
            more, fewer = (
                listed(sorted(set(a) - set(b))) for a, b in ((part.columns, first.columns), (first.columns, part.columns))
            )
            told = f"{shards.name}: {part.name} and {first.name} have different columns (more: {more or 'none'}; fewer: {fewer or 'none'})"
            raise BadInput(f"{told}; the files of one model have the same columns")
        for name, kind in part.columns.items():
            if not part.untyped and {family(kind), family(first.columns[name])} not in ({family(kind)}, {"integer", "number"}):
                told = f"{shards.name}: {name!r} has type {kind} in {part.name} and {first.columns[name]} in {first.name}"
                raise BadInput(f"{told}; the files of one model have the same types")
            if name in partition:
                raise BadInput(f"{shards.name}: {name!r} is a column of {part.name} and a key of its folder; rename one")
        cells = {name: part.cell(name) for name in first.columns}
        if part.untyped:
            cells = {
                name: cell if part.columns[name].endswith("]") else f"CAST({cell} AS VARCHAR)" for name, cell in cells.items()
            }
        cells |= {key: "NULL::VARCHAR" if value is None else literal(value) for key, value in partition.items()}
        columns = ", ".join(f"{cell} AS {identifier('c_' + name)}" for name, cell in cells.items())
        selects.append(f"SELECT {columns} FROM {part.relation}")
    doing = f"{shards.name}: reading"
    for at, select in enumerate(selects):
        into = f"INSERT INTO {table.name} BY NAME" if at else f"CREATE TABLE {table.name} AS"
        shape = f"SELECT * FROM ({' UNION ALL BY NAME '.join(selects)}) LIMIT 0"
        if not at:
            table.session.rows(f"CREATE TABLE {table.name} AS {shape}", doing=doing)
            into = f"INSERT INTO {table.name} BY NAME"
        table.session.rows(f"{into} {select}", doing=doing)
        if parts[at].relation == f"{table.name}_{at}":
            table.session.rows(f"DROP TABLE {parts[at].relation}", doing=doing)
    note = " · ".join(f"{part.name}: {part.note}" for part in parts if part.note)
    source = replace(table.source(shards.name, first.packed), parts=tuple(parts), class_names=first.class_names, note=note)
    if not first.untyped:
        return source
    texts = {name: source.cell(name) for name, kind in source.columns.items() if kind == "VARCHAR"}
    return replace(source, untyped=True, columns={**source.columns, **typed(table.session, table.name, texts, shards.name)})


def _parquet(table: _Table, path: Path, name: str) -> Source:
    session, file = table.session, literal(glob.escape(str(path)))
    names: list[str] = []
    nested = 0
    for column, children in session.rows(
        f"SELECT name, num_children FROM parquet_schema({file})", doing=f"{name}: reading Parquet"
    )[1:]:  # depth first, the root first
        names += [column] if nested == 0 else []
        nested += (children or 0) - (nested > 0)
    _refuse_repeated(names, name)
    plain = f"read_parquet({file}, hive_partitioning = false)"
    if {"file_row_number", table.name.replace("source", "f")} & {n.lower() for n in names}:  # names that the scan below uses
        return table.staged(plain, name)
    relation = f"read_parquet({file}, file_row_number = true, hive_partitioning = false)"
    described = session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{name}: reading the columns")
    types = {row[0]: row[1] for row in described if row[0] != "file_row_number"}
    if packs({n: t for n, t in types.items() if family(t) in ("integer", "number")}, set(types), table.named):
        return table.staged(plain, name)
    return with_vectors(Source(name, relation, "file_row_number", types))


def _csv(table: _Table, path: Path, name: str, delimiter: str | None = None) -> Source:
    header, relation = scan_of_text(path, name, delimiter)
    _refuse_repeated(header, name)
    source = table.staged(relation, name, prefix="c_", untyped=True)
    texts = {column: source.cell(column) for column, kind in source.columns.items() if kind == "VARCHAR"}
    note = "the last line has no line break: the file may be cut short" if ends_inside_a_line(path) else ""
    return replace(source, untyped=True, columns={**source.columns, **typed(table.session, table.name, texts, name)}, note=note)


def _tsv(table: _Table, path: Path, name: str) -> Source:
    return _csv(table, path, name, "\t")


def _json(table: _Table, path: Path, name: str) -> Source:
    def scan(further: str) -> str:
        return (
            f"read_json({literal(glob.escape(str(path)))}, format = 'newline_delimited', records = true, "
            "maximum_object_size = 64000000, dateformat = 'never', timestampformat = 'never', hive_partitioning = false, "
            f"compression = 'uncompressed', {further})"
        )

    described = table.session.rows(f"DESCRIBE SELECT * FROM {scan('sample_size = -1')}", doing=f"{name}: reading")
    columns = ", ".join(f"{literal(row[0])}: {literal(row[1])}" for row in described)
    return table.staged(scan(f"columns = {{{columns}}}"), name)


def _arrow(table: _Table, path: Path, name: str) -> Source:
    """Arrow IPC files, also under the name Feather."""
    try:
        from pyarrow import feather
    except ImportError as reason:
        raise BadInput(f"{name}: Arrow files need pyarrow: pip install pyarrow; or write Parquet") from reason
    try:
        found = feather.read_table(path)
    except (OSError, ValueError) as reason:
        raise BadInput(f"{name}: cannot be read as Arrow ({reason}); it may be cut short or of another format") from reason
    _refuse_repeated(found.column_names, name)
    with _registered(table.session, found, name, table.name) as relation:
        return table.staged(relation, name)


def _array_file(table: _Table, path: Path, name: str) -> Source:
    from traintwice.predictions._array_files import open_arrays

    with tempfile.TemporaryDirectory(dir=table.session.folder) as members:
        return _from_arrays(table, open_arrays(path, Path(members), name), name)


READERS: dict[str, Callable[[_Table, Path, str], Source]] = {
    "parquet": _parquet,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _json,
    "arrow": _arrow,
    **dict.fromkeys(("npz", "npy", "safetensors"), _array_file),
}
"""Format (see `inputs.ENDINGS`) to the function that reads it."""


def _from_arrays(table: _Table, arrays: Mapping[str, Any], name: str) -> Source:
    """Arrays go into their table block by block, so that memory does not grow with rows."""
    from traintwice.predictions._array_files import as_columns

    session, columns = table.session, as_columns(arrays, name)
    if not columns.names or not columns.length:
        raise BadInput(f"{name} holds no rows")
    lists = packs(dict.fromkeys(columns.names, ""), set(columns.names), table.named)
    _refuse_repeated(columns.names, name)
    for at, block in enumerate(columns.blocks()):
        with _registered(session, block, name, table.name) as relation:
            into = f"INSERT INTO {table.name}" if at else f"CREATE TABLE {table.name} AS"
            session.rows(f"{into} SELECT {columns.select('c_', lists)} FROM {relation}", doing=f"{name}: reading")
    return replace(table.source(name, lists), class_names=columns.class_names)


@dataclass(frozen=True)
class _Stream:
    """The rows of a Polars or Arrow table, or of a relation of DuckDB, by the Arrow C stream."""

    table: Any

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@contextmanager
def _registered(session: Session, item: Any, name: str, table: str) -> Iterator[str]:
    """A Python object under a name that DuckDB knows."""
    relation = f"object_{table}"
    item = _Stream(item) if hasattr(item, "__arrow_c_stream__") and not hasattr(item, "iloc") else item
    with session.explained(f"{name}: reading a {type(item).__name__}"):
        try:
            session.connection.register(relation, item)
        except session.errors:  # a pandas view of every second row, or of all rows in reverse, must be copied
            if not hasattr(item, "copy"):
                raise
            session.connection.register(relation, item.copy())
    try:
        yield relation
    finally:
        session.connection.unregister(relation)


def _refuse_repeated(names: Sequence[str], source: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(name.casefold(), name)
        if before != name:
            raise BadInput(f"{source}: the columns {before!r} and {name!r} differ only in case; rename one")
    if len(seen) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        raise BadInput(f"{source}: {names.count(name)} columns are named {name!r}; rename all but one")
