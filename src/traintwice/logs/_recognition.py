"""What the start of a file shows, and the type of a log layout."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from traintwice.errors import BadInput, TraintwiceError
from traintwice.logs._json_text import beginning
from traintwice.logs._outcomes import Choice, Outcomes

LOOKED_AT = 1 << 20
"""Bytes of a file that are read to recognise it."""

LOGITS = b"_logits_"
"""How a file of llama.cpp's ``--kl-divergence-base`` begins."""


@dataclass(frozen=True)
class Head:
    """The start of a file.

    Attributes:
        path: of the file.
        kind: by the first bytes.
        names: names in a zip file.
        first: members of the first JSON object, as far as the start of the file holds them.
        footer: metadata of a Parquet file.
    """

    path: Path
    kind: Literal["zip", "parquet", "logits", "json", "other"]
    names: frozenset[str] = frozenset()
    first: dict[str, Any] = field(default_factory=dict)
    footer: bytes = b""


@dataclass(frozen=True)
class LogFormat:
    """A layout of evaluation logs.

    Attributes:
        name: short name, such as "lm-evaluation-harness".
        title: what writes such logs.
        matches: whether a file has the layout, by its start.
        read: reads the files of one log: the path as given, its files, and what to choose.
    """

    name: str
    title: str
    matches: Callable[[Head], bool]
    read: Callable[[Path, Sequence[Path], Choice], Outcomes]


def head_of(path: Path) -> Head:
    """The start of a file."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if start.startswith(b"PK\x03\x04"):
        return Head(path, "zip", frozenset(_zip_names(path, start)))
    if start.startswith(b"PAR1"):
        return Head(path, "parquet", footer=_footer(path))
    if start.startswith(LOGITS):
        return Head(path, "logits")
    text = start.removeprefix(b"\xef\xbb\xbf").decode(errors="ignore")
    first = beginning(text)
    return Head(path, "json" if first else "other", first=first)


def _footer(path: Path) -> bytes:
    """The metadata of a Parquet file, in which names of columns stand as text; empty where it is cut short."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 8, 0))
        length = int.from_bytes(file.read(4), "little")
        if length > size - 8:
            return b""
        file.seek(size - 8 - length)
        return file.read(length)


def columns_of(path: Path) -> list[str]:
    """Columns of a Parquet file; empty where it cannot be read."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT name FROM (DESCRIBE SELECT * FROM read_parquet(?)) t(name)", [str(path)]
            ).fetchall()
    except duckdb.Error:
        return []
    return [row[0] for row in found]


def object_in(path: Path) -> dict[str, Any]:
    """The object in a small JSON file next to a log; empty where the file is missing or is not a JSON object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 of a file; of several files, that of their digests in order."""
    found = []
    for path in files:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256"))
    return found[0].hexdigest() if len(found) == 1 else hashlib.sha256(b"".join(d.digest() for d in found)).hexdigest()


@contextmanager
def foreign_records(path: Path, whose: str) -> Iterator[None]:
    """Turns what records of an unexpected shape raise into one error."""
    try:
        yield
    except TraintwiceError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError) as error:
        raise BadInput(
            f"{path}: a record does not have the layout {whose} ({type(error).__name__}: {error}). Expected records as that project "
            "writes them; name the columns (correct=, answer=, id=) to read a file of another layout.",
            without_cells=f"{path}: a record does not have the layout {whose}",
        ) from error


def _zip_names(path: Path, start: bytes) -> list[str]:
    """Names in a zip file; empty where it cannot be read and does not begin as a log."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, struct.error, ValueError, RuntimeError):
        if not start[30:].startswith((b"_journal/", b"samples/", b"header.json")):
            return []
        raise BadInput(
            f"{path}: begins as an .eval log of inspect_ai, and has no list of contents at its end: it is cut short. "
            "Copy the file again, or repeat the run."
        ) from None
