"""Files of text: CSV, TSV and JSON lines, and the types of columns whose cells are text."""

from __future__ import annotations

import csv
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from traintwice._database import all_of, literal
from traintwice._files import by_magic
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._inputs import JSON_ARRAY, MAGIC
from traintwice.predictions._source import PRESENT, Source, Table, refuse_repeated

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
