"""The store of trained replicas: one file of logits and one record for each, under the digest of what determines them.

    runs/
      store.json                     marks the directory, with the version of its format
      studies/digits.json            the experiments run here
      chains/daily.json              the chains of retrains run here; searches/NAME.json: the searches of `traintwice tune`
      replicas/3f…/recipe.json       what the digest stands for
      replicas/3f…/0004.safetensors  raw logits of every component, by split
      replicas/3f…/0004.weights.safetensors   the weights, where requested
      replicas/3f…/0004.checkpoint   the state of a training in progress (`traintwice.study._checkpoint`)
      replicas/3f…/0004.json         the record: seed, data, numerics, versions, seconds, digests; written last
      replicas/3f…/0004.failed       reason and traceback of a training that raised; removed once the replica exists
      locks/                         held while a replica is being trained

A replica exists when its record does. Files are written under a temporary name and renamed, so an interruption leaves no half-written
file, and every file is checked against its digest when it is read.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy

from traintwice._files import TEMPORARY, check_name, write_whole
from traintwice._typed import check_arguments, typed
from traintwice.errors import Diverged, StoreError
from traintwice.specs import digest
from traintwice.study._locks import held_lock
from traintwice.study._replica_files import SCHEMA_VERSION, Arrays, Damage, Record, ReplicaFiles, as_json, read_json

FORMAT = 1
_KEY = re.compile(r"[0-9a-f]{32}")
_REPLICA = re.compile(r"\d{4,9}\.(json|safetensors|weights\.safetensors|checkpoint|failed)")
_UNFINISHED = re.compile(re.escape(TEMPORARY) + r"[0-9a-f]{32}")
"""Names of the folders and files that a store writes; others in its directory are not touched."""

WRITE_TAKES_SECONDS = 60

_FOLDERS = ("studies", "chains", "searches", "replicas", "locks")

Kind = Literal["chains", "searches"]
"""What a store keeps next to its studies; each names its replicas under "keys"."""

KINDS: tuple[Kind, ...] = ("chains", "searches")


class Store:
    """A directory of trained replicas.

    Args:
        path: of the directory.
        create: make the directory where it does not exist.
    Raises:
        StoreError: the directory cannot be made or written, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        check_arguments(Store.__init__, {"path": path, "create": create})
        check_name(path)
        self.path = Path(path)
        _check_directory(self.path, self._marker, create)
        if create:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if not self._marker.exists():
                    write_whole(self._marker, as_json({"layout": FORMAT}))
                for name in _FOLDERS:
                    (self.path / name).mkdir(exist_ok=True)
            except OSError as error:
                raise self._unwritable_store(error) from None

    @property
    def _marker(self) -> Path:
        return self.path / "store.json"

    def _unwritable_store(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path}: cannot be written ({error.strerror}); choose another --store")

    def unwritable(self, place: Path, error: OSError) -> StoreError:
        """The error to raise where a replica cannot be written."""
        if not self._marker.exists():
            return StoreError(f"{self.path}: the store was removed while it was in use; run again to train what was in it")
        return StoreError(f"{place}: cannot be written ({error.strerror}); finished replicas are kept; fix that and run again")

    @typed
    def folder(self, key: str) -> Path:
        """The folder with the replicas of one digest."""
        return self.path / "replicas" / key

    @typed
    def _files(self, key: str, replica: int) -> ReplicaFiles:
        return ReplicaFiles(self.folder(key), replica)

    def prepare(self, key: str, identity: Mapping[str, Any]) -> None:
        """Make the folder of a digest and write down what the digest stands for.

        Raises:
            StoreError: the folder holds another recipe's replicas, or cannot be written.
        """
        note = self.folder(key) / "recipe.json"
        if _describes(note, key):
            return
        try:
            self.folder(key).mkdir(parents=True, exist_ok=True)
            write_whole(note, as_json(identity))
        except OSError as error:
            raise self._unwritable_store(error) from None

    def lock(self, key: str, replica: int) -> AbstractContextManager[None]:
        """A lock to hold while a replica is trained, see `held_lock`; entering it raises `filelock.Timeout` where another process has it.

        Raises:
            StoreError: the store was removed or its disk is full, so the training could not be saved.
        """
        if not self._marker.exists():
            raise self.unwritable(self.path, FileNotFoundError())
        if shutil.disk_usage(self.path).free == 0:
            raise self.unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return held_lock(self.path / "locks" / f"{key}-{replica:04d}.lock")

    def save(self, key: str, replica: int, arrays: Arrays, record: Record, *, weights: Arrays | None = None) -> None:
        """Write a replica: first the arrays, then the record that makes it exist.

        Args:
            key, replica: which replica.
            arrays: predictions by split; empty for a replica that diverged.
            record: where the replica comes from.
            weights: of its networks; None stores none.
        Raises:
            StoreError: the disk is full or the directory is not writable.
        """
        try:
            self._files(key, replica).write(arrays, record, weights)
        except OSError as error:
            raise self.unwritable(self.folder(key), error) from None

    def save_failure(self, key: str, replica: int, reason: str, traceback: str) -> None:
        """Write down why the training of a replica raised; without a traceback where the reason says all.

        Raises:
            StoreError: the disk is full or the directory is not writable.
        """
        try:
            self._files(key, replica).write_failure(reason, traceback)
        except OSError as error:
            raise self.unwritable(self.folder(key), error) from None

    def record(self, key: str, replica: int) -> Record | Damage | None:
        """The record of a replica; `Damage` where a file differs from what was written; None where the replica does not exist."""
        found = self._files(key, replica).read()
        return found[0] if isinstance(found, tuple) else found

    def open(self, key: str, replica: int) -> tuple[Record, dict[str, np.ndarray]] | Damage | None:
        """`record` together with the replica's arrays (empty where it diverged), from one reading of the files."""
        read = self._files(key, replica).read()
        if not isinstance(read, tuple):
            return read
        found, contents = read
        return found, dict(safetensors.numpy.load(contents["logits"])) if "logits" in contents else {}

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
        read = self._files(key, replica).read()
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
        return sorted(int(p.stem) for p in self.folder(key).glob("[0-9]*.json") if _REPLICA.fullmatch(p.name))

    def digests(self) -> list[str]:
        """Digests that have a folder here."""
        folder = self.path / "replicas"
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(p.name for p in found if _KEY.fullmatch(p.name) and p.is_dir() and not p.is_symlink())

    def identity(self, key: str) -> dict[str, Any]:
        """What a digest stands for; empty where the file is damaged or missing, see `prepare`."""
        note = self.folder(key) / "recipe.json"
        try:
            found = read_json(note)
        except StoreError:
            return {}
        return found if _meant(found) == key else {}

    def save_study(self, name: str, study: Mapping[str, Any]) -> None:
        """Write down an experiment, so that its report can be made from the store alone."""
        try:
            write_whole(self.path / "studies" / f"{name}.json", as_json(study))
        except OSError as error:
            raise self._unwritable_store(error) from None

    @typed
    def study(self, name: str) -> dict[str, Any] | None:
        """The experiment of a name as plain values; None where there is none.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.path / "studies" / f"{name}.json"
        check_name(path)
        if not path.exists():
            return None
        found = read_json(path)
        if not {"rows", "replicas", "recipe"} <= set(found):
            raise StoreError(f"{path}: does not describe a study; delete it and run the study again (finished replicas are kept)")
        return found

    def studies(self) -> list[str]:
        """Names of the experiments run here."""
        return sorted(p.stem for p in (self.path / "studies").glob("*.json") if not p.name.startswith(TEMPORARY))

    def save_note(self, kind: Kind, name: str, content: Mapping[str, Any]) -> None:
        """Write down a chain or a search, with the digests of its replicas under "keys"."""
        try:
            write_whole(self.path / kind / f"{name}.json", as_json(content))
        except OSError as error:
            raise self._unwritable_store(error) from None

    def note(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """A chain or a search as it was written; None where there is none.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.path / kind / f"{name}.json"
        return read_json(path) if path.exists() else None

    def notes(self, kind: Kind) -> list[str]:
        """Names of the chains or searches run here."""
        return sorted(p.stem for p in (self.path / kind).glob("*.json") if not p.name.startswith(TEMPORARY))

    def size(self, key: str) -> int:
        """Bytes of a digest's folder."""
        return sum(p.stat().st_size for p in self.folder(key).rglob("*") if p.is_file())

    def checkpoint(self, key: str, replica: int) -> Path:
        """The file of a replica's checkpoint."""
        return self._files(key, replica).path("checkpoint")

    def leftovers(self) -> Iterator[Path]:
        """Temporary files of interrupted writes, older than any write takes, and checkpoints of finished replicas."""
        folders = [self.path, self.path / "studies", *map(self.folder, self.digests())]
        for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
            if _UNFINISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                if time.time() - path.stat().st_mtime > WRITE_TAKES_SECONDS:
                    yield path
            elif path.suffix == ".checkpoint" and _REPLICA.fullmatch(path.name) and path.with_suffix(".json").exists():
                yield path

    def remove_replica(self, key: str, replica: int) -> int:
        """Delete a replica; returns the bytes freed.

        Raises:
            StoreError: a file cannot be deleted.
        """
        return self._files(key, replica).remove()

    def remove(self, key: str) -> list[str]:
        """Delete all replicas of a digest; returns the names of other files, which are kept with the folder.

        Raises:
            StoreError: the store cannot be written.
        """
        folder, others = self.folder(key), []
        try:
            for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".json"):  # records first
                ours = path.name == "recipe.json" or any(form.fullmatch(path.name) for form in (_REPLICA, _UNFINISHED))
                if ours and not path.is_dir():
                    path.unlink()
                else:
                    others.append(path.name)
            if not others:
                folder.rmdir()
        except OSError as error:
            raise StoreError(f"{folder}: cannot be deleted ({error.strerror})") from None
        return others


def _check_directory(path: Path, marker: Path, create: bool) -> None:
    """Raise `StoreError` where a path cannot be a store."""
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: is a file, expected a directory; choose another --store")
    if not marker.exists():
        if path.is_dir() and any(not _ours(entry) for entry in path.iterdir()):
            raise StoreError(f"{path}: is not empty and not a store of traintwice (no store.json); choose another --store")
        if not create:
            raise StoreError(f"{path}: no store here; `traintwice run` makes one")
    elif (found := read_json(marker).get("layout")) != FORMAT:
        raise StoreError(f"{path}: has layout {found!r}, this version reads {FORMAT}; choose another --store")


def _describes(note: Path, key: str) -> bool:
    """Whether a readable ``recipe.json`` is there; a damaged one is written again.

    Raises:
        StoreError: the file belongs to another digest.
    """
    if not note.exists():
        return False
    try:
        known = read_json(note)
    except StoreError:
        return False
    if _meant(known) != key:
        raise StoreError(f"{note}: belongs to another recipe than the name of its folder; move {note.parent} away and run again")
    return True


def _meant(note: Mapping[str, Any]) -> str:
    known = note.get("schema") == SCHEMA_VERSION
    return digest({name: value for name, value in note.items() if not (known and name == "schema")})


def _ours(entry: Path) -> bool:
    """Whether the making of a store leaves such an entry."""
    return entry.name in (*_FOLDERS, "store.json") or entry.name.startswith(TEMPORARY)
