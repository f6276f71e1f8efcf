"""Where replicas lie: one file of logits and one record each, under the digest of what determines them.

    runs/
      store.json                     marks the directory, with the version of this layout
      studies/digits.json            the experiments run here
      replicas/3f…/recipe.json       what the digest stands for
      replicas/3f…/0004.safetensors  raw logits of every component, by split
      replicas/3f…/0004.weights.safetensors   where wanted, the weights
      replicas/3f…/0004.checkpoint   while it is being trained: how far it is (`traintwice.study.checkpoint`)
      replicas/3f…/0004.json         the record: seed, data, numerics, versions, seconds, digests; written last
      locks/                         held while a replica is being trained

A replica exists when its record does. Files are written under a temporary name and renamed, so that no moment of interruption leaves
a half-written one, and every file is checked against its digest when it is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from filelock import FileLock

from traintwice.errors import Diverged, StoreError
from traintwice.files import TEMPORARY, write_whole
from traintwice.specs import digest

LAYOUT = 1
SCHEMA_VERSION = 1
WRITE_TAKES_SECONDS = 60

_FOLDERS = ("studies", "replicas", "locks")

_SUFFIX = {"logits": "safetensors", "weights": "weights.safetensors"}


@dataclass(frozen=True)
class Damage:
    """A replica whose files are not what was written."""

    key: str
    replica: int
    reason: str


class Store:
    """A directory of trained replicas.

    Args:
        path: of the directory; made where it does not exist.
    Raises:
        StoreError: it cannot be made or written, or is a directory of something else.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = Path(path)
        marker = self._marker
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path}: is a file, expected a directory; choose another --store")
        if not marker.exists():
            if self.path.is_dir() and any(not _ours(entry) for entry in self.path.iterdir()):
                raise StoreError(
                    f"{self.path}: is not a store of traintwice (no store.json) and not empty; choose another --store"
                )
            if not create:
                raise StoreError(f"{self.path}: no store here; `traintwice run` makes one")
        elif _read_json(marker).get("layout") != LAYOUT:
            layout = _read_json(marker).get("layout")
            raise StoreError(f"{self.path}: has layout {layout!r}, this version reads {LAYOUT}; choose another --store")
        if create:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if not marker.exists():
                    write_whole(marker, _json({"layout": LAYOUT}))
                for name in _FOLDERS:
                    (self.path / name).mkdir(exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.path}: cannot be written ({error.strerror}); choose another --store") from None

    @property
    def _marker(self) -> Path:
        return self.path / "store.json"

    def unwritable(self, place: Path, error: OSError) -> StoreError:
        """What to say where a replica cannot be written."""
        if not self._marker.exists():
            return StoreError(f"{self.path}: the store was removed while it was in use; run again to train what was in it")
        return StoreError(f"{place}: cannot be written ({error.strerror}); finished replicas are kept; mend that and run again")

    def folder(self, key: str) -> Path:
        """Where the replicas of one digest lie."""
        return self.path / "replicas" / key

    def prepare(self, key: str, identity: Mapping[str, Any]) -> None:
        """Make the folder of a digest and note what it stands for.

        Raises:
            StoreError: it holds another recipe's replicas, or cannot be written.
        """
        note = self.folder(key) / "recipe.json"
        if note.exists():
            try:
                known = _read_json(note)
            except StoreError:
                known = None  # what it said follows from the recipe: it is written again
            if known is not None and digest({k: v for k, v in known.items() if k != "schema"}) != key:
                raise StoreError(
                    f"{note}: belongs to another recipe than its folder says; move {self.folder(key)} away and run again"
                )
            if known is not None:
                return
        try:
            self.folder(key).mkdir(parents=True, exist_ok=True)
            write_whole(note, _json(identity))
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror}); choose another --store") from None

    def lock(self, key: str, replica: int) -> FileLock:
        """A lock held while a replica is trained; the system frees it when its holder dies.

        Raises:
            StoreError: the store was removed, or its disk is full, so that the training would be for nothing.
        """
        if not self._marker.exists():
            raise self.unwritable(self.path, FileNotFoundError())
        if shutil.disk_usage(self.path).free == 0:
            raise self.unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return FileLock(self.path / "locks" / f"{key}-{replica:04d}.lock", timeout=0)

    def save(
        self,
        key: str,
        replica: int,
        arrays: Mapping[str, np.ndarray],
        record: Mapping[str, Any],
        *,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write a replica: first the arrays, then the record that makes it exist.

        Args:
            key, replica: which.
            arrays: predictions by split; empty for a replica that diverged, whose record says so.
            record: where it comes from.
            weights: of its networks, where they are wanted.
        Raises:
            StoreError: the disk is full or the directory not writable.
        """
        note = self._file(key, replica, "json")
        full: dict[str, Any] = {**record, "key": key, "replica": replica}
        try:
            for name, content in (("weights", weights), ("logits", arrays or None)):
                if content is not None:
                    packed = safetensors.numpy.save(dict(content))
                    write_whole(self._file(key, replica, _SUFFIX[name]), packed)
                    full[name] = digest_of_bytes(packed)
            write_whole(note, _json({**full, "record": digest(full)}))
        except OSError as error:
            raise self.unwritable(note.parent, error) from None

    def record(self, key: str, replica: int) -> dict[str, Any] | Damage | None:
        """The record of a replica; `Damage` where record or logits are not what was written; None where it does not exist."""
        found = self._read(key, replica)
        return found[0] if isinstance(found, tuple) else found

    def open(self, key: str, replica: int) -> tuple[dict[str, Any], dict[str, np.ndarray]] | Damage | None:
        """As `record`, with the replica's arrays, none where it diverged: its files are read and checked once for both."""
        read = self._read(key, replica)
        if not isinstance(read, tuple):
            return read
        found, contents = read
        return found, dict(safetensors.numpy.load(contents["logits"])) if "logits" in contents else {}

    def _read(self, key: str, replica: int) -> tuple[dict[str, Any], dict[str, bytes]] | Damage | None:
        """The record and the very bytes that were checked against it, by what they are."""
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
        for name, suffix in _SUFFIX.items():
            if name not in found:
                continue
            path = self._file(key, replica, suffix)
            if not path.is_file():
                return Damage(key, replica, f"{path.name} is missing")
            contents[name] = path.read_bytes()
            if digest_of_bytes(contents[name]) != found[name]:
                return Damage(key, replica, f"{path.name} is truncated or was changed after it was written")
        return dict(found), contents

    def load(self, key: str, replica: int) -> dict[str, np.ndarray]:
        """Logits ``J N K`` of a replica by split.

        Raises:
            StoreError: there is none, it is damaged, or it diverged.
        """
        return self._load(key, replica, "logits")

    def load_weights(self, key: str, replica: int) -> dict[str, np.ndarray]:
        """Parameters and buffers of a replica's networks: "0.name", "1.name" ...

        Raises:
            StoreError: there are none, they are damaged, or the replica diverged (`Diverged`).
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
        return dict(safetensors.numpy.load(contents[what]))

    def replicas(self, key: str) -> list[int]:
        """Numbers of the replicas that have a record, in order."""
        return sorted(int(p.stem) for p in self.folder(key).glob("[0-9]*.json"))

    def digests(self) -> list[str]:
        """Digests whose replicas lie here."""
        return sorted(p.name for p in (self.path / "replicas").iterdir() if p.is_dir())

    def identity(self, key: str) -> dict[str, Any]:
        """What a digest stands for."""
        return _read_json(self.folder(key) / "recipe.json")

    def save_study(self, name: str, study: Mapping[str, Any]) -> None:
        """Note an experiment run here, so that its report can be made from the store alone."""
        try:
            write_whole(self.path / "studies" / f"{name}.json", _json(study))
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror}); choose another --store") from None

    def study(self, name: str) -> dict[str, Any] | None:
        """The experiment of a name as plain values; None where there is none.

        Raises:
            StoreError: the note of it is damaged.
        """
        path = self.path / "studies" / f"{name}.json"
        if not path.exists():
            return None
        found = _read_json(path)
        if not {"rows", "replicas", "recipe"} <= set(found):
            raise StoreError(
                f"{path}: is not the note of a study; delete it and run the study again (finished replicas are kept)"
            )
        return found

    def studies(self) -> list[str]:
        """Names of the experiments run here."""
        return sorted(p.stem for p in (self.path / "studies").glob("*.json") if not p.name.startswith(TEMPORARY))

    def size(self, key: str) -> int:
        """Bytes of a folder."""
        return sum(p.stat().st_size for p in self.folder(key).rglob("*") if p.is_file())

    def checkpoint(self, key: str, replica: int) -> Path:
        """Where the checkpoint of a replica lies while it is being trained."""
        return self._file(key, replica, "checkpoint")

    def leftovers(self) -> Iterator[Path]:
        """Temporary files of interrupted writes, too old to be a write that is going on; checkpoints of replicas that are finished."""
        for path in self.path.rglob(f"{TEMPORARY}*"):
            if time.time() - path.stat().st_mtime > WRITE_TAKES_SECONDS:
                yield path
        yield from (p for p in self.path.rglob("*.checkpoint") if p.with_suffix(".json").exists())

    def remove_replica(self, key: str, replica: int) -> int:
        """Delete a replica; returns the bytes freed."""
        freed = 0
        for suffix in ("json", *_SUFFIX.values()):  # the record first: without it the replica does not exist
            path = self._file(key, replica, suffix)
            try:
                size = path.stat().st_size
                path.unlink()
                freed += size
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None
        return freed

    def remove(self, key: str) -> None:
        """Delete all replicas of a digest.

        Raises:
            StoreError: the store cannot be written.
        """
        try:
            shutil.rmtree(self.folder(key))
        except OSError as error:
            raise StoreError(f"{self.folder(key)}: cannot be deleted ({error.strerror})") from None

    def _file(self, key: str, replica: int, suffix: str) -> Path:
        return self.folder(key) / f"{replica:04d}.{suffix}"


def digest_of_bytes(content: bytes) -> str:
    """BLAKE2b of a file's content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _ours(entry: Path) -> bool:
    """Whether an entry of a directory is what the making of a store, interrupted or going on elsewhere, leaves."""
    return entry.name in (*_FOLDERS, "store.json") or entry.name.startswith(TEMPORARY)


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps({"schema": SCHEMA_VERSION, **value}, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete it and run the study again, finished replicas are kept"
        ) from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: got {type(value).__name__}, expected a JSON object")
    return value
