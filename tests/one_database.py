"""Sessions of DuckDB as catalogs of one database, which take a millisecond where a database of one's own takes twenty."""

from contextlib import suppress
from itertools import count

import duckdb
import pytest

from traintwice._database import memory_in_bytes


class Catalog:
    """A connection whose tables, views, types and macros are its own, in a database that all tests share."""

    def __init__(self, shared, name):
        self._of_all, self._name = shared.cursor(), name
        self._of_all.execute(f"ATTACH ':memory:' AS {name}; USE {name}")

    def __getattr__(self, name):
        return getattr(self._of_all, name)

    def cursor(self):
        cursor = self._of_all.cursor()
        cursor.execute(f"USE {self._name}")
        return cursor

    def close(self):
        with suppress(duckdb.Error):  # closed before
            self._of_all.execute(f"USE memory; DETACH {self._name}")
        self._of_all.close()


def one_database(patch: pytest.MonkeyPatch, folder) -> None:
    """Open every session in one database, but for those that limit their memory."""
    connect, number = duckdb.connect, count()
    limit = f"{memory_in_bytes(None) * 9 // 10 // 1000}KB"
    shared = connect(config={"memory_limit": limit, "temp_directory": str(folder), "autoinstall_known_extensions": "false"})

    def opened(*args, config=None, **options):
        if not config or config.get("memory_limit") != limit:
            return connect(*args, config=config or {}, **options)
        return Catalog(shared, f"session{next(number)}")

    patch.setattr(duckdb, "connect", opened)
