"""A remote Parquet file as a relation of DuckDB, which reads the ranges of the columns that a query needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from traintwice.errors import BadInput
from traintwice.predictions._remote import RemoteFile
from traintwice.predictions._session import Session, literal


@contextmanager
def scan_of(session: Session, file: RemoteFile, size: int, name: str) -> Iterator[tuple[str, str]]:
    """The rows and the schema of the file as FROM items; DuckDB sees a name of ours, and neither the address nor its secrets."""
    ranges = _Ranges(file, size, f"traintwice-{name}")
    session.connection.register_filesystem(ranges)
    try:
        path = literal(f"{ranges.protocol}://0.parquet")
        yield f"read_parquet({path}, hive_partitioning = false)", f"parquet_schema({path})"
    except BadInput as error:
        raise ranges.failure or error from None
    finally:
        session.connection.unregister_filesystem(ranges.protocol)


class _Ranges(AbstractFileSystem):  # type: ignore[misc]
    """A file system with one file."""

    cachable = False

    def __init__(self, file: RemoteFile, size: int, protocol: str) -> None:
        super().__init__()
        self.protocol = protocol
        self.file, self.bytes = file, size
        self.failure: BadInput | None = None

    def open(self, path: str, mode: str = "rb", **_: Any) -> _Handle:
        return _Handle(self, path, mode, cache_type="none", size=self.bytes)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self.bytes, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return True

    def modified(self, path: str) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC)  # changes are found by `RemoteFile.check_unchanged`


class _Handle(AbstractBufferedFile):  # type: ignore[misc]
    """An open file; each read is one request."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        try:
            found: bytes = self.fs.file.bytes(start, min(end, self.size))
        except BadInput as error:
            self.fs.failure = self.fs.failure or error
            raise OSError("a range could not be read") from None
        return found
