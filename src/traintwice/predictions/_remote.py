"""Files in object stores and on web servers, through fsspec: which files an address means, and how their bytes are read."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from traintwice._addresses import Address, without_secrets
from traintwice._database import Session, literal
from traintwice.errors import BadInput, MissingExtra
from traintwice.predictions._source import Source, Table, check_names
from traintwice.progress import report

T = TypeVar("T")

SCHEMES = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "of AWS: AWS_PROFILE, AWS_ACCESS_KEY_ID, ~/.aws")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "of Google: GOOGLE_APPLICATION_CREDENTIALS, gcloud auth")),
    **dict.fromkeys(("abfs", "abfss", "az"), ("adlfs", "of adlfs: AZURE_STORAGE_ACCOUNT_NAME and its like")),
    "hf": ("huggingface_hub", "of Hugging Face: HF_TOKEN, hf auth login"),
    **dict.fromkeys(("http", "https"), ("aiohttp", "in the address, or in ~/.netrc")),
    "memory": ("fsspec", ""),
}
"""Scheme to the package that reads it, and where that package looks for credentials."""
IN_EXTRA = ("fsspec", "s3fs", "aiohttp")
"""Packages of the extra ``remote``; the others are installed by their own names."""

WAITS = (0.5, 2.0, 8.0)
"""Seconds before the second, third and fourth try."""
CONNECT_SECONDS, STALLED_SECONDS = 20.0, 60.0
"""A server that does not answer, or stops sending, for so long has failed."""
LOST = {"ClientConnectionError", "ClientPayloadError", "HTTPClientError", "ConnectionError", "IncompleteReadError"}
"""Errors of aiohttp and botocore after which the same request may succeed."""
STAMPS = {"etag", "md5", "contentmd5", "content-md5", "digest", "crc32c", "generation", "versionid", "size", "blobid", "oid"}
STAMPS |= {"last-modified", "lastmodified", "last_modified", "mtime", "updated", "created"}
"""What stores call the tag, version, size and time of change of a file."""
BLOCK = 1 << 22
"""Bytes of a step of a download."""


@dataclass(frozen=True)
class State:
    """What a store says of a file.

    Attributes:
        size: in bytes; None where a server does not say.
        tag: what changes when the file is written: the tag, version, size and time of change that the store has.
        ranges: parts of the file can be read.
    """

    size: int | None
    tag: tuple[str, ...]
    ranges: bool


@dataclass(frozen=True)
class RemoteFile(Address):
    """A file in an object store or on a web server."""

    @property
    def name(self) -> str:
        """The last part of its path, without parameters."""
        return self.parts[-1]

    @property
    def parts(self) -> tuple[str, ...]:
        path = urlsplit(self.address).path if _on_the_web(self.address) else self.address.partition("://")[2]
        return tuple(unquote(part) if _on_the_web(self.address) else part for part in path.split("/") if part) or ("",)

    def state(self) -> State:
        fs, path = file_system(self.address)
        fs.invalidate_cache()
        info: dict[str, Any] = attempt(self, lambda: fs.info(path))
        if info.get("type") == "directory":
            raise BadInput(f"{self} is a folder, expected a file")
        size = info.get("size")
        if size == 0:
            raise BadInput(f"{self} is empty (0 bytes)")
        tag = tuple(f"{name}={value}" for name, value in sorted(info.items()) if name.lower() in STAMPS)
        return State(size, tag, size is not None and bool(info.get("partial", True)))

    def bytes(self, start: int, stop: int) -> bytes:
        fs, path = file_system(self.address)
        found: bytes = attempt(self, lambda: fs.cat_file(path, start=start, end=stop)) if stop > start else b""
        if len(found) != stop - start:
            told = f"{self}: {stop - start:,} bytes were requested and {len(found):,} came"
            raise BadInput(f"{told}; the file changed while it was read, or the server ignores ranges")
        return found

    def check_unchanged(self, before: State) -> None:
        """Raise `BadInput` where the file is another one than before."""
        if self.state().tag != before.tag:
            raise BadInput(f"{self} was replaced or changed while it was read; run again when nothing writes to it")

    def download(self, target: Path) -> None:
        (fs, path), before = file_system(self.address), self.state()
        as_stream = {"block_size": 0} if _on_the_web(self.address) else {}

        def copy() -> None:
            with fs.open(path, "rb", **as_stream) as source, target.open("wb") as file:
                while block := source.read(BLOCK):
                    file.write(block)
                    report(100 * file.tell() / max(before.size or 0, file.tell()), 100, "%")

        attempt(self, copy)
        found = target.stat().st_size
        if before.size is not None and found != before.size:
            told = f"{self}: {found:,} of {before.size:,} bytes came"
            raise BadInput(f"{told}; the file changed while it was read, or the server cut it short")
        self.check_unchanged(before)
        if not found:
            raise BadInput(f"{self} is empty (0 bytes)")


def _on_the_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def file_system(address: str) -> tuple[Any, str]:
    """The file system of fsspec for an address, and the path there."""
    scheme = address.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*SCHEMES, "iceberg", "postgresql") if name != "memory")
        raise BadInput(f"{address}: unknown scheme {scheme!r}; expected a file, or one of {known}")
    for package in ("fsspec", SCHEMES[scheme][0]):
        if find_spec(package) is None:
            wanted = "'traintwice[remote]'" if package in IN_EXTRA else f"'traintwice[remote]' {package}"
            raise MissingExtra(f"{scheme}:// needs {package}. Install it with: pip install {wanted}")
    from fsspec.core import url_to_fs

    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme in ("http", "https"):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=STALLED_SECONDS)
        options["client_kwargs"] = {"trust_env": True, "timeout": timeout}
    elif scheme in ("s3", "s3a"):
        once = {"connect_timeout": CONNECT_SECONDS, "read_timeout": STALLED_SECONDS, "retries": {"total_max_attempts": 1}}
        options["config_kwargs"] = once
    try:
        fs, path = url_to_fs(address, **options)
    except Exception as reason:
        raise explained(address, reason) from None
    if hasattr(fs, "retries"):
        fs.retries = 1  # `attempt` tries again
    return fs, path


def attempt(name: object, work: Callable[[], T]) -> T:
    """The result of work on a store, which is tried again where the failure may pass."""
    waits = list(WAITS)
    while True:
        try:
            return work()
        except BadInput:
            raise
        except Exception as reason:
            if not (may_pass := _may_pass(reason)) or not waits:
                raise explained(name, reason, tries=len(WAITS) + 1 if may_pass else 1) from None
        time.sleep(waits.pop(0))


def _chain(reason: BaseException) -> list[BaseException]:
    """An error and its causes."""
    return [reason, *(_chain(reason.__cause__) if reason.__cause__ else ())]


def _status(reason: BaseException) -> int | None:
    """The status of HTTP in the errors of aiohttp, botocore and Hugging Face."""
    for part in () if _was_lost(reason) else _chain(reason):
        answer = getattr(part, "response", None)
        status = getattr(part, "status", None) or getattr(answer, "status_code", None)
        if isinstance(answer, dict):
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if isinstance(status, int):
            return status
    return None


def _was_lost(reason: BaseException) -> bool:
    return any(kind.__name__ in LOST for part in _chain(reason) for kind in type(part).__mro__)


def _may_pass(reason: Exception) -> bool:
    """Whether the same request may succeed a moment later: a busy or failing server, a lost or slow connection."""
    if (status := _status(reason)) is not None:
        return status in (408, 429) or status >= 500
    permanent = FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError
    return _was_lost(reason) or (isinstance(first := _chain(reason)[-1], OSError) and not isinstance(first, permanent))


def explained(name: object, reason: Exception, tries: int = 1) -> BadInput:
    """The error for a failure of a store, in one sentence without secrets."""
    address, status, first = str(getattr(name, "address", name)), _status(reason), _chain(reason)[-1]
    shown, scheme = without_secrets(address), address.partition("://")[0].lower()
    text = re.sub(r"\s+", " ", without_secrets(str(first))).strip()[:300].rstrip(".") or type(first).__name__
    if status == 404 or (status is None and isinstance(first, FileNotFoundError)):
        bucket = " (the bucket does not exist)" if "bucket" in text.lower() else ""
        return BadInput(f"{shown}: not found{bucket}; check the name, upper and lower case included")
    no_credentials = any("Credentials" in type(part).__name__ for part in _chain(reason))
    if status in (401, 403) or no_credentials or (status is None and isinstance(first, PermissionError)):
        why = "there are no credentials" if no_credentials else f"status {status}" if status else text
        return BadInput(f"{shown}: access is refused ({why}); credentials are those {SCHEMES[scheme][1]}")
    after = f" after {tries} tries" if tries > 1 else ""
    kind = type(first).__name__
    what = f"the server answered {status}" if status else kind if text == kind else f"{kind}: {text}"
    return BadInput(f"{shown}: cannot be read{after} ({what}); run again later, or copy it to a file")


def is_remote_folder(address: str) -> bool | None:
    """True for a folder, False for a file, None where neither is there."""
    fs, path = file_system(address)
    if _on_the_web(address):
        return address.partition("?")[0].endswith("/")
    kind = attempt(address, lambda: _type_of(fs, path))
    return None if kind is None else kind == "directory"


def _type_of(fs: Any, path: str) -> str | None:
    try:
        return str(fs.info(path)["type"])
    except FileNotFoundError as reason:
        if _status(reason) in (None, 404):
            return None
        raise


def inside(address: str) -> dict[tuple[str, ...], RemoteFile]:
    """The files of a folder and of its folders, by the parts of their names."""
    fs, path = file_system(address)
    base, root = address.rstrip("/"), path.rstrip("/")
    names = [name[len(root) :].strip("/") for name in attempt(address, lambda: fs.find(path))]
    return {tuple(name.split("/")): RemoteFile(f"{base}/{name}") for name in names if name}


def matches(address: str) -> list[str]:
    fs, path = file_system(address)
    fixed = re.split(r"[*?\[]", address, maxsplit=1)[0].rpartition("/")[0] + "/"
    root = file_system(fixed)[1].rstrip("/")
    found = [fixed + name[len(root) :].lstrip("/") for name in attempt(address, lambda: fs.glob(path))]
    if not found:
        raise BadInput(f"{address}: nothing there matches this glob")
    return found


def is_remote_glob(address: str) -> bool:
    """Whether an address has wildcards; on the web, a question mark starts parameters."""
    return "*" in address.partition("?")[0] if _on_the_web(address) else glob.has_magic(address)


@contextmanager
def scan_of(session: Session, file: RemoteFile, size: int, name: str) -> Iterator[tuple[str, str]]:
    """The rows and the schema of a Parquet file as FROM items, of which DuckDB reads the ranges of the columns that a query needs.

    DuckDB sees a name of ours, and neither the address nor its secrets.
    """
    from fsspec import AbstractFileSystem
    from fsspec.spec import AbstractBufferedFile

    failures: list[BadInput] = []

    class Handle(AbstractBufferedFile):  # type: ignore[misc]
        """The open file; each read is one request."""

        def _fetch_range(self, start: int, end: int) -> bytes:
            try:
                return file.bytes(start, min(end, size))
            except BadInput as error:
                failures.append(error)
                raise OSError("a range could not be read") from None

    class OneFile(AbstractFileSystem):  # type: ignore[misc]
        """A file system with one file."""

        cachable = False
        protocol = f"traintwice-{name}"

        def open(self, path: str, mode: str = "rb", **_: Any) -> Handle:
            return Handle(self, path, mode, cache_type="none", size=size)

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            return {"name": path, "size": size, "type": "file"}

        def exists(self, path: str, **_: Any) -> bool:
            return True

        def modified(self, path: str) -> datetime:
            return datetime(2000, 1, 1, tzinfo=UTC)  # changes are found by `RemoteFile.check_unchanged`

    session.connection.register_filesystem(OneFile())
    try:
        path = literal(f"{OneFile.protocol}://0.parquet")
        yield f"read_parquet({path}, hive_partitioning = false)", f"parquet_schema({path})"
    except BadInput as error:
        raise failures[0] if failures else error from None
    finally:
        session.connection.unregister_filesystem(OneFile.protocol)


def remote_parquet(table: Table, file: RemoteFile, before: State) -> Source:
    """The rows of a Parquet file, read by ranges and columns when they are needed."""

    @contextmanager
    def scan(columns: Sequence[str] | None) -> Iterator[str]:
        with scan_of(table.session, file, before.size or 0, table.name) as (relation, schema):
            if columns is None:
                check_names(table.session, schema, str(file))
            yield relation
        if columns is not None:
            file.check_unchanged(before)

    return table.on_demand(scan, str(file))
