"""Formats of files: how each becomes something that DuckDB can scan. A new format is one function in `READERS`."""

from __future__ import annotations

import csv
import glob
import gzip
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from traintwice._database import Session, all_of, identifier, literal, registered
from traintwice._files import by_magic, checking_room, copy_unpacked, zstd_lines
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._array_files import array_file
from traintwice.predictions._inputs import JSON_ARRAY, MAGIC, File, Shards, format_of, format_of_name
from traintwice.predictions._remote import RemoteFile, remote_parquet
from traintwice.predictions._source import (
    PRESENT,
    Source,
    Table,
    check_names,
    family,
    packs,
    refuse_repeated,
    stamp_of,
    with_vectors,
)

LONGEST_LINE, TYPED_TOGETHER = 32_000_000, 50
"""Longest line of a text file, in characters; columns whose cells are looked at in one query."""
LINES = f"max_line_size = {LONGEST_LINE}, buffer_size = {LONGEST_LINE}"
"""Options of DuckDB: its buffer for each thread holds 16 of the longest lines by default."""
ZIP = "a zip file, as npz and workbooks of Excel are"
MOST_COMPARED = 8
"""Columns that show whether a row repeats their names."""
OLD_LINE_ENDS = r", new_line = '\r'"
"""Option of DuckDB for lines that end in a carriage return alone."""
LIST = r"\s*\[[^\[\]]*\]\s*"
"""A list of numbers as text: "[0.1, 0.9]" of JSON and Python, "[0.1 0.9]" and "[np.float64(0.1), np.float64(0.9)]" of NumPy."""
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
    with registered(table.session, f"object_{table.name}", found, name) as relation:
        return table.staged(relation, name)


def csv_file(table: Table, path: Path, name: str, delimiter: str | None = None) -> Source:
    columns, delimiter, line_end = _header(path, name, delimiter)
    refuse_repeated(columns, name)
    cells = ", ".join(f"{literal('c_' + column)}: 'VARCHAR'" for column in columns)
    relation = (
        f"read_csv({literal(glob.escape(str(path)))}, delim = {literal(delimiter)}, header = true, quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{cells}}}, {LINES}, null_padding = false, strict_mode = true, "
        f"compression = 'none', hive_partitioning = false{line_end})"
    )
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        ends = file.read(1) in (b"\n", b"\r")
    note = "" if ends else "the last line has no line break: the file may be cut short"
    try:
        staged = table.staged(relation, name, text=columns)
    except BadInput as error:
        if len(columns) == 1 and "Expected Number of Columns: 1 " in str(error):
            told = f"{name}: the first line is one name{hidden(f' ({columns[0][:60]!r})')}"
            raise BadInput(f"{told}; expected the names of all columns. Delete lines before them") from None
        if "state machine reached an invalid state" not in str(error):
            raise
        told = "lines end in different ways (\\n, \\r\\n, \\r\\r\\n)"
        raise BadInput(f"{name}: {told}, or a quotation mark is not closed; write all lines with \\n, as dos2unix does") from None
    return typed_by_cells(table, replace(staged, note=note))


def _header(path: Path, shown: str, delimiter: str | None) -> tuple[list[str], str, str]:
    """Names of the columns, the delimiter (by default the most frequent of , ; tab | in the first line), and how lines end."""
    try:
        with path.open("rb") as file:
            line, mark, _ = file.readline(LONGEST_LINE).rstrip(b"\r\n").partition(b"\r")
    except OSError as reason:
        raise BadInput(f"{shown}: cannot be read ({reason})") from reason
    if kind := by_magic(line, MAGIC):
        told = f"{shown}: its first bytes are those of {ZIP if kind == 'npz' else kind}, expected text"
        raise BadInput(f"{told}; end its name as that format does, uncompressed")
    if b"\0" in line:
        raise BadInput(f"{shown}: the first line holds zero bytes; this is not UTF-8 text (UTF-16 perhaps): save it as UTF-8")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise BadInput(f"{shown}: the first line is not UTF-8 text ({reason}); save it as UTF-8") from reason
    if not text.strip():
        raise BadInput(f"{shown}: the first line is blank; expected the names of the columns")
    if re.fullmatch("sep=.", text.lower()):
        raise BadInput(
            f"{shown}: the first line {text!r} is for Excel alone; delete it, so that the names of the columns come first"
        )
    if text.startswith('{"') or JSON_ARRAY.match(line):
        raise BadInput(f"{shown}: holds JSON; expected the names of the columns, or JSON lines in a file that ends in .jsonl")
    delimiter = delimiter or max(",;\t|", key=re.sub('"[^"]*"', "", text).count)
    csv.field_size_limit(LONGEST_LINE)
    names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter))]
    try:
        _ = [float(name) for name in names]
    except ValueError:
        return names, delimiter, OLD_LINE_ENDS if mark else ""
    raise BadInput(f"{shown}: the first line holds only numbers{hidden(f' ({text[:60]!r})')}; expected the names of the columns")


def typed_by_cells(table: Table, source: Source) -> Source:
    """A table of text, with each column in a type in which every cell can be written without loss.

    A column is of integers only where every cell is an integer in its usual spelling, so 007 stays text and differs
    from 7; of numbers where every cell is a number; of truth values where every cell is true or false; of lists where every cell
    is one. Cells that say NA among numbers become missing cells, and cells that hold lists become lists.

    Raises:
        BadInput: a row holds the names of the columns: files were written one after another, each with its header.
    """
    session, doing = table.session, f"{source.name}: reading the cells"
    cells = {name: source.cell(name) for name, kind in source.columns.items() if kind == "VARCHAR"}
    types: dict[str, str] = {}
    changes: list[str] = []
    names = list(cells)
    same = all_of(f"trim({cells[name]}, ' \ufeff') = {literal(name)}" for name in names[:MOST_COMPARED])
    for start in range(0, len(names), TYPED_TOGETHER):
        part = names[start : start + TYPED_TOGETHER]
        tests = [f"count(*) FILTER ({same})", f"min({source.row}) FILTER ({same})"]
        tests += [test for name in part for test in _tests(cells[name])]
        ((count, row, *found),) = session.rows(f"SELECT {', '.join(tests)} FROM {table.name}", doing=doing)
        if count:
            told = f"{source.name}: {count:,} rows repeat the names of the columns (first: row {row:,})"
            raise BadInput(f"{told}, as in files written one after another; keep the names in the first line alone")
        width = len(found) // len(part)
        for i, name in enumerate(part):
            missing, whole, small, number, truth, lists = found[width * i : width * (i + 1)]
            types[name] = (
                ("BIGINT" if small else "HUGEINT") if whole else "DOUBLE" if number else "BOOLEAN" if truth else "VARCHAR"
            )
            cell = cells[name]
            plain = rf"regexp_replace({cell}, 'np\.float[0-9]+\(([^()]*)\)', '\1', 'g')"
            entries = rf"string_split_regex(trim({plain}, E'[] \t\r\n'), '[,\s]+')"
            other = (
                f"len(list_filter({entries}, lambda e: e <> '' AND {PRESENT.format('e')} AND TRY_CAST(e AS DOUBLE) IS NULL)) > 0"
            )
            if lists and not number and not session.rows(f"SELECT bool_or({other}) FROM {table.name}", doing=doing)[0][0]:
                types[name] = "DOUBLE[]"
                changes.append(f"{cell} TYPE DOUBLE[] USING TRY_CAST({entries} AS DOUBLE[])")
            elif missing and number:
                changes.append(f"{cell} TYPE VARCHAR USING CASE WHEN {PRESENT.format(cell)} THEN {cell} END")
    for change in changes:
        session.rows(f"ALTER TABLE {table.name} ALTER {change}", doing=doing)
    return replace(source, untyped=True, columns={**source.columns, **types})


def _tests(cell: str) -> Sequence[str]:
    """What is asked of all cells of a column."""
    is_present = PRESENT.format(cell)
    present = f"FILTER ({is_present})"
    return (
        f"bool_or(NOT ({is_present}))",
        f"bool_and(regexp_full_match({cell}, '0|-?[1-9][0-9]{{0,37}}')) {present}",
        f"bool_and(TRY_CAST({cell} AS BIGINT) IS NOT NULL) {present}",
        f"bool_and(TRY_CAST({cell} AS DOUBLE) IS NOT NULL) {present}",
        f"bool_and(lower({cell}) IN ('true', 'false'))",
        f"bool_and(regexp_full_match({cell}, '{LIST}', 's'))",
    )


def json_file(table: Table, path: Path, name: str) -> Source:
    def scan(further: str) -> str:
        return (
            f"read_json({literal(glob.escape(str(path)))}, format = 'newline_delimited', records = true, "
            "maximum_object_size = 64000000, dateformat = 'never', timestampformat = 'never', hive_partitioning = false, "
            f"compression = 'uncompressed', {further})"
        )

    described = table.session.rows(f"DESCRIBE SELECT * FROM {scan('sample_size = -1')}", doing=f"{name}: reading JSON lines")
    nested = all(row[1].endswith("]") or row[1].startswith(("STRUCT(", "MAP(", "JSON")) for row in described)
    if nested and len(table.session.rows(f"SELECT 1 FROM {scan('sample_size = -1')} LIMIT 2", doing=f"{name}: reading")) == 1:
        told = f"{name}: holds one JSON object ({listed([row[0] for row in described])})"
        raise BadInput(
            f"{told}; expected an object on each line, as pandas writes with to_json(PATH, orient='records', lines=True)"
        )
    columns = ", ".join(f"{literal(row[0])}: {literal(row[1])}" for row in described)
    return table.staged(scan(f"columns = {{{columns}}}"), name)


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
    path, shown = (standard_input(session), "standard input") if shown == "-" else (item, shown)
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
        return remote_parquet(table, file, before)
    folder = Path(tempfile.mkdtemp(dir=table.session.folder))
    copy = folder / (file.name or "file")
    file.download(copy)
    source = of_file(table, copy, name)
    if source.relation != table.name:
        return source  # Parquet, which is scanned where it is
    copy.unlink()
    return replace(source, path=None)


def of_shards(table: Table, shards: Shards) -> Source:
    """The rows of all shards in one table, with the keys of their folders as columns of text."""
    parts = [of_file(Table(table.session, f"{table.name}_{n}", table.named), path) for n, path in enumerate(shards.files)]
    first, cells_of, typed = parts[0], [], dict[str, tuple[str, str]]()
    for part, partition in zip(parts, shards.partitions, strict=True):
        if set(part.columns) != set(first.columns) or part.class_names != first.class_names:
            more, fewer = sorted(set(part.columns) - set(first.columns)), sorted(set(first.columns) - set(part.columns))
            apart = f"(more: {listed(more) or 'none'}; fewer: {listed(fewer) or 'none'})"
            told = f"{shards.name}: {part.name} and {first.name} have different columns {apart}"
            raise BadInput(f"{told}; the files of one model have the same columns")
        for name, kind in part.columns.items():
            known, where = (kind, "") if kind == NO_TYPE or part.untyped else typed.setdefault(name, (kind, part.name))
            if {family(kind), family(known)} not in ({family(kind)}, {"integer", "number"}):
                told = f"{shards.name}: {name!r} has type {kind} in {part.name} and {known} in {where}"
                raise BadInput(f"{told}; the files of one model have the same types")
            if name in partition:
                raise BadInput(f"{shards.name}: {name!r} is a column of {part.name} and a key of its folder; rename one")
        as_text = {name for name, kind in part.columns.items() if part.untyped and not kind.endswith("]")}
        cells = {n: f"CAST({part.cell(n)} AS VARCHAR)" if n in as_text else part.cell(n) for n in first.columns}
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
    return typed_by_cells(table, source) if first.untyped else source
