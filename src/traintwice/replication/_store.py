"""The directory of replicas of functions and commands: a prediction file and a record for each.

    runs/
      replicas.json                   marks the directory, with the version of its format
      study.json                      recipes in their order, replicas of each, how files are read: of the last study
      predictions/base/0000.parquet   predictions of a replica; predictions/base/test/0000.parquet where there are several splits
      records/base/0000.json          where the replica comes from, digests, seconds; written last
      failures/base/0000.json         reason and traceback of a failed replica; removed once it succeeds
      logs/base/0000.log              what the replica printed
      folders/base/0000/              files of the replica's own (`Run.folder`)

A replica exists when its record does. Files are written whole or not at all, and predictions are checked against their digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from traintwice._code import Code, changes
from traintwice._files import check_name, write_whole
from traintwice._installed import versions
from traintwice._study_files import NAME, NAME_IN_WORDS, content_digest, json_bytes, open_store, read_json, write_note
from traintwice._typed import check_arguments
from traintwice.errors import BadInput, StoreError
from traintwice.replication._answers import ONE_SPLIT, Answers
from traintwice.replication._executors import Outcome
from traintwice.served import ServedFile

__all__ = ["ReplicaStore"]

FORMAT = 1
MARKER = "replicas.json"
STUDY = "study.json"
FOLDERS = ("predictions", "records", "failures", "logs", "folders")

SAME = {
    "rows": "rows",
    "classes": "classes",
    "class names": "names of the classes",
    "ids": "ids",
    "index": "index",
    "labels": "labels",
}
"""What all replicas have in common, in words."""


class ReplicaStore:
    """A directory of replicas of functions and commands.

    Args:
        path: of the directory; made where it does not exist.
    Raises:
        StoreError: the directory cannot be made, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_arguments(ReplicaStore.__init__, {"path": path})
        check_name(path)
        open_store(Path(path), MARKER, {"format": FORMAT}, FOLDERS)
        self.path = Path(path).resolve()

    def remember(self, study: Mapping[str, Any]) -> None:
        """Write down what a study wants, for a report without its function."""
        path, content = self.path / STUDY, json_bytes(study)
        with suppress(OSError):
            if path.read_bytes() == content:
                return
        write_note(self.path, path, content)

    def remembered(self) -> dict[str, Any]:
        """What `remember` wrote.

        Raises:
            StoreError: nothing readable.
        """
        return read_json(self.path / STUDY)

    def folder(self, recipe: str, replica: int) -> Path:
        """The directory for files of a replica's own."""
        return self.path / "folders" / recipe / f"{replica:04d}"

    def log(self, recipe: str, replica: int) -> Path:
        """The file of what a replica prints."""
        return self.path / "logs" / recipe / f"{replica:04d}.log"

    def predictions(self, recipe: str, replica: int, split: str = ONE_SPLIT) -> Path:
        """The prediction file of a replica."""
        return self.path / "predictions" / recipe / split / f"{replica:04d}.parquet"

    def record(self, recipe: str, replica: int) -> dict[str, Any] | None:
        """The record of a replica; None where the replica is missing, or its files differ from what was written."""
        found = self._unchecked(recipe, replica)
        try:
            whole = found is not None and all(
                content_digest(self.predictions(recipe, replica, split).read_bytes()) == said["digest"]
                for split, said in found["splits"].items()
            )
        except (OSError, KeyError, TypeError):
            return None
        return found if whole else None

    def _unchecked(self, recipe: str, replica: int) -> dict[str, Any] | None:
        """The record of a replica, whatever its prediction files are; None where there is no readable record."""
        path = self._note("records", recipe, replica)
        try:
            found = read_json(path)
        except StoreError:
            return None
        return found if all(isinstance(found.get(key), dict) for key in ("splits", "code", "settings")) else None

    def failure(self, recipe: str, replica: int) -> dict[str, Any] | None:
        """Reason and traceback of a failed replica; None where it did not fail."""
        path = self._note("failures", recipe, replica)
        return read_json(path) if path.exists() else None

    def replicas(self, recipe: str) -> list[int]:
        """Numbers of the replicas with a record, in order."""
        return sorted(int(path.stem) for path in (self.path / "records" / recipe).glob("*.json") if path.stem.isdecimal())

    def check_origin(self, recipe: str, here: Mapping[str, Any], *, mix_code: bool) -> None:
        """Refuse to mix replicas of other settings or other code with those of a recipe.

        Raises:
            StoreError: with the names of what changed.
        """
        for replica in self.replicas(recipe):
            there = self._unchecked(recipe, replica)
            if there is None:
                continue
            other = [k for k in ("trainer", "settings", "seed", "vary") if there[k] != here[k]]
            if other:
                which = "; ".join(f"{key} {there[key]!r} there, {here[key]!r} here" for key in other)
                raise StoreError(
                    f"{self.path}: replica {replica} of {recipe!r} was trained with other settings ({which}). Give the recipe another "
                    "name, or use another --store"
                )
            changed = changes(there["code"], here["code"])
            if changed and not mix_code:
                raise StoreError(
                    f"{self.path}: replica {replica} of {recipe!r} was trained with other code ({', '.join(changed)} changed since). "
                    "Use another --store, give the recipe another name, or pass --mix-code (mix_code=True) to have both"
                )

    def save(self, recipe: str, replica: int, outcome: Outcome, origin: Mapping[str, Any]) -> str | None:
        """Write a replica, predictions first and the record last, unless it exists; or write down its failure.

        Returns:
            The reason of the failure; None where the replica exists now.
        Raises:
            StoreError: the directory cannot be written.
        """
        try:
            with self._lock() as alone:
                if alone:
                    self._clear(recipe)
                if self.record(recipe, replica) is not None:
                    return None
                reason = outcome.reason or self._difference(outcome.answers)
                if reason is not None:
                    self._fail(recipe, replica, outcome, reason)
                    return reason
                try:
                    splits = {split: self._written(recipe, replica, split, found) for split, found in outcome.answers.items()}
                except BadInput as error:
                    self._fail(recipe, replica, outcome, str(error))
                    return str(error)
                record = {
                    "recipe": recipe,
                    "replica": replica,
                    **origin,
                    "splits": splits,
                    "seconds": round(outcome.seconds, 3),
                    "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                    "versions": versions(),
                    "history": outcome.history,
                    "costs": dict(outcome.costs),
                }
                self._write("records", recipe, replica, record)
                self._note("failures", recipe, replica).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror}); finished replicas are kept") from None
        return None

    def _written(self, recipe: str, replica: int, split: str, answers: Answers) -> dict[str, Any]:
        """Write the predictions of a split; returns what the record has of them."""
        path = self.predictions(recipe, replica, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        answers.write(path)
        return {**answers.shape(), "digest": content_digest(path.read_bytes())}

    def _fail(self, recipe: str, replica: int, outcome: Outcome, reason: str) -> None:
        note = {"reason": reason, "traceback": outcome.traceback, "seconds": round(outcome.seconds, 3)}
        self._write("failures", recipe, replica, note)
        log = self.log(recipe, replica)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(outcome.traceback or f"{reason}\n")

    def _difference(self, answers: Mapping[str, Answers]) -> str | None:
        """How answers differ from those of the other replicas; None where all have the same rows and classes."""
        folders = sorted((self.path / "records").iterdir())
        found = (self._unchecked(folder.name, replica) for folder in folders for replica in self.replicas(folder.name))
        first = next(filter(None, found), None)
        return None if first is None else difference_in_words(first, answers)

    def _note(self, kind: str, recipe: str, replica: int) -> Path:
        return self.path / kind / recipe / f"{replica:04d}.json"

    def _write(self, kind: str, recipe: str, replica: int, content: Mapping[str, Any]) -> None:
        path = self._note(kind, recipe, replica)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json_bytes(content, default=repr))

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Held while a replica is written; yields whether it is held. Without locks of the file system files are whole all the same."""
        with (self.path / ".lock").open("w") as file:
            held = False
            with suppress(ImportError, OSError):
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
                held = True
            yield held

    def _clear(self, recipe: str) -> None:
        """Delete what killed writers left of a recipe: only the holder of the lock writes there."""
        for kind in ("predictions", "records", "failures"):
            for path in (self.path / kind / recipe).rglob(".*"):
                path.unlink(missing_ok=True)


def origin_of(trainer: str, settings: Mapping[str, Any], seed: int, vary: Sequence[str] | None, code: Code) -> dict[str, Any]:
    """What determines the replicas of a recipe, in plain values for their records. ``vary``: free sources of randomness; None: all."""
    values = {"trainer": trainer, "settings": dict(settings), "seed": seed, "vary": vary, "code": code}
    found: dict[str, Any] = json.loads(json.dumps(values, default=_described))
    return found


def difference_in_words(there: Mapping[str, Any], answers: Mapping[str, Answers]) -> str | None:
    """How answers differ from those in the record of another replica; None where they have the same rows and classes."""
    name = f"replica {there['replica']} of {there['recipe']!r}"
    if set(there["splits"]) != set(answers):
        return f"returned the splits {sorted(answers)}, {name} has {sorted(there['splits'])}"
    for split, found in answers.items():
        known, here = there["splits"][split], found.shape()
        key = next((key for key in SAME if _differ(key, known, here)), None)
        where = f" of split {split!r}" if split else ""
        if key == "index":
            return (
                f"the rows{where} have another pandas index than in {name}, so that rows of other examples would be compared. Return a "
                "table with a column of ids, or the same rows in the same order"
            )
        if key == "labels" and here["ids"] is None:
            return (
                f"the labels{where} come in another order than in {name}, so that the rows are in another order too. Return a table with a "
                "column of ids, or keep the order of the rows"
            )
        if key in ("ids", "labels"):
            return f"the {key}{where} differ from those of {name}; all replicas must answer the same rows"
        if key is not None:
            return f"{here[key]} {SAME[key]}{where}, {name} has {known[key]}; all replicas must answer the same rows and classes"
    return None


def _differ(key: str, known: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether a value that all replicas have in common differs from that in a record.

    Predicted labels name the classes that a replica predicts, so that these names, and the numbers of the labels, may differ. Names that
    are the numbers of the classes are as good as none.
    """
    by_name = "names of labels"
    if by_name in known and by_name in here and key in ("class names", "labels"):
        return key == "labels" and bool(known[by_name] != here[by_name])
    if key == "class names" and known[key] == list(map(str, range(len(known[key] or ())))):
        return here[key] not in (None, known[key])
    return key in known and bool(known[key] != here[key])


def is_replica_store(path: str | os.PathLike[str]) -> bool:
    """Whether a directory is a `ReplicaStore`."""
    return (Path(path) / MARKER).is_file()


def check_names(recipes: Sequence[str]) -> None:
    """Refuse names of recipes that cannot be names of files."""
    if not recipes:
        raise StoreError("recipes: got none, expected at least one")
    for name in recipes:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise StoreError(f"recipes: got the name {name!r}, expected {NAME_IN_WORDS}")


def _described(setting: Any) -> Any:
    """A setting that JSON does not have; of a model in service the content, wherever the file is."""
    if isinstance(setting, ServedFile):
        return {"type": type(setting).__name__, **{key: value for key, value in vars(setting).items() if key != "file"}}
    return repr(setting)
