"""Tables that are not files: of Delta and Iceberg, as they are or as they were, and of PostgreSQL. Rows come as Arrow, in batches."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode

from traintwice._addresses import Address, is_address, without_secrets
from traintwice._database import identifier
from traintwice.errors import BadInput, hidden, require
from traintwice.predictions._layout import IDS
from traintwice.predictions._remote import SCHEMES, is_remote_folder, matches
from traintwice.predictions._source import Table, refuse_repeated

Kind = Literal["delta", "iceberg"]
Batches: TypeAlias = Callable[[Sequence[str] | None], AbstractContextManager[Any]]
"""From the names of columns to a `pyarrow.RecordBatchReader`, while something is open; no rows, of all columns, for None."""

STREAM = re.compile(r"reading the stream registered as '\w+' failed: (IOError: )?(\[libpq\] Execution error \[\w+\]: )?")
"""What DuckDB writes before the message of a library whose batches it reads."""

CATALOG = "iceberg://"
METADATA = ".metadata.json"
SHOWN_VERSIONS = 5
WHAT = {"delta": "a Delta table", "iceberg": "an Iceberg table"}

DATABASES = ("postgresql", "postgres")
AS_THEY_ARE = {
    *("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "date", "timestamp", "timestamptz", "time"),
    *("_int2", "_int4", "_int8", "_float4", "_float8", "_bool", "_text"),
}
"""Types that come as they are."""
AS_LISTS = {"_numeric": "float8[]", "vector": "real[]", "halfvec": "real[]"}
"""Types that come as lists; further types come as text, and numbers as integers or floating point."""


@dataclass(frozen=True)
class LakeTable(Address):
    """A Delta or Iceberg table.

    Attributes:
        kind: "delta" or "iceberg".
        version: number of a version (Delta), number or name of a snapshot (Iceberg), or a date; None for the newest.
    """

    kind: Kind = "delta"
    version: str | None = None

    def __str__(self) -> str:
        return super().__str__() + ("" if self.version is None else f"@{self.version}")

    def open(self, _named: Collection[str] = ()) -> Batches:
        """The rows of one version, which stays the same until all are read."""
        package = {"delta": "deltalake", "iceberg": "pyiceberg"}[self.kind]
        for module in (package, "pyarrow"):
            require(module, extra="lakehouse", purpose=f"{self}: {WHAT[self.kind]}")
        with self._explained():
            rows = _delta_rows(self) if self.kind == "delta" else _iceberg_rows(self)

        @contextmanager
        def batches(columns: Sequence[str] | None) -> Iterator[Any]:
            with self._explained():
                yield rows(columns)

        return batches

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BadInput:
            raise
        except Exception as reason:  # the errors of two libraries and of their stores have no common class
            text = without_secrets(" ".join(str(reason).split()))[:400].rstrip(".")
            told = f"{self}: cannot be read as {WHAT[self.kind]} ({type(reason).__name__}: {text})"
            raise BadInput(f"{told}; check the name, and the credentials of its store") from None

    def as_of(self) -> datetime | None:
        """The moment that the version names; None where it is not a date or time. Without a time zone it is in UTC."""
        try:
            found = datetime.fromisoformat(self.version or "")
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def lake_table(name: str) -> LakeTable | None:
    """The table of a name, with ``@version`` at its end or without; None where the name is not that of a table."""
    if kind := _kind(name):
        return LakeTable(name, kind)
    table, mark, version = name.rpartition("@")
    if mark and table and version and "/" not in version and (kind := _kind(table)):
        return LakeTable(table, kind, version)
    return None


def _kind(name: str) -> Kind | None:
    if name.startswith(CATALOG):
        return "iceberg" if "@" not in name else None
    if is_address(name):
        if name.startswith(("http://", "https://")) or name.partition("://")[0] not in SCHEMES:
            return None
        if name.endswith(METADATA):
            return "iceberg"
        if is_remote_folder(f"{name.rstrip('/')}/_delta_log"):
            return "delta"
        folder = f"{name.rstrip('/')}/metadata"
        if not is_remote_folder(folder):
            return None
        with suppress(BadInput):  # nothing matches the glob
            return "iceberg" if matches(f"{folder}/*{METADATA}") else None
        return None
    path = Path(name)
    if name.endswith(METADATA) and path.is_file():
        return "iceberg"
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise BadInput(f"{name}: cannot be read (Permission denied)")
    if (path / "_delta_log").is_dir():
        return "delta"
    return "iceberg" if (path / "metadata").is_dir() and any((path / "metadata").glob(f"*{METADATA}")) else None


def _delta_rows(item: LakeTable) -> Callable[[Sequence[str] | None], Any]:
    import pyarrow as pa
    from deltalake import DeltaTable

    table = DeltaTable(item.address)
    newest, at = table.version(), item.as_of()
    if item.version is not None and item.version.isdecimal():
        if int(item.version) > newest:
            raise BadInput(f"{item}: there is no version {item.version}; the newest is {newest}")
        table.load_as_version(int(item.version))
    elif at is not None:
        first = min(entry["timestamp"] for entry in table.history() if "timestamp" in entry)
        if at.timestamp() * 1000 < first:
            began = datetime.fromtimestamp(first / 1000, UTC)
            raise BadInput(f"{item}: the table has no version that old; its history begins at {began:%Y-%m-%d %H:%M:%S} UTC")
        table.load_as_version(at)
    elif item.version is not None:
        raise BadInput(
            f"{item}: got version {item.version!r}, expected a number from 0 to {newest}, or a date such as 2026-11-26"
        )
    return lambda columns: pa.RecordBatchReader.from_stream(table.scan(columns=None if columns is None else list(columns)))


def _iceberg_rows(item: LakeTable) -> Callable[[Sequence[str] | None], Any]:
    """Rows of a table of a catalog, ``iceberg://CATALOG/NAMESPACE.TABLE``, or of its newest or named metadata file."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.table import StaticTable

    address = item.address
    if address.startswith(CATALOG):
        catalog, _, name = address.removeprefix(CATALOG).partition("/")
        if not catalog or "." not in name:
            raise BadInput(f"{address}: expected {CATALOG}CATALOG/NAMESPACE.TABLE, with a catalog of ~/.pyiceberg.yaml")
        table = load_catalog(catalog).load_table(name)
    else:
        table = StaticTable.from_metadata(address if is_address(address) else str(Path(address).resolve()))
    snapshot, at = table.current_snapshot(), item.as_of()
    if item.version is not None:
        number = int(item.version) if item.version.isdecimal() else None
        snapshot = (None if number is None else table.snapshot_by_id(number)) or table.snapshot_by_name(item.version)
        if snapshot is None and at is not None and number is None:
            snapshot = table.snapshot_as_of_timestamp(int(at.timestamp() * 1000))
    if snapshot is None:
        entries = [
            f"{e.snapshot_id} ({datetime.fromtimestamp(e.timestamp_ms / 1000, UTC):%Y-%m-%d %H:%M})" for e in table.history()
        ]
        known = ", ".join(entries[-SHOWN_VERSIONS:]) or "none"
        names = ", ".join(table.metadata.refs)
        told = "has no rows yet" if item.version is None else f"there is no snapshot {item.version!r}"
        raise BadInput(f"{item}: {told}; snapshots are {known}{f'; names are {names}' if names else ''}")
    scan = partial(table.scan, snapshot_id=snapshot.snapshot_id)
    return lambda columns: scan(selected_fields=("*",) if columns is None else tuple(columns)).to_arrow_batch_reader()


@dataclass(frozen=True)
class DatabaseTable(Address):
    """A table or the result of a query: ``postgresql://USER@HOST/DATABASE?table=SCHEMA.TABLE``, or ``?query=SELECT …``."""

    def open(self, named: Collection[str] = ()) -> Batches:
        """The rows; columns that options name come as integers where they hold whole numbers, whatever their type."""
        for module in ("adbc_driver_postgresql", "pyarrow"):
            require(module, extra="postgres", purpose="postgresql://")
        return partial(self._batches, named, {})

    @contextmanager
    def _batches(self, named: Collection[str], cells: dict[str, str], columns: Sequence[str] | None) -> Iterator[Any]:
        """The rows of some columns; ``cells``, the SQL of each column, is filled in by the first call."""
        with self._cursor() as cursor:
            cells |= {} if cells else self._cells(cursor, named)
            select = ", ".join(f"{cells[name]} AS {identifier(name)}" for name in (cells if columns is None else columns))
            cursor.execute(f"SELECT {select} FROM {self.relation}{' LIMIT 0' if columns is None else ''}")
            yield cursor.fetch_record_batch()

    @property
    def database(self) -> str:
        """The address of the database, without the table."""
        return self._parts()[0]

    @property
    def relation(self) -> str:
        """The table or query as a FROM item."""
        return self._parts()[1]

    def answer(self, sql: str) -> Any:
        """The result of a query of this database as an Arrow table, in a transaction that only reads."""
        with self._cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def _parts(self) -> tuple[str, str]:
        """The address for the driver, and the table or query as a FROM item."""
        base, _, query = self.address.partition("?")
        given = parse_qsl(query, keep_blank_values=True)
        named = [(key, value) for key, value in given if key in ("table", "query")]
        if len(named) != 1 or not named[0][1].strip():
            example = "postgresql://USER@HOST/DATABASE?table=SCHEMA.TABLE"
            raise BadInput(f"{self}: expected one table= or query= in the address, such as {example}")
        others = [pair for pair in given if pair[0] not in ("table", "query")]
        if "connect_timeout" not in dict(others):
            others.append(("connect_timeout", "20"))
        (key, value) = named[0]
        parts = next(csv.reader([value], delimiter=".", quotechar='"'))
        relation = ".".join(map(identifier, parts)) if key == "table" else f"({value.strip().rstrip(';')}) AS q"
        return f"{base}?{urlencode(others, quote_via=quote)}", relation

    def _cells(self, cursor: Any, named: Collection[str]) -> dict[str, str]:
        """The SQL of each column, in a type that comes without loss."""
        cursor.execute(f"SELECT * FROM {self.relation} LIMIT 0")
        schema = cursor.fetch_record_batch().schema
        cells, may_be_ids = {}, []
        for field in schema:
            kind, digits = ((field.metadata or {}).get(key, b"").decode() for key in (b"POSTGRESQL:type", b"POSTGRESQL:typmod"))
            cells[field.name] = _cell(identifier(field.name), kind, int(digits or -1))
            if cells[field.name].endswith("::float8") and (field.name in named or field.name.lower() in IDS):
                may_be_ids.append(field.name)
        if may_be_ids:
            columns = [identifier(name) for name in may_be_ids]
            tests = (f"bool_and({c} = trunc({c})), bool_and(abs({c}) < 9e18)" for c in columns)
            cursor.execute(f"SELECT {', '.join(tests)} FROM {self.relation}")
            found = cursor.fetchone()
            for j, (name, column) in enumerate(zip(may_be_ids, columns, strict=True)):
                whole, small = found[2 * j : 2 * j + 2]
                cells[name] = f"{column}::int8" if whole and small else f"trunc({column})::text" if whole else cells[name]
        return cells

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor of one transaction, which only reads."""
        from adbc_driver_postgresql import dbapi

        try:
            with dbapi.connect(self.database) as connection, connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield cursor
        except BadInput:
            raise
        except Exception as reason:  # errors of the driver have several classes
            if not type(reason).__module__.startswith("adbc_driver_manager"):
                raise
            text = without_secrets(" ".join(str(reason).split()))
            text = re.sub(r"^[A-Z_]+: (\[libpq\] )?|\. SQLSTATE: \w+|Query was:.*", "", text)[:400].strip().rstrip(".")
            told = f"{self}: PostgreSQL cannot read it{hidden(f' ({text})')}"
            raise BadInput(f"{told}; check the address; the password comes from PGPASSWORD or ~/.pgpass") from None


def _cell(column: str, kind: str, digits: int) -> str:
    """The SQL of a column of this type; ``digits`` holds precision and scale of a numeric type, −1 for none."""
    if kind in AS_THEY_ARE:
        return column
    if kind == "numeric":
        precision, scale = (digits - 4) >> 16, (digits - 4) & 0x7FF
        return f"{column}::int8" if digits > 0 and precision <= 18 and scale == 0 else f"{column}::float8"
    return f"{column}::{AS_LISTS.get(kind, 'text')}"


@contextmanager
def stream(table: Table, name: str, batches: Batches, columns: Sequence[str] | None) -> Iterator[str]:
    """Batches of Arrow under a name that DuckDB knows."""
    with batches(columns) as rows:
        refuse_repeated(rows.schema.names, name)
        table.session.connection.register(f"stream_{table.name}", rows)
        try:
            yield f"stream_{table.name}"
        except BadInput as error:
            told = STREAM.sub("", str(error))
            raise BadInput(" ".join(told.split()), without_cells=error.without_cells) from None
        finally:
            table.session.connection.unregister(f"stream_{table.name}")
