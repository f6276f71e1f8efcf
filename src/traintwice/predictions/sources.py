"""Which inputs are meant, and each input as something that DuckDB can scan: a Parquet file, or a temporary table.

A new format is one function in `READERS`, or one module that such a function imports.
"""

from __future__ import annotations

import csv
import glob
import gzip
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from traintwice.errors import BadInput
from traintwice.predictions.session import Session, identifier, literal

LONGEST_LINE, TYPED_TOGETHER = 32_000_000, 50
"""Longest line of a text file, in characters; columns whose cells are looked at in one query."""

Family = Literal["integer", "number", "text", "boolean", "time", "list", "other"]

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

    def cell(self, column: str) -> str:
        """The SQL of a column over ``relation``."""
        return identifier(self.prefix + column)

    def check_unchanged(self) -> None:
        """Raise `BadInput` where the file changed after it was opened."""
        if self.path is not None and _stamp(self.path) != self.stamp:
            raise BadInput(f"{self.name} was replaced or changed while it was read; run again when nothing writes to it")


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


def numeric_order(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts run_2 before run_10.

    >>> sorted(["run_10.csv", "run_2.csv"], key=numeric_order)
    ['run_2.csv', 'run_10.csv']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path)]


def expand(inputs: Any) -> list[Any]:
    """One item per replica: paths for what names files, tables and arrays as they are.

    A path that exists is itself, whatever characters it has; otherwise it is a glob. A directory means the prediction
    files directly in it. Several matches come in numeric order.

    Raises:
        BadInput: nothing matches, or the same file is named twice.
    """
    items = list(inputs) if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes) else [inputs]
    found = [part for item in items for part in (_files(str(item)) if isinstance(item, str | Path) else [item])]
    if not found:
        raise BadInput("no files of predictions were given; pass at least one path, glob, directory or table")
    paths = [item.resolve() for item in found if isinstance(item, Path)]
    if len(set(paths)) < len(paths):
        path = next(item for item in found if isinstance(item, Path) and paths.count(item.resolve()) > 1)
        raise BadInput(f"{path} is named twice: a file always agrees with itself; name each replica once")
    return found


def _files(text: str) -> list[Path]:
    if "\0" in text or not text:
        raise BadInput(f"{text!r} is not a path")
    path, endings = Path(text), f"known endings are {', '.join(READERS)}"
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and _ending(p) and not p.name.startswith((".", "_"))]
        if not found:
            raise BadInput(f"{text}: no prediction files in this directory; {endings}")
    elif path.exists():
        found = [path]
    else:
        matches = glob.glob(text, recursive=True) if glob.has_magic(text) else []  # noqa: PTH207
        found = [Path(match) for match in matches if not Path(match).is_dir()]
        if not found:
            raise BadInput(f"{text}: no such file{', and nothing matches it as a glob' if glob.has_magic(text) else ''}")
    for path in found:
        if not path.is_file():
            raise BadInput(f"{path} is not a regular file; predictions are read more than once, so write them to a file first")
        if _ending(path) is None:
            raise BadInput(f"{path}: the ending of the name does not say the format; {endings}")
        if path.stat().st_size == 0:
            raise BadInput(f"{path} is empty (0 bytes)")
    return sorted(found, key=lambda p: numeric_order(str(p))) if len(found) > 1 else found


def _ending(path: Path) -> str | None:
    return next((ending for ending in READERS if path.name.lower().endswith(ending)), None)


def open_source(session: Session, item: Any, number: int) -> Source:
    """Make one input scannable; a table gets the name ``source<number>``.

    Raises:
        BadInput: the input cannot be read, or two of its columns have the same name.
    """
    if isinstance(item, Path):
        stamp, ending = _stamp(item), _ending(item) or ""
        source = replace(READERS[ending](session, item, number), path=item, stamp=stamp)
        source.check_unchanged()
        return source
    name = f"table {number + 1}"
    if isinstance(item, Mapping):
        return _from_arrays(session, item, name, number)
    if hasattr(item, "collect_schema") and hasattr(item, "collect"):
        item = item.collect()  # the columns of a lazy Polars frame
    names = getattr(item, "column_names", getattr(item, "columns", None))
    if names is None and hasattr(item, "shape"):
        return _from_arrays(session, {"": item}, name, number)
    if names is None and not hasattr(item, "__arrow_c_stream__"):
        raise BadInput(
            f"{name}: got {type(item).__name__}, expected a path, a pandas, Polars or Arrow table, a mapping from names to "
            "arrays, or an array"
        )
    _refuse_repeated([] if names is None else [str(n) for n in names], name)
    with _registered(session, item, name, number) as relation:
        return _staged(session, relation, name, number)


def _parquet(session: Session, path: Path, number: int) -> Source:
    name, file = str(path), literal(glob.escape(str(path)))
    names: list[str] = []
    nested = 0
    for column, children in session.rows(
        f"SELECT name, num_children FROM parquet_schema({file})", doing=f"{name}: reading Parquet"
    )[1:]:  # depth first, the root first
        names += [column] if nested == 0 else []
        nested += (children or 0) - (nested > 0)
    _refuse_repeated(names, name)
    if {"file_row_number", f"f{number}"} & {n.lower() for n in names}:  # names that the scan below uses
        return _staged(session, f"read_parquet({file}, hive_partitioning = false)", name, number)
    relation = f"read_parquet({file}, file_row_number = true, hive_partitioning = false)"
    described = session.rows(f"DESCRIBE SELECT * FROM {relation}", doing=f"{name}: reading the columns")
    return Source(name, relation, "file_row_number", {row[0]: row[1] for row in described if row[0] != "file_row_number"})


def _csv(session: Session, path: Path, number: int, delimiter: str | None = None) -> Source:
    header, delimiter = _header(path, delimiter)
    _refuse_repeated(header, str(path))
    cells = ", ".join(f"{literal('c_' + column)}: 'VARCHAR'" for column in header)
    relation = (
        f"read_csv({literal(glob.escape(str(path)))}, delim = {literal(delimiter)}, header = true, quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{cells}}}, max_line_size = {LONGEST_LINE}, null_padding = false, strict_mode = true, "
        "hive_partitioning = false)"
    )
    source = _staged(session, relation, str(path), number, renamed=True)
    return replace(source, untyped=True, columns=_types(session, source))


def _tsv(session: Session, path: Path, number: int) -> Source:
    return _csv(session, path, number, "\t")


def _json(session: Session, path: Path, number: int) -> Source:
    relation = (
        f"read_json({literal(glob.escape(str(path)))}, format = 'newline_delimited', records = true, sample_size = -1, "
        "maximum_object_size = 64000000, dateformat = 'never', timestampformat = 'never', hive_partitioning = false)"
    )
    return _staged(session, relation, str(path), number)


def _array_file(session: Session, path: Path, number: int) -> Source:
    from traintwice.predictions.array_files import open_arrays

    with tempfile.TemporaryDirectory(dir=session.folder) as unpacked:
        return _from_arrays(session, open_arrays(path, Path(unpacked)), str(path), number)


READERS: dict[str, Callable[[Session, Path, int], Source]] = {
    **dict.fromkeys((".parquet", ".pq"), _parquet),
    **dict.fromkeys((".csv", ".csv.gz"), _csv),
    **dict.fromkeys((".tsv", ".tsv.gz"), _tsv),
    **dict.fromkeys((".jsonl", ".jsonl.gz", ".ndjson"), _json),
    **dict.fromkeys((".npz", ".npy", ".safetensors"), _array_file),
}
"""Ending of a file's name to the function that reads the format."""


def _header(path: Path, delimiter: str | None) -> tuple[list[str], str]:
    """Names of the columns, and the delimiter: by default the most frequent of , ; tab | in the first line."""
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
            line = file.readline(LONGEST_LINE)
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
    delimiter = delimiter or max(",;\t|", key=text.count)
    csv.field_size_limit(LONGEST_LINE)
    names = next(csv.reader([text], delimiter=delimiter))
    try:
        _ = [float(name) for name in names]
    except ValueError:
        return names, delimiter
    told, expected = f"{path}: the first line holds only numbers", "; expected the names of the columns"
    raise BadInput(f"{told} ({text[:60]!r}){expected}", without_cells=told + expected)


def _types(session: Session, source: Source) -> dict[str, str]:
    """The type of each column of text in which every cell can be written without loss.

    A column is of integers only where every cell is an integer in its usual spelling, so 007 stays text and differs
    from 7; of numbers where every cell is a number; of truth values where every cell is true or false.
    """
    types, names = {}, list(source.columns)
    for start in range(0, len(names), TYPED_TOGETHER):
        tests = [
            test
            for cell in map(source.cell, names[start : start + TYPED_TOGETHER])
            for test in (
                f"bool_and(regexp_full_match({cell}, '-?(0|[1-9][0-9]{{0,37}})'))",
                f"bool_and(TRY_CAST({cell} AS BIGINT) IS NOT NULL) FILTER ({cell} IS NOT NULL)",
                f"bool_and(TRY_CAST({cell} AS DOUBLE) IS NOT NULL) FILTER ({cell} IS NOT NULL)",
                f"bool_and(lower({cell}) IN ('true', 'false'))",
            )
        ]
        (found,) = session.rows(f"SELECT {', '.join(tests)} FROM {source.relation}", doing=f"{source.name}: reading the cells")
        for i, name in enumerate(names[start : start + TYPED_TOGETHER]):
            whole, small, number, truth = found[4 * i : 4 * i + 4]
            integer = "BIGINT" if small else "HUGEINT"
            types[name] = integer if whole else "DOUBLE" if number else "BOOLEAN" if truth else "VARCHAR"
    return types


def _from_arrays(session: Session, arrays: Mapping[str, Any], name: str, number: int) -> Source:
    """Arrays go into their table block by block, so that memory does not grow with rows."""
    from traintwice.predictions.array_files import as_columns

    columns = as_columns(arrays, name)
    if not columns.names or not columns.length:
        raise BadInput(f"{name} holds no rows")
    _refuse_repeated(columns.names, name)
    for at, block in enumerate(columns.blocks()):
        with _registered(session, block, name, number) as relation:
            into = f"INSERT INTO source{number}" if at else f"CREATE TABLE source{number} AS"
            session.rows(f"{into} SELECT {columns.select('c_')} FROM {relation}", doing=f"{name}: reading")
    return replace(_staged(session, None, name, number), class_names=columns.class_names)


@contextmanager
def _registered(session: Session, item: Any, name: str, number: int) -> Iterator[str]:
    """A Python object under a name that DuckDB knows."""
    relation = f"object{number}"
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


def _staged(session: Session, relation: str | None, name: str, number: int, *, renamed: bool = False) -> Source:
    """A temporary table, copied from a relation: it spills under the memory limit, and any range of its rows can be read again."""
    table = f"source{number}"
    if relation is not None:
        columns = "*" if renamed else r"COLUMNS('(?s)(.*)') AS 'c_\1'"
        session.rows(f"CREATE TABLE {table} AS SELECT {columns} FROM {relation}", doing=f"{name}: reading")
    described = session.rows(f"DESCRIBE {table}", doing=f"{name}: reading the columns")
    return Source(name, table, "rowid", {row[0].removeprefix("c_"): row[1] for row in described}, prefix="c_")


def _refuse_repeated(names: Sequence[str], source: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        before = seen.setdefault(name.casefold(), name)
        if before != name:
            raise BadInput(f"{source}: the columns {before!r} and {name!r} differ only in case; rename one")
    if len(seen) < len(names):
        name = next(n for n in names if names.count(n) > 1)
        raise BadInput(f"{source}: {names.count(name)} columns are named {name!r}; rename all but one")


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError as reason:
        raise BadInput(f"{path}: cannot be read ({reason.strerror})") from reason
    return (status.st_ino, status.st_size, status.st_mtime_ns)
