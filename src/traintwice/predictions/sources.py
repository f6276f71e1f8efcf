"""One input of any kind as something DuckDB can scan: a view on a Parquet file, or a temporary table."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions.array_files import open_arrays
from traintwice.predictions.arrays import as_columns
from traintwice.predictions.formats import format_of
from traintwice.predictions.session import Session
from traintwice.predictions.sql import identifier, literal
from traintwice.predictions.text_files import read_header, reader


@dataclass(frozen=True)
class Source:
    """One replica's file or table.

    Attributes:
        name: as shown to the user.
        relation: what stands after FROM.
        row: the SQL expression of the row number, counting from 0.
        columns: column name to DuckDB type.
        untyped: every cell is text (CSV, TSV), so types follow from what the cells hold.
        class_names: the names of the K classes, where the file says them.
        path, stamp: the file, and its size and time of change when it was opened; None for what is held in memory.
    """

    name: str
    relation: str
    row: str
    columns: Mapping[str, str]
    untyped: bool = False
    class_names: tuple[str, ...] | None = None
    path: Path | None = None
    stamp: tuple[int, ...] = field(default=())

    def check_unchanged(self) -> None:
        """Raise `BadInput` where the file is no longer the one that was opened."""
        if self.path is not None and _stamp(self.path) != self.stamp:
            raise BadInput(f"{self.name} was replaced or changed while it was read; run again when it is no longer written to")


def open_source(session: Session, item: Any, number: int) -> Source:
    """Make one input scannable, under the name ``source<number>`` where a table is needed."""
    if isinstance(item, Path):
        return _open_file(session, item, number)
    name = f"table {number + 1}"
    if isinstance(item, Mapping):
        return _from_arrays(session, dict(item), name, number)
    if hasattr(item, "collect_schema") and hasattr(item, "collect"):
        item = item.collect()  # a lazy frame of Polars knows its columns once it is there
    if not hasattr(item, "columns") and not hasattr(item, "column_names") and hasattr(item, "shape"):
        return _from_arrays(session, {"": item}, name, number)
    names = getattr(item, "columns", None) if not hasattr(item, "column_names") else item.column_names
    if names is None and not hasattr(item, "__arrow_c_stream__"):
        raise BadInput(
            f"{name}: got {type(item).__name__}, expected a path, a pandas, Polars or Arrow table, a mapping from names to "
            "arrays, or an array"
        )
    if names is not None:
        _refuse_duplicates([str(n) for n in names], name)
    return _stage_object(session, item, name, number)


def _open_file(session: Session, path: Path, number: int) -> Source:
    name, kind, stamp = str(path), format_of(path), _stamp(path)
    exact = glob.escape(name)
    if kind == "parquet":
        inside = session.rows(
            f"SELECT name, num_children FROM parquet_schema({literal(exact)})", doing=f"{name}: reading Parquet"
        )
        names = _top_level(inside)
        _refuse_duplicates(names, name)
        if not any(n.lower() == "file_row_number" for n in names):
            relation = f"read_parquet({literal(exact)}, file_row_number = true, hive_partitioning = false)"
            columns = _describe(session, relation, name)
            del columns["file_row_number"]
            return Source(name, relation, "file_row_number", columns, path=path, stamp=stamp)
        source = _stage(session, f"read_parquet({literal(exact)}, hive_partitioning = false)", name, number)
    elif kind in ("csv", "tsv"):
        header, delimiter = read_header(path, kind)
        _refuse_duplicates(header, name)
        source = _stage(session, reader(exact, header, delimiter), name, number, untyped=True)
    elif kind == "jsonl":
        relation = (
            f"read_json({literal(exact)}, format = 'newline_delimited', records = true, sample_size = -1, "
            "maximum_object_size = 64000000, dateformat = 'never', timestampformat = 'never', hive_partitioning = false)"
        )
        source = _stage(session, relation, name, number)
    else:
        with tempfile.TemporaryDirectory(dir=session.folder) as unpacked:
            source = _from_arrays(session, open_arrays(path, str(kind), Path(unpacked)), name, number)
    if _stamp(path) != stamp:
        raise BadInput(f"{name} was replaced or changed while it was read; run again when it is no longer written to")
    return source


def _from_arrays(session: Session, arrays: Mapping[str, Any], name: str, number: int) -> Source:
    """Arrays go into their table block after block, so that memory does not grow with rows."""
    columns = as_columns(arrays, name)
    if not columns.names or not columns.length:
        raise BadInput(f"{name} holds no rows")
    _refuse_duplicates(columns.names, name)
    texts = columns.texts  # NumPy's text would be an enumeration of what the first block holds
    select = ", ".join(f"CAST({q} AS VARCHAR) AS {q}" if n in texts else q for n in columns.names for q in [identifier(n)])
    table = f"source{number}"
    for at, block in enumerate(columns.blocks()):
        with _registered(session, block, name, number) as relation:
            into = f"INSERT INTO {table}" if at else f"CREATE TABLE {table} AS"
            session.rows(f"{into} SELECT {select} FROM {relation}", doing=f"{name}: reading")
    return Source(name, table, "rowid", _describe(session, table, name), class_names=columns.class_names)


def _stage_object(session: Session, item: Any, name: str, number: int) -> Source:
    with _registered(session, item, name, number) as relation:
        return _stage(session, relation, name, number)


@contextmanager
def _registered(session: Session, item: Any, name: str, number: int) -> Iterator[str]:
    """A Python object under a name that DuckDB knows."""
    import duckdb

    relation = f"object{number}"
    with session.explained(f"{name}: reading a {type(item).__name__}"):
        try:
            session.connection.register(relation, item)
        except duckdb.Error:  # a pandas table that is a view of every second row, or of all in reverse, and no copy
            if not hasattr(item, "copy"):
                raise
            session.connection.register(relation, item.copy())
    try:
        yield relation
    finally:
        session.connection.unregister(relation)


def _stage(
    session: Session,
    relation: str,
    name: str,
    number: int,
    *,
    untyped: bool = False,
) -> Source:
    """Copy into a temporary table, which spills under the memory limit and can be read again in any range of rows."""
    table = f"source{number}"
    session.rows(f"CREATE TABLE {table} AS SELECT * FROM {relation}", doing=f"{name}: reading")
    return Source(name, table, "rowid", _describe(session, table, name), untyped)


def _describe(session: Session, relation: str, name: str) -> dict[str, str]:
    described = session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{name}: reading the columns")
    return {row[0]: row[1] for row in described}


def _top_level(inside: Iterable[tuple[str, int | None]]) -> list[str]:
    """Names of the columns of a Parquet schema given depth first, root first; nested fields are skipped."""
    names: list[str] = []
    nested = 0
    for name, children in list(inside)[1:]:
        if nested == 0:
            names.append(name)
        else:
            nested -= 1
        nested += children or 0
    return names


def _refuse_duplicates(names: list[str], source: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{source}: {names.count(name)} columns are named {name!r}; rename all but one")
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(name.casefold(), name)
        if before != name:
            raise BadInput(f"{source}: the columns {before!r} and {name!r} differ only in case; rename one")


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from reason
    return (status.st_ino, status.st_size, status.st_mtime_ns)
