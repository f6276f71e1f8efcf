"""Delta and Iceberg tables, as they are now or as they were: through deltalake and pyiceberg."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from traintwice._addresses import Address, is_address, without_secrets
from traintwice.errors import BadInput, require
from traintwice.predictions._remote import SCHEMES, is_remote_folder, matches

Kind = Literal["delta", "iceberg"]
Rows: TypeAlias = Callable[[Sequence[str] | None], Any]
"""From the names of columns (None for all) to a `pyarrow.RecordBatchReader`."""
Batches: TypeAlias = Callable[[Sequence[str] | None], AbstractContextManager[Any]]
"""The same, while something is open."""

CATALOG = "iceberg://"
METADATA = ".metadata.json"
SHOWN_VERSIONS = 5
WHAT = {"delta": "a Delta table", "iceberg": "an Iceberg table"}


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
        """The rows of one version, which stays the same until all are read.

        Raises:
            MissingExtra: the package of the format is not installed.
            BadInput: the table or the version does not exist, or the table cannot be read.
        """
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
        return "iceberg" if is_remote_folder(f"{name.rstrip('/')}/metadata") and _has_metadata(name) else None
    path = Path(name)
    if name.endswith(METADATA) and path.is_file():
        return "iceberg"
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise BadInput(f"{name}: cannot be read (Permission denied)")
    if (path / "_delta_log").is_dir():
        return "delta"
    return "iceberg" if (path / "metadata").is_dir() and any((path / "metadata").glob(f"*{METADATA}")) else None


def _has_metadata(address: str) -> bool:
    try:
        return bool(matches(f"{address.rstrip('/')}/metadata/*{METADATA}"))
    except BadInput:
        return False


def _delta_rows(item: LakeTable) -> Rows:
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


def _iceberg_rows(item: LakeTable) -> Rows:
    table = _iceberg_table(item.address)
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
    chosen = snapshot.snapshot_id

    def read(columns: Sequence[str] | None) -> Any:
        fields = ("*",) if columns is None else tuple(columns)
        return table.scan(selected_fields=fields, snapshot_id=chosen).to_arrow_batch_reader()

    return read


def _iceberg_table(address: str) -> Any:
    """A table of a catalog, ``iceberg://CATALOG/NAMESPACE.TABLE``, or of its newest or named metadata file."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.table import StaticTable

    if not address.startswith(CATALOG):
        return StaticTable.from_metadata(address if is_address(address) else str(Path(address).resolve()))
    catalog, _, name = address.removeprefix(CATALOG).partition("/")
    if not catalog or "." not in name:
        raise BadInput(f"{address}: expected {CATALOG}CATALOG/NAMESPACE.TABLE, with a catalog of ~/.pyiceberg.yaml")
    return load_catalog(catalog).load_table(name)
