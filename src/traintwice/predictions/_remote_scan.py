"""A remote Parquet file as a relation of DuckDB, which reads the ranges of the columns that a query needs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

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
        return _Handle(self)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self.bytes, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return True

    def modified(self, path: str) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC)  # changes are found by `RemoteFile.check_unchanged`


class _Handle(io.RawIOBase):
    """An open file; each read is one request."""

    def __init__(self, ranges: _Ranges) -> None:
        self._ranges, self._at = ranges, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ranges.bytes}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._ranges.bytes if size < 0 else min(self._at + size, self._ranges.bytes)
        try:
            found = self._ranges.file.bytes(self._at, stop)
        except BadInput as error:
            self._ranges.failure = self._ranges.failure or error
            raise OSError("a range could not be read") from None
        self._at = stop
        return found
