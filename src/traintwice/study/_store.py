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

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from traintwice._files import TEMPORARY, check_name
from traintwice._study_files import open_store, read_json, write_note
from traintwice._typed import check_arguments, typed
from traintwice.errors import StoreError
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
