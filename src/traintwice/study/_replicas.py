"""The replicas in a store: logits, weights and a record of each, under the digest of what determines them; see `Store`."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import safetensors.numpy
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from traintwice._files import write_whole
from traintwice._study_files import content_digest, json_bytes, read_json, write_note
from traintwice._typed import typed
from traintwice.errors import Diverged, StoreError
from traintwice.specs import digest

SCHEMA_VERSION = 1

SUFFIX = {"logits": "safetensors", "weights": "weights.safetensors"}

REPLICA_FILE = re.compile(r"\d{4,9}\.(json|safetensors|weights\.safetensors|checkpoint|failed)")

WITHOUT_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""What a file system without locks answers, such as NFS without a lock daemon."""

Arrays = Mapping[str, np.ndarray]


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


@dataclass(frozen=True)
class Damage:
    """A replica whose files differ from what was written."""

    key: str
    replica: int
    reason: str


class Replicas:
    """The replicas in a store, by digest and number."""

    path: Path
    """Of the store."""
    _marker: Path
    """The file that marks the store."""

    @typed
    def folder(self, key: str) -> Path:
        """The folder with the replicas of one digest."""
        return self.path / "replicas" / key

    @typed
    def _file(self, key: str, replica: int, suffix: str) -> Path:
        """A file of a replica."""
        return self.folder(key) / f"{replica:04d}.{suffix}"

    def checkpoint(self, key: str, replica: int) -> Path:
        """The file of a replica's checkpoint."""
        return self._file(key, replica, "checkpoint")

    def prepare(self, key: str, identity: Mapping[str, Any]) -> None:
        """Make the folder of a digest and write down what the digest stands for, also in the place of a damaged note.

        Raises:
            StoreError: the folder holds another recipe's replicas, or cannot be written.
        """
        note = self.folder(key) / "recipe.json"
        try:
            known = read_json(note)
        except StoreError:
            write_note(self.path, note, as_json(identity))
            return
        if _meant(known) != key:
            raise StoreError(
                f"{note}: belongs to another recipe than the name of its folder; move {note.parent} away and run again"
            )

    def identity(self, key: str) -> dict[str, Any]:
        """What a digest stands for; empty where the file is damaged or missing, see `prepare`."""
        try:
            found = read_json(self.folder(key) / "recipe.json")
        except StoreError:
            return {}
        return found if _meant(found) == key else {}

    def lock(self, key: str, replica: int) -> AbstractContextManager[None]:
        """A lock to hold while a replica is trained; entering it raises `filelock.Timeout` where another process has it.

        Raises:
            StoreError: the store was removed or its disk is full, so the training could not be saved.
        """
        if not self._marker.exists():
            raise self.unwritable(self.path, FileNotFoundError())
        if shutil.disk_usage(self.path).free == 0:
            raise self.unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return held_lock(self.path / "locks" / f"{key}-{replica:04d}.lock")

    def unwritable(self, place: Path, error: OSError) -> StoreError:
        """The error to raise where a replica cannot be written."""
        if not self._marker.exists():
            return StoreError(f"{self.path}: the store was removed while it was in use; run again to train what was in it")
        return StoreError(f"{place}: cannot be written ({error.strerror}); finished replicas are kept; fix that and run again")

    def save(self, key: str, replica: int, arrays: Arrays, record: Record, *, weights: Arrays | None = None) -> None:
        """Write a replica: first the arrays, then the record with their digests, which makes it exist.

        Args:
            key, replica: which replica.
            arrays: predictions by split; empty for a replica that diverged.
            record: where the replica comes from.
            weights: of its networks; None stores none.
        Raises:
            StoreError: the disk is full or the directory is not writable.
        """
        full: dict[str, Any] = {**record, "key": key, "replica": replica}
        try:
            for name, content in (("weights", weights), ("logits", arrays or None)):
                if content is not None:
                    packed = safetensors.numpy.save(dict(content))
                    write_whole(self._file(key, replica, SUFFIX[name]), packed)
                    full[name] = content_digest(packed)
            write_whole(self._file(key, replica, "json"), as_json({**full, "record": digest(full)}))
            self._file(key, replica, "failed").unlink(missing_ok=True)
        except OSError as error:
            raise self.unwritable(self.folder(key), error) from None

    def save_failure(self, key: str, replica: int, reason: str, traceback: str) -> None:
        """Write down why the training of a replica raised; without a traceback where the reason says all.

        Raises:
            StoreError: the disk is full or the directory is not writable.
        """
        try:
            write_whole(self._file(key, replica, "failed"), as_json({"reason": reason, "traceback": traceback}))
        except OSError as error:
            raise self.unwritable(self.folder(key), error) from None

    def record(self, key: str, replica: int) -> Record | Damage | None:
        """The record of a replica; `Damage` where a file differs from what was written; None where the replica does not exist."""
        found = self._read(key, replica)
        return found[0] if isinstance(found, tuple) else found

    def open(self, key: str, replica: int) -> tuple[Record, dict[str, np.ndarray]] | Damage | None:
        """`record` together with the replica's arrays (empty where it diverged), from one reading of the files."""
        read = self._read(key, replica)
        if not isinstance(read, tuple):
            return read
        found, contents = read
        return found, safetensors.numpy.load(contents["logits"]) if "logits" in contents else {}

    def load(self, key: str, replica: int) -> dict[str, np.ndarray]:
        """Logits ``J N K`` of a replica by split.

        Raises:
            StoreError: the replica is missing, damaged, or diverged (`Diverged`).
        """
        return self._load(key, replica, "logits")

    def load_weights(self, key: str, replica: int) -> dict[str, np.ndarray]:
        """Parameters and buffers of a replica's networks: "0.name", "1.name" ...

        Raises:
            StoreError: the weights are missing or damaged, or the replica diverged (`Diverged`).
        """
        return self._load(key, replica, "weights")

    def _load(self, key: str, replica: int, what: str) -> dict[str, np.ndarray]:
        read = self._read(key, replica)
        if not isinstance(read, tuple):
            reason = "is missing" if read is None else f"is damaged: {read.reason}"
            raise StoreError(f"{self.folder(key)}: replica {replica} {reason}; `traintwice run` trains it again")
        found, contents = read
        if "diverged" in found:
            raise Diverged(f"replica {replica} of an earlier model diverged: {found['diverged']}")
        if what not in contents:
            raise StoreError(
                f"{self.folder(key)}: replica {replica} was stored without its {what}; run again with --save-weights"
            )
        return safetensors.numpy.load(contents[what])

    def _read(self, key: str, replica: int) -> tuple[Record, dict[str, bytes]] | Damage | None:
        """The record, and the bytes of "logits" and "weights" that were checked against it."""
        note = self._file(key, replica, "json")
        try:
            found = json.loads(note.read_bytes())
            claimed = found.pop("record")
            found.pop("schema")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Damage(key, replica, f"{note.name} is not a record")
        if digest(found) != claimed:
            return Damage(key, replica, f"{note.name} was changed after it was written")
        contents = {}
        for name, suffix in SUFFIX.items():
            if name not in found:
                continue
            path = self._file(key, replica, suffix)
            if not path.is_file():
                return Damage(key, replica, f"{path.name} is missing")
            contents[name] = path.read_bytes()
            if content_digest(contents[name]) != found[name]:
                return Damage(key, replica, f"{path.name} is truncated or was changed after it was written")
        return cast(Record, found), contents


@contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Hold a lock. The system frees it when its holder dies.

    A file system without locks has a file in its place, with the process and machine of the holder. It is ignored once that process of
    this machine is dead; one of another machine is not, and its file has to be deleted by hand.

    Raises:
        Timeout: another process holds the lock. StoreError: the file cannot be made.
    """
    lock: BaseFileLock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise StoreError(f"{path}: cannot be locked ({error.strerror}); choose another --store, on a local disk") from None
        lock = SoftFileLock(path.with_suffix(".held"), timeout=0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def as_json(value: Mapping[str, Any]) -> bytes:
    """The content of a JSON file of the store, with the version of its schema."""
    return json_bytes({"schema": SCHEMA_VERSION, **value}, allow_nan=False)


def _meant(note: Mapping[str, Any]) -> str:
    """The digest that what is written in a note has."""
    known = note.get("schema") == SCHEMA_VERSION
    return digest({name: value for name, value in note.items() if not (known and name == "schema")})
