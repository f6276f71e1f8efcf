"""Tables and queries of PostgreSQL, through ADBC: the needed columns come as Arrow, in batches."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from traintwice._addresses import Address, without_secrets
from traintwice.errors import BadInput, require
from traintwice.predictions._lakehouse import Batches
from traintwice.predictions._layout import IDS
from traintwice.predictions._session import identifier

SCHEMES = ("postgresql", "postgres")
AS_THEY_ARE = {
    *("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "date", "timestamp", "timestamptz", "time"),
    *("_int2", "_int4", "_int8", "_float4", "_float8", "_bool", "_text"),
}
"""Types that come as they are."""
AS_LISTS = {"_numeric": "float8[]", "vector": "real[]", "halfvec": "real[]"}
"""Types that come as lists; further types come as text, and numbers as integers or floating point."""


@dataclass(frozen=True)
class DatabaseTable(Address):
    """A table or the result of a query: ``postgresql://USER@HOST/DATABASE?table=SCHEMA.TABLE``, or ``?query=SELECT …``."""

    def open(self, named: Collection[str] = ()) -> Batches:
        """The rows of some columns; no rows, of all columns, for None.

        Args:
            named: columns that options name; those of whole numbers come as integers, whatever their type.
        Raises:
            MissingExtra: ADBC is not installed. BadInput: the address names no table or query.
        """
        for module in ("adbc_driver_postgresql", "pyarrow"):
            require(module, extra="postgres", purpose="postgresql://")
        return partial(self._batches, *self._parts(), named, {})

    @contextmanager
    def _batches(
        self, uri: str, relation: str, named: Collection[str], cells: dict[str, str], columns: Sequence[str] | None
    ) -> Iterator[Any]:
        """One transaction, which only reads.

        Args:
            cells: the SQL of each column, filled in by the first call.
        Raises:
            BadInput: the server cannot be reached, refuses, or has no such table.
        """
        from adbc_driver_postgresql import dbapi

        with self._explained(), dbapi.connect(uri) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if not cells:
                cells.update(self._cells(cursor, relation, named))
            select = ", ".join(f"{cells[name]} AS {identifier(name)}" for name in (cells if columns is None else columns))
            cursor.execute(f"SELECT {select} FROM {relation}{' LIMIT 0' if columns is None else ''}")
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
        """The result of a query of this database as an Arrow table, in a transaction that only reads.

        Raises:
            BadInput: as in `open`.
        """
        from adbc_driver_postgresql import dbapi

        with self._explained(), dbapi.connect(self.database) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
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

    def _cells(self, cursor: Any, relation: str, named: Collection[str]) -> dict[str, str]:
        """The SQL of each column, in a type that comes without loss."""
        cursor.execute(f"SELECT * FROM {relation} LIMIT 0")
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
            cursor.execute(f"SELECT {', '.join(tests)} FROM {relation}")
            found = cursor.fetchone()
            for j, (name, column) in enumerate(zip(may_be_ids, columns, strict=True)):
                whole, small = found[2 * j : 2 * j + 2]
                cells[name] = f"{column}::int8" if whole and small else f"trunc({column})::text" if whole else cells[name]
        return cells

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BadInput:
            raise
        except Exception as reason:  # errors of the driver have several classes
            if not type(reason).__module__.startswith("adbc_driver_manager"):
                raise
            text = without_secrets(" ".join(str(reason).split()))
            text = re.sub(r"^[A-Z_]+: (\[libpq\] )?|\. SQLSTATE: \w+|Query was:.*", "", text)[:400].strip().rstrip(".")
            told = f"{self}: PostgreSQL cannot read it ({text})"
            advice = "check the address; the password comes from PGPASSWORD or ~/.pgpass"
            raise BadInput(f"{told}; {advice}", without_cells=f"{self}: PostgreSQL cannot read it; {advice}") from None


def _cell(column: str, kind: str, digits: int) -> str:
    """The SQL of a column of this type; ``digits`` holds precision and scale of a numeric type, −1 for none."""
    if kind in AS_THEY_ARE:
        return column
    if kind == "numeric":
        precision, scale = (digits - 4) >> 16, (digits - 4) & 0x7FF
        return f"{column}::int8" if digits > 0 and precision <= 18 and scale == 0 else f"{column}::float8"
    return f"{column}::{AS_LISTS.get(kind, 'text')}"
