"""The files of one replica in a store: logits, weights and the record, each checked against its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import safetensors
import safetensors.numpy

from traintwice._files import write_whole
from traintwice.errors import StoreError
from traintwice.specs import digest

SCHEMA_VERSION = 1

_SUFFIX = {"logits": "safetensors", "weights": "weights.safetensors"}


class Record(TypedDict, total=False):
    """Where a replica comes from, as written to its ``.json`` file."""

    key: str
    replica: int
    seed: int
    data: dict[str, Any]
    numerics: dict[str, str | int]
    versions: dict[str, str]
    code: dict[str, str]
    seconds: float
    finished: str
    steps: int
    loss: list[float | None]
    resumed: list[int]
    sample: dict[str, Any]
    diverged: str
    logits: str
    weights: str


Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Damage:
    """A replica whose files differ from what was written."""

    key: str
    replica: int
    reason: str


@dataclass(frozen=True)
class ReplicaFiles:
    """The files of one replica.

    Args:
        folder: of the replica's digest; its name is the digest.
        replica: its number.
    """

    folder: Path
    replica: int

    def path(self, suffix: str) -> Path:
        """The file with a suffix."""
        return self.folder / f"{self.replica:04d}.{suffix}"

    def write(self, arrays: Arrays, record: Record, weights: Arrays | None) -> None:
        """Write arrays and weights, then the record with their digests."""
        full: dict[str, Any] = {**record, "key": self.folder.name, "replica": self.replica}
        for name, content in (("weights", weights), ("logits", arrays or None)):
            if content is not None:
                packed = safetensors.numpy.save(dict(content))
                write_whole(self.path(_SUFFIX[name]), packed)
                full[name] = digest_of_bytes(packed)
        write_whole(self.path("json"), as_json({**full, "record": digest(full)}))
        self.path("failed").unlink(missing_ok=True)

    def read(self) -> tuple[Record, dict[str, bytes]] | Damage | None:
        """The record, and the bytes of "logits" and "weights" that were checked against it."""
        note = self.path("json")
        try:
            found = json.loads(note.read_bytes())
            claimed = found.pop("record")
            found.pop("schema")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return self._damage(f"{note.name} is not a record")
        if digest(found) != claimed:
            return self._damage(f"{note.name} was changed after it was written")
        contents = {}
        for name, suffix in _SUFFIX.items():
            if name not in found:
                continue
            path = self.path(suffix)
            if not path.is_file():
                return self._damage(f"{path.name} is missing")
            contents[name] = path.read_bytes()
            if digest_of_bytes(contents[name]) != found[name]:
                return self._damage(f"{path.name} is truncated or was changed after it was written")
        return cast(Record, found), contents

    def write_failure(self, reason: str, traceback: str) -> None:
        """Write down why the training of the replica raised."""
        write_whole(self.path("failed"), as_json({"reason": reason, "traceback": traceback}))

    def remove(self) -> int:
        """Delete the files, the record first; returns the bytes freed.

        Raises:
            StoreError: a file cannot be deleted.
        """
        freed = 0
        for suffix in ("json", *_SUFFIX.values(), "failed"):
            path = self.path(suffix)
            try:
                size = path.stat().st_size
                path.unlink()
                freed += size
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None
        return freed

    def _damage(self, reason: str) -> Damage:
        return Damage(self.folder.name, self.replica, reason)


def digest_of_bytes(content: bytes) -> str:
    """BLAKE2b of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def as_json(value: Mapping[str, Any]) -> bytes:
    """The content of a JSON file of the store, with the version of its schema."""
    return (json.dumps({"schema": SCHEMA_VERSION, **value}, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of the store.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete it and run the study again, finished replicas are kept"
        ) from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: got {type(value).__name__}, expected a JSON object")
    return value
