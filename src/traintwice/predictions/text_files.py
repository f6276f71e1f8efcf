"""CSV and TSV: the header is read here, the rows by DuckDB as text; nothing is guessed from a sample."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from traintwice.errors import BadInput
from traintwice.predictions.sql import literal

LONGEST_LINE = 32_000_000
"""Characters; a longer line is refused by name instead of filling the memory."""


def read_header(path: Path, kind: str) -> tuple[list[str], str]:
    """Names of the columns, and the delimiter: a tab for TSV, else the commonest of , ; tab | in the first line."""
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            line = stream.readline(LONGEST_LINE)
    except (OSError, EOFError) as reason:
        raise BadInput(f"{path}: cannot be read ({reason})") from reason
    if b"\0" in line:
        raise BadInput(f"{path}: the first line holds zero bytes; this is not UTF-8 text (UTF-16 perhaps): save it as UTF-8")
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as reason:
        raise BadInput(f"{path}: the first line is not UTF-8 text ({reason}); save it as UTF-8") from reason
    if not text.strip():
        raise BadInput(f"{path}: the first line is blank; expected the names of the columns")
    delimiter = "\t" if kind == "tsv" else max(",;\t|", key=text.count)
    csv.field_size_limit(LONGEST_LINE)
    names = next(csv.reader([text], delimiter=delimiter))
    if all(_is_number(name) for name in names):
        raise BadInput(
            f"{path}: the first line holds only numbers ({text[:60]!r}); expected the names of the columns",
            without_cells=f"{path}: the first line holds only numbers; expected the names of the columns",
        )
    return names, delimiter


def reader(path: str, names: list[str], delimiter: str) -> str:
    """The SQL that reads a text file, every cell as text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(path)}, delim = {literal(delimiter)}, header = true, quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{columns}}}, max_line_size = {LONGEST_LINE}, null_padding = false, "
        "strict_mode = true, hive_partitioning = false)"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
