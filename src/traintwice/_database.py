"""One DuckDB connection with a memory limit and a private temporary folder, and the quoting of text in SQL."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from traintwice._files import TEMPORARY, check_name, make_scratch, remove_scratch
from traintwice.errors import BadInput
from traintwice.progress import polling, report

UNITS = {"": 1, "B": 1} | {f"{p}{i}B": (1024 if i else 1000) ** n for n, p in enumerate("KMGT", 1) for i in ("", "I")}

MOST_MEMORY = 10**18
LEAST_MEMORY = 64 * 10**6
"""DuckDB cannot read one row group of a usual Parquet file in less."""

VECTOR_ENTRIES = (
    "CREATE MACRO vector_entries(v) AS CASE WHEN v['type'] = 1 THEN v['values'] ELSE list_transform(range(v['size']), "
    "lambda i: coalesce(v['values'][list_position(v['indices'], i)], 0)) END"
)
"""A function of every session: the entries of a vector of Spark, dense (type 1) or sparse."""


def identifier(name: str) -> str:
    """A quoted identifier: no name of a file or column is ever code.

    >>> identifier('p"; DROP TABLE x; --')
    '"p""; DROP TABLE x; --"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted string.

    >>> literal("it's.parquet")
    "'it''s.parquet'"
    """
    return "'" + text.replace("'", "''") + "'"


def all_of(conditions: Iterable[str]) -> str:
    """Conditions joined by AND; TRUE where there are none."""
    return " AND ".join(f"({c})" for c in conditions) or "TRUE"


def any_of(conditions: Iterable[str]) -> str:
    """Conditions joined by OR; FALSE where there are none."""
    return " OR ".join(f"({c})" for c in conditions) or "FALSE"


def show_id(values: Sequence[Any]) -> str:
    """An id for messages.

    >>> show_id(("a17",)), show_id((3, "x"))
    ("'a17'", "(3, 'x')")
    """
    shown = [repr(v) if isinstance(v, int | str) else str(v) for v in values]
    shown = [text if len(text) <= 60 else text[:60] + "…" for text in shown]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


def memory_in_bytes(memory: int | str | None) -> int:
    """Bytes meant by ``"2GB"``, ``"500 MiB"`` or a number; None is half of the memory of this machine (or container).

    >>> memory_in_bytes("2GB"), memory_in_bytes("1.5 GiB"), memory_in_bytes(10**9)
    (2000000000, 1610612736, 1000000000)
    """
    if memory is None:
        total = int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES")) if hasattr(os, "sysconf") else 8 * 10**9
        limit = Path("/sys/fs/cgroup/memory.max")
        text = limit.read_text().strip() if limit.is_file() else "max"
        return (min(total, int(text)) if text.isdigit() else total) // 2
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", memory)
        if match is None or match[2].upper() not in UNITS:
            raise BadInput(f"memory: got {memory!r}, expected a size such as '2GB' or '500MiB'")
        memory = int(float(match[1]) * UNITS[match[2].upper()])
    if memory < LEAST_MEMORY:
        raise BadInput(f"memory: got {memory:,} bytes, expected at least {LEAST_MEMORY:,} (64MB)")
    if memory > MOST_MEMORY:
        raise BadInput(f"memory: got {memory:,} bytes, expected at most {MOST_MEMORY:,} (1EB)")
    return memory


class Session:
    """A private in-memory DuckDB database. Errors of DuckDB become `BadInput` and name the task that failed.

    Args:
        memory: limit in bytes or as text; beyond it DuckDB spills to a temporary folder that `close` removes.
    """

    def __init__(self, memory: int | str | None = None) -> None:
        import duckdb

        self.memory = memory_in_bytes(memory)
        try:
            self.folder = make_scratch()
        except OSError as reason:
            raise BadInput(
                f"the temporary folder cannot be created ({reason.strerror}); set TMPDIR to a writable folder with free space"
            ) from reason
        self.errors: type[Exception] = duckdb.Error
        self._out_of_memory: type[Exception] = duckdb.OutOfMemoryException
        self.connection: Any = duckdb.connect(
            config={
                "memory_limit": f"{max(LEAST_MEMORY, self.memory * 9 // 10) // 1000}KB",  # a tenth is for what DuckDB does not count
                "temp_directory": str(self.folder),
                "autoinstall_known_extensions": "false",  # reading a file never opens a network connection
            }
        )
        self.connection.execute("SET python_enable_replacements = false")  # a table name is never a Python variable
        self.connection.execute("SET TimeZone = 'UTC'")  # times as text do not depend on the machine
        with suppress(duckdb.InvalidInputException):  # in Jupyter without ipywidgets, where no progress is reported
            self.connection.execute("SET enable_progress_bar = true")  # needed by query_progress,
            self.connection.execute("SET enable_progress_bar_print = false")  # without printing to standard output
        self.connection.execute(VECTOR_ENTRIES)
        closing = ExitStack()
        closing.callback(remove_scratch, self.folder)
        closing.callback(self.connection.close)
        self.close = weakref.finalize(self, closing.close)
        """Close the connection and remove the temporary folder; a second call does nothing."""

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn an error of DuckDB into `BadInput` that starts with ``doing``."""
        try:
            yield
        except self._out_of_memory as reason:
            raise BadInput(
                f"{doing}: the memory limit of {self.memory / 1e9:.3g} GB is too small ({brief(reason)}); pass a larger --memory"
            ) from reason
        except self.errors as reason:
            raise BadInput(f"{doing}: {brief(reason)}", without_cells=f"{doing}: {without_cells(reason)}") from reason

    def rows(self, sql: str, *, doing: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.explained(doing), polling(self.connection.query_progress):
            result: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return result

    def records(self, sql: str, *, doing: str) -> list[dict[str, Any]]:
        """All rows of a query, by column name."""
        rows = self.rows(sql, doing=doing)
        names = [column[0] for column in self.connection.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def parallel(self, statements: Sequence[str], *, doing: str) -> None:
        """Run statements, as many at a time as DuckDB has threads; they share the memory limit."""
        ((threads,),) = self.rows("SELECT current_setting('threads')", doing=doing)

        def run(sql: str) -> None:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)

        with self.explained(doing), ThreadPoolExecutor(max_workers=int(threads)) as pool:
            for done, _ in enumerate(pool.map(run, statements), start=1):
                report(100 * done / len(statements), 100, "%")

    def arrays(self, sql: str, *, doing: str) -> dict[str, Any]:
        """The columns of a query as NumPy arrays."""
        with self.explained(doing):
            result: dict[str, Any] = self.connection.execute(sql).fetchnumpy()
        return result

    def write(self, path: Path, select: str, options: str = "") -> None:
        """The rows of a query as Parquet, with options of COPY: written under a temporary name in the same folder, then renamed."""
        path = path.resolve()  # a link stays a link
        temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
        try:
            temporary.touch(exist_ok=False)
        except OSError as reason:
            raise BadInput(
                f"{path}: cannot be written here ({reason.strerror}); choose a writable folder that exists"
            ) from reason
        try:
            further = f", {options}" if options else ""
            self.connection.execute(f"COPY ({select}) TO {literal(str(temporary))} (FORMAT parquet, USE_TMP_FILE false{further})")
            temporary.replace(path)
        except BaseException as reason:
            temporary.unlink(missing_ok=True)
            if isinstance(reason, (self.errors, OSError)):
                raise BadInput(f"{path}: could not be written ({brief(reason)}); nothing was left behind") from reason
            raise


def check_target(path: str | Path) -> Path:
    """A path that Parquet can be written to."""
    if not isinstance(path, str | Path):
        raise BadInput(f"path: got {type(path).__name__}, expected the name of a file that ends in .parquet")
    check_name(path)
    path = Path(path)
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise BadInput(f"{path}: predictions are written as Parquet; give a name that ends in .parquet")
    if path.exists() and not path.is_file():
        raise BadInput(
            f"{path} is not a regular file; predictions are written under a temporary name in its folder, then renamed"
        )
    return path


def brief(reason: Exception) -> str:
    """The message of DuckDB without its advice on its own settings.

    >>> brief(ValueError("Invalid Input Error: CSV Error on Line: 2\\nExpected 3\\n\\nPossible fixes:\\n* x"))
    'CSV Error on Line: 2; Expected 3'
    """
    lines: list[str] = []
    for line in str(reason).splitlines():
        if re.match(r"\s*(Possible|\* |LINE \d|Try )", line) or (lines and not line.strip()):
            break
        lines.append(line.strip())
    text = re.sub(r"^[A-Z][A-Za-z ]{2,30} Error: |\.? Try [^.;]*$", "", "; ".join(lines))
    return text if len(text) <= 400 else text[:400] + " …"


def without_cells(reason: Exception) -> str:
    """The message of DuckDB without quotes from a file: only phrases known to contain none.

    >>> without_cells(ValueError("Invalid Input Error: CSV Error on Line: 2\\nOriginal Line: ann,7\\nExpected more"))
    'it cannot be read (on Line: 2)'
    """
    known = r"on Line: \d+|Expected Number of Columns: \d+ Found: \d+|No magic bytes found|not utf-8|Malformed JSON|in line \d+"
    told = "; ".join(dict.fromkeys(re.findall(known, str(reason))))
    return f"it cannot be read ({told})" if told else "it cannot be read"


@dataclass(frozen=True)
class _Stream:
    """The rows of a Polars or Arrow table, or of a relation of DuckDB, by the Arrow C stream."""

    table: Any

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


def _scannable(item: Any) -> Any:
    return _Stream(item) if hasattr(item, "__arrow_c_stream__") and not hasattr(item, "iloc") else item


def _is_read(register: Callable[[Any], Any], item: Any, column: Any, errors: type[Exception]) -> bool:
    try:
        register(_scannable(item[[column]] if hasattr(item, "iloc") else item.select([column])))
    except errors:
        return False
    return True


@contextmanager
def registered(session: Session, relation: str, item: Any, name: str) -> Iterator[str]:
    """A Python object under a name that DuckDB knows."""
    register = partial(session.connection.register, relation)
    with session.explained(f"{name}: reading a {type(item).__name__}"):
        try:
            register(_scannable(item))
        except session.errors as reason:
            try:  # a pandas view of every second row, or of all rows in reverse, must be copied
                register(item.copy() if hasattr(item, "iloc") else _scannable(item))
            except session.errors:
                names = getattr(item, "column_names", getattr(item, "columns", ()))
                one_alone = hasattr(item, "iloc") or hasattr(item, "select")
                bad = [c for c in names if one_alone and not _is_read(register, item, c, session.errors)]
                if not bad:
                    raise
                told = f"{name}: column {', '.join(map(repr, bad))} cannot be read from a {type(item).__name__} ({brief(reason)})"
                raise BadInput(f"{told}; convert to float32, int64 or text, or leave out") from None
    try:
        yield relation
    finally:
        session.connection.unregister(relation)
