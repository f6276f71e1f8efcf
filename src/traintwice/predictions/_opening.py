"""Each input as something that DuckDB can scan: a Parquet file, or a temporary table."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from traintwice._formatting import listed
from traintwice.errors import BadInput
from traintwice.predictions._array_files import from_arrays
from traintwice.predictions._bank import BankReplica
from traintwice.predictions._file_formats import READERS, check_names, standard_input, typed_by_cells, unpacked
from traintwice.predictions._inputs import File, Shards, format_of, format_of_name
from traintwice.predictions._layout import check_options, recognise
from traintwice.predictions._reading import Reading
from traintwice.predictions._remote import RemoteFile, State
from traintwice.predictions._session import Session, identifier, literal
from traintwice.predictions._source import Source, Table, family, refuse_repeated, registered, stamp_of
from traintwice.predictions._tables import DatabaseTable, LakeTable, stream


def open_source(session: Session, item: Any, number: int, named: frozenset[str] = frozenset()) -> Source:
    """Make one input scannable, as table ``source<number>`` where it is not a file; the named columns stay columns of their own."""
    table = Table(session, f"source{number}", named)
    if isinstance(item, TableWithArrays):
        return _with_arrays(table, open_source(session, item.table, number, named), item.columns)
    if isinstance(item, Shards):
        return _of_shards(table, item)
    if isinstance(item, File):
        return _of_file(table, item)
    if isinstance(item, BankReplica):
        return from_arrays(table, item.table(), str(item))
    if isinstance(item, LakeTable | DatabaseTable):
        return table.on_demand(partial(stream, table, str(item), item.open(named)), str(item))
    name = f"table {number + 1}"
    if isinstance(item, Mapping):
        return from_arrays(table, item, name)
    if hasattr(item, "collect_schema") and hasattr(item, "collect"):
        item = item.collect()  # the columns of a lazy Polars frame
    if hasattr(item, "reset_index") and (keys := [n for n in item.index.names if n is not None and n not in item.columns]):
        item = item.reset_index(level=keys)  # named index columns of pandas
    names = getattr(item, "column_names", getattr(item, "columns", None))
    if names is None and hasattr(item, "shape"):
        return from_arrays(table, {"": item}, name)
    if names is None and not hasattr(item, "__arrow_c_stream__"):
        raise BadInput(
            f"{name}: got {type(item).__name__}, expected a path, a pandas, Polars or Arrow table, a mapping from names to "
            "arrays, or an array"
        )
    refuse_repeated([] if names is None else [str(n) for n in names], name)
    with registered(table, item, name) as relation:
        return table.staged(relation, name)


@dataclass(frozen=True)
class TableWithArrays:
    """A table in memory, and arrays with one entry for each of its rows."""

    table: Any
    columns: Mapping[str, Any]


def _with_arrays(table: Table, source: Source, arrays: Mapping[str, Any]) -> Source:
    session, doing = table.session, f"{source.name}: reading"
    added = from_arrays(Table(session, f"arrays_{table.name}", table.named), arrays, source.name)
    ((rows, entries),) = session.rows(
        f"SELECT (SELECT count(*) FROM {source.relation}), (SELECT count(*) FROM {added.relation})", doing=doing
    )
    if rows != entries:
        raise BadInput(f"{source.name}: the table has {rows:,} rows and {next(iter(arrays))!r} {entries:,} entries")
    refuse_repeated([*source.columns, *added.columns], source.name)
    whole = f"whole_{table.name}"
    sql = f"SELECT * FROM {source.relation} POSITIONAL JOIN {added.relation}"
    session.rows(f"CREATE TABLE {whole} AS {sql}", doing=doing)
    return replace(source, relation=whole, columns={**source.columns, **added.columns})


def _of_file(table: Table, item: File, shown: str = "") -> Source:
    if isinstance(item, RemoteFile):
        return _of_remote_file(table, item)
    session, shown = table.session, shown or str(item)
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


def _of_remote_file(table: Table, file: RemoteFile) -> Source:
    """Parquet by ranges and columns, where the server can; other files are copied first."""
    before, name = file.state(), str(file)
    known = format_of_name(file)
    if before.size and before.ranges and (known == "parquet" or (known is None and file.bytes(0, 4) == b"PAR1")):
        return _of_remote_parquet(table, file, before)
    folder = Path(tempfile.mkdtemp(dir=table.session.folder))
    copy = folder / (file.name or "file")
    file.download(copy)
    source = _of_file(table, copy, name)
    if source.relation != table.name:
        return source  # Parquet, which is scanned where it is
    copy.unlink()
    return replace(source, path=None)


def _of_remote_parquet(table: Table, file: RemoteFile, before: State) -> Source:
    from traintwice.predictions._remote_scan import scan_of

    session, name = table.session, str(file)

    @contextmanager
    def scan(columns: Sequence[str] | None) -> Iterator[str]:
        with scan_of(session, file, before.size or 0, table.name) as (relation, schema):
            if columns is None:
                check_names(session, schema, name)
            yield relation
        if columns is not None:
            file.check_unchanged(before)

    return table.on_demand(scan, name)


def _of_shards(table: Table, shards: Shards) -> Source:
    """The rows of all shards in one table, with the keys of their folders as columns of text."""
    parts = [_of_file(Table(table.session, f"{table.name}_{n}", table.named), path) for n, path in enumerate(shards.files)]
    first, cells_of = parts[0], []
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
        cells_of.append(cells)
    session, doing = table.session, f"{shards.name}: reading"

    def select(at: int, columns: Collection[str]) -> str:
        cells = ", ".join(f"{cells_of[at][name]} AS {identifier('c_' + name)}" for name in columns)
        return f"SELECT {cells} FROM {parts[at].relation}"

    shape = " UNION ALL BY NAME ".join(select(at, cells) for at, cells in enumerate(cells_of))
    session.rows(f"CREATE TABLE {table.name} AS SELECT * FROM ({shape}) LIMIT 0", doing=doing)

    def fill(columns: Collection[str]) -> Source:
        for at, part in enumerate(parts):
            if part.fill is not None:
                part.fill([name for name in columns if name in part.columns])
            session.rows(f"INSERT INTO {table.name} BY NAME {select(at, columns)}", doing=doing)
            if part.relation == f"{table.name}_{at}":
                session.rows(f"DROP TABLE {part.relation}", doing=doing)
        return source

    note = " · ".join(f"{part.name}: {part.note}" for part in parts if part.note)
    source = replace(table.source(shards.name, first.packed), parts=tuple(parts), class_names=first.class_names, note=note)
    if any(part.fill is not None for part in parts) and not first.untyped:
        return replace(source, fill=fill)
    fill(cells_of[0])
    if not first.untyped:
        return source
    return typed_by_cells(table, source)


def filled(sources: Sequence[Source], reading: Reading) -> list[Source]:
    """The sources with the rows of the columns that are needed; see `Source.fill`."""
    layouts = [recognise(source, reading) for source in sources]
    check_options(sources, reading)
    found = []
    for source, layout in zip(sources, layouts, strict=True):
        if source.fill is not None:
            one = (layout.label, layout.weight, layout.draws, layout.time)
            several = (*layout.id, *layout.columns, *layout.by, *layout.show, *layout.cluster)
            needed = dict.fromkeys(source.computed.get(c, ("", c, ""))[1] for c in (*several, *one) if c is not None)
            whole = source.fill(needed)
            computed = {name: source.columns[name] for name in source.computed}
            source = replace(source, columns={**source.columns, **whole.columns, **computed}, fill=None)
        found.append(source)
    return found
