"""The store of trained replicas: one file of logits and one record for each, under the digest of what determines them; checkpoints.

    runs/
      store.json                     marks the directory, with the version of its format
      studies/digits.json            the experiments run here
      chains/daily.json              the chains of retrains run here; searches/NAME.json: the searches of `traintwice tune`
      replicas/3f…/recipe.json       what the digest stands for
      replicas/3f…/0004.safetensors  raw logits of every component, by split
      replicas/3f…/0004.weights.safetensors   the weights, where requested
      replicas/3f…/0004.checkpoint   the state of a training in progress, see `Checkpoint`
      replicas/3f…/0004.json         the record: seed, data, numerics, versions, seconds, digests; written last
      replicas/3f…/0004.failed       reason and traceback of a training that raised; removed once the replica exists
      locks/                         held while a replica is being trained

A replica exists when its record does. Files are written under a temporary name and renamed, so an interruption leaves no half-written
file, and every file is checked against its digest when it is read.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch

from traintwice._files import TEMPORARY, check_name, write_whole
from traintwice._study_files import content_digest, open_store, read_json, write_note
from traintwice._typed import check_arguments, typed
from traintwice.engine import Numerics, State, Stateful
from traintwice.errors import BadSpec, StoreError
from traintwice.specs import digest
from traintwice.study._replicas import REPLICA_FILE, SCHEMA_VERSION, SUFFIX, Replicas, as_json

FORMAT = 1

_KEY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = re.compile(re.escape(TEMPORARY) + r"[0-9a-f]{32}")
"""Names of folders and files that a store writes; others in its directory are not touched."""

WRITE_TAKES_SECONDS = 60

Kind = Literal["studies", "chains", "searches"]
"""What a store keeps notes of. Chains and searches name their replicas under "keys"."""

KINDS: tuple[Kind, ...] = ("chains", "searches")

FOLDERS = ("studies", *KINDS, "replicas", "locks")


class Store(Replicas):
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
        self._marker = self.path / "store.json"
        open_store(self.path, self._marker.name, {"schema": SCHEMA_VERSION, "layout": FORMAT}, FOLDERS, create=create)

    def save_note(self, kind: Kind, name: str, content: Mapping[str, Any]) -> None:
        """Write down a study, a chain or a search."""
        write_note(self.path, self.path / kind / f"{name}.json", as_json(content))

    def note(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """A study, a chain or a search as it was written; None where there is none.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.path / kind / f"{name}.json"
        check_name(path)
        return read_json(path) if path.exists() else None

    def notes(self, kind: Kind) -> list[str]:
        """Names of the studies, chains or searches run here."""
        return sorted(p.stem for p in (self.path / kind).glob("*.json") if not p.name.startswith(TEMPORARY))

    def save_study(self, name: str, study: Mapping[str, Any]) -> None:
        """Write down an experiment, so that its report can be made from the store alone."""
        self.save_note("studies", name, study)

    @typed
    def study(self, name: str) -> dict[str, Any] | None:
        """The experiment of a name as plain values; None where there is none.

        Raises:
            StoreError: the file is damaged.
        """
        found = self.note("studies", name)
        if found is not None and not {"rows", "replicas", "recipe"} <= found.keys():
            raise StoreError(
                f"{self.path / 'studies' / name}.json: does not describe a study; delete it and run the study again (finished replicas are "
                "kept)"
            )
        return found

    def studies(self) -> list[str]:
        """Names of the experiments run here."""
        return self.notes("studies")

    def digests(self) -> list[str]:
        """Digests that have a folder here."""
        folder = self.path / "replicas"
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(p.name for p in found if _KEY.fullmatch(p.name) and p.is_dir() and not p.is_symlink())

    def replicas(self, key: str) -> list[int]:
        """Numbers of the replicas that have a record, in order."""
        return sorted(int(p.stem) for p in self.folder(key).glob("[0-9]*.json") if REPLICA_FILE.fullmatch(p.name))

    def size(self, key: str) -> int:
        """Bytes of a digest's folder."""
        return sum(p.stat().st_size for p in self.folder(key).rglob("*") if p.is_file())

    def leftovers(self) -> Iterator[Path]:
        """Temporary files of interrupted writes, older than any write takes, and checkpoints of finished replicas."""
        folders = [self.path, *(self.path / kind for kind in ("studies", *KINDS)), *map(self.folder, self.digests())]
        for path in (path for folder in folders if folder.is_dir() for path in folder.iterdir()):
            if _UNFINISHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                if time.time() - path.stat().st_mtime > WRITE_TAKES_SECONDS:
                    yield path
            elif path.suffix == ".checkpoint" and REPLICA_FILE.fullmatch(path.name) and path.with_suffix(".json").exists():
                yield path

    def remove_replica(self, key: str, replica: int) -> int:
        """Delete a replica, its record first; returns the bytes freed.

        Raises:
            StoreError: a file cannot be deleted.
        """
        freed = 0
        for suffix in ("json", *SUFFIX.values(), "failed"):
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

    def remove(self, key: str) -> list[str]:
        """Delete all replicas of a digest; returns the names of other files, which are kept with the folder.

        Raises:
            StoreError: the store cannot be written.
        """
        folder, others = self.folder(key), []
        try:
            for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".json"):  # records first
                ours = path.name == "recipe.json" or any(form.fullmatch(path.name) for form in (REPLICA_FILE, _UNFINISHED))
                if ours and not path.is_dir():
                    path.unlink()
                else:
                    others.append(path.name)
            if not others:
                folder.rmdir()
        except OSError as error:
            raise StoreError(f"{folder}: cannot be deleted ({error.strerror})") from None
        return others


def as_store(store: str | os.PathLike[str] | Store) -> Store:
    """A store, opened where it is a path."""
    return store if isinstance(store, Store) else Store(store)


CHECKPOINT_FORMAT = 3
"""Version of the checkpoint; raised when the names in a state change."""


@dataclass(frozen=True)
@typed
class Every:
    """How often a training in progress is saved.

    Args:
        seconds: between two checkpoints, > 0.
        steps: optimiser steps between two checkpoints, >= 1; None counts seconds.
    Raises:
        BadSpec: a setting outside its range.
    """

    seconds: float = 60.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise BadSpec(f"Every.seconds: got {self.seconds}, expected a number greater than 0")
        if self.steps is not None and self.steps < 1:
            raise BadSpec(f"Every.steps: got {self.steps}, expected at least 1")


EVERY_MINUTE = Every()


class Clock:
    """The times at which to save, the same for all replicas that are trained together, so that they can resume together."""

    def __init__(self, every: Every) -> None:
        self.every = every
        self._last = time.monotonic()
        self._answered = (0, False)

    def due(self, steps: int) -> bool:
        """Whether to save the state after so many steps."""
        if self._answered[0] != steps:
            now = time.monotonic()
            apart = steps % self.every.steps == 0 if self.every.steps is not None else now - self._last >= self.every.seconds
            self._answered = (steps, apart)
            self._last = now if apart else self._last
        return self._answered[1]


class Checkpoint:
    """The checkpoint of one replica, a `Keeper`: a file in the folder of the replica, removed when the replica is finished.

        one line of JSON: key, replica, numerics, steps, seconds, digest of the rest, digest of this line
        the state in safetensors

    It is used only where key, replica and numerics match: a checkpoint of another recipe or of other numerics would lead to other bits.
    ``share`` of the elapsed time counts for this replica, where several train together.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        replica: int,
        numerics: Numerics,
        clock: Clock,
        share: float = 1.0,
        *,
        code: Mapping[str, str] | None = None,
    ) -> None:
        self.path = store.checkpoint(key, replica)
        self._store = store
        self.clock, self.share = clock, share
        self.resumed: list[int] = []
        self.ignored: str | None = None
        self._identity: dict[str, Any] = {
            "format": CHECKPOINT_FORMAT,
            "key": key,
            "replica": replica,
            "numerics": numerics.plain(),
        }
        if code:
            self._identity["code"] = dict(code)
        self._started = time.monotonic()
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Duration of the training, the time before interruptions included."""
        return self._before + (time.monotonic() - self._started) * self.share

    def resume(self) -> tuple[int, State] | None:
        """Steps taken and the state after them; None where there is no checkpoint of this training."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.ignored = f"{self.path.name} cannot be read ({error.strerror}); training from the beginning"
            return None
        line, _, body = content.partition(b"\n")
        found = _checked(line, body)
        if found is None:
            self.ignored = f"{self.path.name} is damaged; training from the beginning"
            return None
        different = [name for name, value in self._identity.items() if found.get(name) != value]
        if different:
            self.ignored = (
                f"{self.path.name} belongs to another training (other {' and '.join(different)}); training from the beginning"
            )
            return None
        self._before = found["seconds"]
        self.resumed = [*found["resumed"], found["steps"]]
        return found["steps"], safetensors.torch.load(body)

    def after_step(self, steps: int, training: Stateful) -> None:
        """Save the state where it is due.

        Raises:
            StoreError: the disk is full or the store was removed.
        """
        if not self.clock.due(steps):
            return
        body = safetensors.torch.save(training.state())
        progress = {"steps": steps, "seconds": round(self.seconds, 3), "resumed": self.resumed, "state": content_digest(body)}
        record = self._identity | progress
        line = json.dumps({**record, "record": digest(record)})
        try:
            write_whole(self.path, line.encode() + b"\n" + body)
        except OSError as error:
            raise self._store.unwritable(self.path.parent, error) from None

    def remove(self) -> None:
        """Delete the checkpoint: the replica is in the store."""
        self.path.unlink(missing_ok=True)


def _checked(line: bytes, body: bytes) -> dict[str, Any] | None:
    """The first line of a checkpoint; None where line or state are damaged."""
    try:
        found: dict[str, Any] = json.loads(line)
        whole = found.pop("record") == digest(found) and found["state"] == content_digest(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole else None
