"""Formats of files: how each becomes something that DuckDB can scan. A new format is one function in `READERS`."""

from __future__ import annotations

import glob
import gzip
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from traintwice._database import Session, identifier, literal
from traintwice._files import checking_room, copy_unpacked, zstd_lines
from traintwice._formatting import listed
from traintwice.errors import BadInput
from traintwice.predictions._array_files import array_file
from traintwice.predictions._inputs import File, Shards, format_of, format_of_name
from traintwice.predictions._remote import RemoteFile, State, scan_of
from traintwice.predictions._source import Source, Table, family, packs, refuse_repeated, registered, stamp_of, with_vectors
from traintwice.predictions._text_files import LINES, csv_file, json_file, typed_by_cells

NO_TYPE = '"NULL"'
"""Type of a column whose cells are all missing."""
ARROW_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""End of a stream of Arrow; each part of it begins with the first four bytes."""


def unpacked(session: Session, path: Path, compression: str, shown: str) -> Path:
    """A plain copy of a compressed file, in the temporary folder of the session; the checksum of gzip is verified."""
    if compression not in ("gzip", "zstd"):
        raise BadInput(f"{shown}: is compressed with {compression}; decompress it, or compress it with gzip or zstd")
    plain = session.folder / f"unpacked-{len(list(session.folder.iterdir()))}"
    if compression == "zstd":
        source = zstd_lines(literal(glob.escape(str(path))), LINES)
        target = f"{literal(str(plain))} (FORMAT csv, delimiter '\x01', quote '', escape '', header false)"
        with checking_room(plain, shown, session.connection.interrupt):
            session.rows(f"COPY (SELECT line FROM {source}) TO {target}", doing=f"{shown}: reading")
        return plain
    try:
        with gzip.open(path, "rb") as packed, plain.open("wb") as copy:
            copy_unpacked(cast(IO[bytes], packed), copy, shown)
    except (OSError, EOFError, zlib.error) as reason:
        raise BadInput(f"{shown}: cannot be read ({reason})") from reason
    return plain


def standard_input(session: Session) -> Path:
    copy = session.folder / "standard-input"
    if copy.exists() or sys.stdin is None or sys.stdin.isatty():
        raise BadInput("standard input (-) holds one file, which a pipe or < FILE gives; pass - once")
    with copy.open("wb") as file:
        copy_unpacked(sys.stdin.buffer, file, "standard input")
    if not copy.stat().st_size:
        raise BadInput("standard input is empty (0 bytes)")
    return copy


def _parquet(table: Table, path: Path, name: str) -> Source:
    session, file = table.session, literal(glob.escape(str(path)))
    names = check_names(session, f"parquet_schema({file})", name)
    plain = f"read_parquet({file}, hive_partitioning = false)"
    if {"file_row_number", table.name.replace("source", "f")} & {n.lower() for n in names}:  # names that the scan below uses
        return table.staged(plain, name)
    relation = f"read_parquet({file}, file_row_number = true, hive_partitioning = false)"
    described = session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{name}: reading the columns")
    types = {row[0]: row[1] for row in described if row[0] != "file_row_number"}
    if packs({n: t for n, t in types.items() if family(t) in ("integer", "number")}, set(types), table.named):
        return table.staged(plain, name)
    return with_vectors(Source(name, relation, "file_row_number", types))


def check_names(session: Session, schema: str, name: str) -> list[str]:
    """The columns of a Parquet file, from its schema."""
    names: list[str] = []
    nested = 0
    for column, children in session.rows(f"SELECT name, num_children FROM {schema}", doing=f"{name}: reading Parquet")[1:]:
        names += [column] if nested == 0 else []  # depth first, the root first
        nested += (children or 0) - (nested > 0)
    refuse_repeated(names, name)
    return names


def _arrow(table: Table, path: Path, name: str) -> Source:
    """Arrow IPC files, also under the name Feather, and streams, as Hugging Face datasets writes them."""
    try:
        from pyarrow import ArrowException, feather, ipc
    except ImportError as reason:
        raise BadInput(f"{name}: Arrow files need pyarrow: pip install pyarrow; or write Parquet") from reason
    try:
        with path.open("rb") as file:
            is_stream = file.read(4) == ARROW_STREAM[:4]
            file.seek(-8, os.SEEK_END)
            if is_stream and file.read() != ARROW_STREAM:
                raise ValueError("the stream has no end")
        found = ipc.open_stream(str(path)).read_all() if is_stream else feather.read_table(path)
    except (ArrowException, OSError, ValueError) as reason:
        raise BadInput(f"{name}: cannot be read as Arrow ({reason}); it may be cut short or of another format") from reason
    refuse_repeated(found.column_names, name)
    with registered(table, found, name) as relation:
        return table.staged(relation, name)


READERS: dict[str, Callable[[Table, Path, str], Source]] = {
    "parquet": _parquet,
    "csv": csv_file,
    "tsv": partial(csv_file, delimiter="\t"),
    "jsonl": json_file,
    "arrow": _arrow,
    **dict.fromkeys(("npz", "npy", "safetensors"), array_file),
}
"""Format (see `_inputs.ENDINGS`) to the function that reads it."""


def of_file(table: Table, item: File, shown: str = "") -> Source:
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
    source = of_file(table, copy, name)
    if source.relation != table.name:
        return source  # Parquet, which is scanned where it is
    copy.unlink()
    return replace(source, path=None)


def _of_remote_parquet(table: Table, file: RemoteFile, before: State) -> Source:
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


def of_shards(table: Table, shards: Shards) -> Source:
    """The rows of all shards in one table, with the keys of their folders as columns of text."""
    parts = [of_file(Table(table.session, f"{table.name}_{n}", table.named), path) for n, path in enumerate(shards.files)]
    first, cells_of, typed = parts[0], [], dict[str, tuple[str, str]]()
    for part, partition in zip(parts, shards.partitions, strict=True):
        if set(part.columns) != set(first.columns) or part.class_names != first.class_names:
            more, fewer = (
                listed(sorted(set(a) - set(b))) for a, b in ((part.columns, first.columns), (first.columns, part.columns))
            )
            told = f"{shards.name}: {part.name} and {first.name} have different columns (more: {more or 'none'}; fewer: {fewer or 'none'})"
            raise BadInput(f"{told}; the files of one model have the same columns")
        for name, kind in part.columns.items():
            known, where = (kind, "") if kind == NO_TYPE or part.untyped else typed.setdefault(name, (kind, part.name))
            if {family(kind), family(known)} not in ({family(kind)}, {"integer", "number"}):
                told = f"{shards.name}: {name!r} has type {kind} in {part.name} and {known} in {where}"
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
