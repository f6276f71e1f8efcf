"""CSV and TSV files: the names of the columns, and the types that follow from the cells."""

from __future__ import annotations

import csv
import glob
import gzip
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from traintwice._files import checking_room, copy_unpacked
from traintwice.errors import BadInput
from traintwice.predictions._session import Session, literal

LONGEST_LINE, TYPED_TOGETHER = 32_000_000, 50
"""Longest line of a text file, in characters; columns whose cells are looked at in one query."""
LINES = f"max_line_size = {LONGEST_LINE}, buffer_size = {LONGEST_LINE}"
"""Options of DuckDB: its buffer for each thread holds 16 of the longest lines by default."""
OLD_LINE_ENDS = r", new_line = '\r'"
"""Option of DuckDB for lines that end in a carriage return alone."""
MISSING = ("NA", "N/A", "#N/A", "<NA>", "NULL", "null", "None", "\\N")
"""How R, Excel, pandas and databases write a missing number."""
LIST = r"\s*\[[^\[\]]*\]\s*"
"""A list of numbers as text: "[0.1, 0.9]" of JSON and Python, "[0.1 0.9]" of NumPy."""


def unpacked(session: Session, path: Path, compression: str, shown: str) -> Path:
    """A plain copy of a compressed file, in the temporary folder of the session; the checksum of gzip is verified.

    Raises:
        BadInput: the file is damaged or cut short, or the temporary folder is full.
    """
    plain = session.folder / f"unpacked-{len(list(session.folder.iterdir()))}"
    if compression == "zstd":
        line = "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false"
        source = f"read_csv({literal(glob.escape(str(path)))}, compression = 'zstd', {LINES}, {line})"
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
    """A copy of standard input, in the temporary folder of the session.

    Raises:
        BadInput: nothing came.
    """
    copy = session.folder / "standard-input"
    if copy.exists() or sys.stdin is None or sys.stdin.isatty():
        raise BadInput("standard input (-) holds one file, which a pipe or < FILE gives; pass - once")
    with copy.open("wb") as file:
        copy_unpacked(sys.stdin.buffer, file, "standard input")
    if not copy.stat().st_size:
        raise BadInput("standard input is empty (0 bytes)")
    return copy


def scan_of_text(path: Path, shown: str, delimiter: str | None) -> tuple[list[str], str]:
    """Names of the columns, and a FROM item with every cell as text in columns of these names after ``c_``."""
    names, delimiter, line_end = _header(path, shown, delimiter)
    cells = ", ".join(f"{literal('c_' + column)}: 'VARCHAR'" for column in names)
    return names, (
        f"read_csv({literal(glob.escape(str(path)))}, delim = {literal(delimiter)}, header = true, quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{cells}}}, {LINES}, null_padding = false, strict_mode = true, "
        f"compression = 'none', hive_partitioning = false{line_end})"
    )


def ends_inside_a_line(path: Path) -> bool:
    """Whether the last line of a text file has no line break, as in a file that is cut short."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) not in (b"\n", b"\r")


def _header(path: Path, shown: str, delimiter: str | None) -> tuple[list[str], str, str]:
    """Names of the columns, the delimiter (by default the most frequent of , ; tab | in the first line), and how lines end."""
    try:
        with path.open("rb") as file:
            line, mark, _ = file.readline(LONGEST_LINE).rstrip(b"\r\n").partition(b"\r")
    except OSError as reason:
        raise BadInput(f"{shown}: cannot be read ({reason})") from reason
    if b"\0" in line:
        raise BadInput(f"{shown}: the first line holds zero bytes; this is not UTF-8 text (UTF-16 perhaps): save it as UTF-8")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise BadInput(f"{shown}: the first line is not UTF-8 text ({reason}); save it as UTF-8") from reason
    if not text.strip():
        raise BadInput(f"{shown}: the first line is blank; expected the names of the columns")
    delimiter = delimiter or max(",;\t|", key=text.count)
    csv.field_size_limit(LONGEST_LINE)
    names = next(csv.reader([text], delimiter=delimiter))
    try:
        _ = [float(name) for name in names]
    except ValueError:
        return names, delimiter, OLD_LINE_ENDS if mark else ""
    told, expected = f"{shown}: the first line holds only numbers", "; expected the names of the columns"
    raise BadInput(f"{told} ({text[:60]!r}){expected}", without_cells=told + expected)


def typed(session: Session, table: str, cells: Mapping[str, str], shown: str) -> dict[str, str]:
    """The type of each column of text in which every cell can be written without loss.

    A column is of integers only where every cell is an integer in its usual spelling, so 007 stays text and differs
    from 7; of numbers where every cell is a number; of truth values where every cell is true or false; of lists where every cell
    is one. Cells that say NA among numbers become missing cells, and cells that hold lists become lists.

    Args:
        cells: name of a column to its SQL in the table.
    """
    types: dict[str, str] = {}
    names = list(cells)
    changes: list[tuple[str, str]] = []
    for start in range(0, len(names), TYPED_TOGETHER):
        part = names[start : start + TYPED_TOGETHER]
        tests = [test for name in part for test in _tests(cells[name])]
        (found,) = session.rows(f"SELECT {', '.join(tests)} FROM {table}", doing=f"{shown}: reading the cells")
        width = len(found) // len(part)
        for i, name in enumerate(part):
            missing, whole, small, number, truth, lists = found[width * i : width * (i + 1)]
            types[name] = (
                ("BIGINT" if small else "HUGEINT") if whole else "DOUBLE" if number else "BOOLEAN" if truth else "VARCHAR"
            )
            if lists and not number:
                types[name] = "DOUBLE[]"
                entries = rf"TRY_CAST(string_split_regex(trim({cells[name]}, E'[] \t\r\n'), '[,\s]+') AS DOUBLE[])"
                changes.append((cells[name], f"DOUBLE[] USING {entries}"))
            elif missing and number:
                changes.append((cells[name], f"VARCHAR USING CASE WHEN {_present(cells[name])} THEN {cells[name]} END"))
    for cell, change in changes:
        session.rows(f"ALTER TABLE {table} ALTER {cell} TYPE {change}", doing=f"{shown}: reading the cells")
    return types


def _present(cell: str) -> str:
    return f"{cell} NOT IN ({', '.join(map(literal, MISSING))})"


def _tests(cell: str) -> Sequence[str]:
    present = f"FILTER ({_present(cell)})"
    return (
        f"bool_or(NOT ({_present(cell)}))",
        f"bool_and(regexp_full_match({cell}, '-?(0|[1-9][0-9]{{0,37}})')) {present}",
        f"bool_and(TRY_CAST({cell} AS BIGINT) IS NOT NULL) {present}",
        f"bool_and(TRY_CAST({cell} AS DOUBLE) IS NOT NULL) {present}",
        f"bool_and(lower({cell}) IN ('true', 'false'))",
        f"bool_and(regexp_full_match({cell}, '{LIST}', 's'))",
    )
