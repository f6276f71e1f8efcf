"""Banks of predictions: where they are, their studies, and single replicas by name.

A bank is a folder of the user, or one of an installed package: an entry point in the group `traintwice.banks` is a folder, or a function
that returns one. A study is a Parquet file of
predictions, and its manifest, a JSON file of the same name. ``bank:STUDY/RECIPE`` names the replicas of a recipe, ``bank:STUDY/RECIPE/0``
one of them, and ``bank:STUDY/RECIPE/1-19`` some.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np

from traintwice._database import Session, literal
from traintwice._installed import added
from traintwice._typed import typed
from traintwice.errors import BadInput, unknown
from traintwice.predictions._layout import Summary
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._reading import DEFAULTS, Reading

BANK = "bank:"

VARIABLE = "TRAINTWICE_BANK"
"""Environment variable with the user's folder; by default it is ``traintwice-bank`` in the current folder."""

SCHEMA = 1
"""Version of the manifest."""

REQUIRED = dict.fromkeys(("study", "data", "network", "date", "cost_of", "digest"), str) | {"examples": int, "recipes": dict}
"""Keys that every manifest has, and their types."""


def slug_of(name: str) -> str:
    """The name of a recipe as one word, for the command line.

    >>> slug_of("steady + EMA, well regularised"), slug_of("anti-distillation, 0.005")
    ('steady-ema-well-regularised', 'anti-distillation-0.005')
    """
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.")


@dataclass(frozen=True)
class BankRecipe:
    """One recipe of a study in a bank.

    Attributes:
        name, slug: its name, and the name as one word.
        replicas: M.
        train, serve: cost as a multiple of one plain network of the study.
        spec: the recipe as plain values; None where it is not known.
        measures: name of a measure to its value and its 95 % interval, or to its value alone; measured on the full probabilities.
    """

    name: str
    replicas: int
    train: float
    serve: float
    spec: Mapping[str, Any] | None
    measures: Mapping[str, tuple[float, ...]]

    @property
    def slug(self) -> str:
        return slug_of(self.name)


@dataclass(frozen=True)
class BankStudy:
    """A study of a bank.

    Attributes:
        path: of the manifest.
        manifest: how the replicas were trained.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> BankStudy:
        """The study of a manifest.

        Raises:
            BadInput: the file cannot be read, or is not a manifest.
        """
        try:
            found = json.loads(path.read_text())
        except OSError as reason:
            raise BadInput(f"{path}: cannot be read ({reason.strerror or reason})") from None
        except ValueError as reason:
            raise BadInput(f"{path}: not JSON ({reason}); expected the manifest of a study in a bank") from None
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            came = f"schema {found.get('schema')!r}" if isinstance(found, dict) else type(found).__name__
            raise BadInput(f"{path}: got {came}, expected the manifest of a study in a bank, schema {SCHEMA}")
        if wrong := [key for key, kind in REQUIRED.items() if not isinstance(found.get(key), kind)]:
            told = f"{path}: lacks {', '.join(wrong)}, or they are of the wrong type"
            raise BadInput(f"{told}; write it again with `traintwice bank add`")
        study = cls(path, found)
        _ = study.recipes
        return study

    @property
    def name(self) -> str:
        """Name of the study in the bank."""
        return self.path.stem

    @property
    def parquet(self) -> Path:
        """The file of the predictions."""
        return self.path.with_name(f"{self.name}.parquet")

    @property
    def replicas(self) -> int:
        """M; the largest, where recipes have different numbers."""
        return max(recipe.replicas for recipe in self.recipes.values())

    @cached_property
    def recipes(self) -> dict[str, BankRecipe]:
        """Name to recipe, in the order of the study.

        Raises:
            BadInput: the manifest describes no recipe, or one of them wrongly.
        """
        found = {}
        for name, given in self.manifest["recipes"].items():
            try:
                measures = {key: tuple(map(float, values)) for key, values in given["measures"].items()}
                numbers = int(given["replicas"]), float(given["train"]), float(given["serve"])
                if not 1 <= numbers[0] <= 10_000:
                    raise ValueError(f"{numbers[0]} replicas")
            except (KeyError, TypeError, ValueError, AttributeError) as reason:
                told = f"{self.path}: recipe {name!r} is damaged ({type(reason).__name__}: {reason})"
                raise BadInput(f"{told}; write it again with `traintwice bank add`") from None
            found[name] = BankRecipe(name, *numbers, given.get("recipe"), measures)
        if not found:
            raise BadInput(f"{self.path}: has no recipes; write it again with `traintwice bank add`")
        return found

    def recipe(self, name: str) -> BankRecipe:
        """A recipe by its name, or by its name as one word.

        Raises:
            UnknownName: no such recipe; the nearest are offered.
        """
        for recipe in self.recipes.values():
            if name in (recipe.name, recipe.slug):
                return recipe
        slugs = [recipe.slug for recipe in self.recipes.values()]
        raise unknown(f"recipe in the study {self.name} of the bank", name, slugs, listed=f"`traintwice bank {self.name}`")

    def predictions(self, recipe: str) -> Predictions:
        """Predicted labels of every replica on every test example, with their probability and that of the true label.

        Args:
            recipe: its name, or its name as one word.
        Raises:
            UnknownName: no such recipe. BadInput: the file is missing, damaged, or not that of the manifest.
        """
        known, n = self.recipe(recipe), self.manifest["examples"]
        try:
            digest = digest_of(self.parquet)
        except OSError as reason:
            told = f"{self.parquet}: cannot be read ({reason.strerror or reason})"
            raise BadInput(f"{told}; {self.path.name} is its manifest") from None
        if digest != self.manifest["digest"]:
            raise BadInput(f"{self.parquet}: is not the file that {self.path.name} describes; copy both, or write them again")
        sql = (
            f"SELECT y, vote, top, coalesce(label, top) AS label FROM read_parquet({literal(str(self.parquet))}) "
            f"WHERE recipe = {literal(known.name)} ORDER BY replica, example"
        )
        with closing(Session()) as session:
            columns = session.arrays(sql, doing=f"{self.parquet}: reading")
        if len(columns["vote"]) != known.replicas * n:
            raise BadInput(f"{self.parquet}: {known.name} has {len(columns['vote']):,} rows, expected {known.replicas} × {n:,}")
        y, vote, top, of_label = (np.asarray(columns[c]).reshape(known.replicas, n) for c in ("y", "vote", "top", "label"))
        names = self.manifest.get("class_names")
        found = Predictions.from_top(vote.astype(np.int64), top, of_label, y[0].astype(np.int64), class_names=names)
        return found.with_known(ids=np.arange(n))


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Banks:
    """Every study of every bank.

    Attributes:
        studies: by name, in the order of the folders.
        refused: name to the message why its study cannot be read.
        broken: a message for each bank that cannot be opened.
    """

    studies: dict[str, BankStudy]
    refused: dict[str, str]
    broken: tuple[str, ...]


def own_bank() -> Path:
    """The user's folder."""
    return Path(os.environ.get(VARIABLE) or "traintwice-bank")


def banks() -> Banks:
    """The studies of the user's folder and of all installed packages.

    A name that two banks have is refused: which of them is meant would be a guess.
    """
    own, folders, broken = own_bank(), [], []
    if own.is_dir():
        folders.append(own.resolve())
    elif VARIABLE in os.environ:
        broken.append(f"{VARIABLE}: {own} is not a folder")
    for _, folder, message in added("traintwice.banks", _folder, trouble="its bank cannot be opened"):
        if folder is None:
            broken.append(message)
        else:
            folders.append(folder)
    studies: dict[str, BankStudy] = {}
    refused: dict[str, str] = {}
    places: dict[str, Path] = {}
    for path in (path for folder in dict.fromkeys(folders) for path in sorted(folder.glob("*.json"))):
        if (other := places.setdefault(path.stem, path.parent)) != path.parent:
            refused[path.stem] = f"{path.stem} is in two banks, {other} and {path.parent}; rename one or set {VARIABLE}"
            studies.pop(path.stem, None)
            continue
        try:
            studies[path.stem] = BankStudy.read(path)
        except BadInput as reason:
            refused[path.stem] = str(reason)
    return Banks(studies, refused, tuple(broken))


def _folder(point: EntryPoint) -> Path:
    """The folder that an entry point names, or that its function returns."""
    found = point.load()
    return Path(found() if callable(found) else found).resolve()


@typed
def bank_study(name: str) -> BankStudy:
    """The study of this name.

    Raises:
        UnknownName: no bank has it; the nearest names are offered. BadInput: it cannot be read, or two banks have it.
    """
    found = banks()
    if name in found.refused:
        raise BadInput(found.refused[name])
    if name not in found.studies:
        broken = " ".join(f"({message})" for message in found.broken)
        raise unknown("study in a bank", name, found.studies, hint=broken, listed="`traintwice bank`")
    return found.studies[name]


@dataclass(frozen=True)
class BankReplica:
    """One replica of a recipe in a bank.

    Attributes:
        manifest: path of the manifest.
        recipe: name of the recipe as one word.
        number: of the replica.
        study: the study.
    """

    manifest: Path
    recipe: str
    number: int
    study: BankStudy = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{BANK}{self.study.name}/{self.recipe}/{self.number}"

    def table(self) -> dict[str, np.ndarray]:
        """Columns id, predicted and label, as those of a file."""
        whole = self.study.predictions(self.recipe)
        names = None if whole.class_names is None else np.array(whole.class_names, dtype=object)
        columns = {"predicted": np.asarray(whole.votes[self.number]), "label": np.asarray(whole.labels)}
        cells = {name: codes if names is None else names[codes] for name, codes in columns.items()}
        return {"id": np.arange(whole.examples), **cells}


def replicas_in_bank(text: str) -> list[BankReplica]:
    """The replicas that a name means."""
    name, *parts = text.removeprefix(BANK).split("/")
    if not name or len(parts) not in (1, 2) or not all(parts):
        told = "expected bank:STUDY/RECIPE, with /0 for one replica or /1-19 for some"
        raise BadInput(f"{text}: {told}; `traintwice bank` lists the studies")
    study = bank_study(name)
    recipe = study.recipe(parts[0])
    last = recipe.replicas - 1
    some = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", "/".join(parts[1:]) or f"0-{last}")
    start, end = (-1, -1) if some is None else (int(some[1]), int(some[2] or some[1]))
    if not 0 <= start <= end <= last:
        raise BadInput(
            f"{text}: got {parts[1]!r}, expected one of the replicas 0 to {last} of {recipe.slug}, or some, such as 0-{last}"
        )
    return [BankReplica(study.path, recipe.slug, m, study) for m in range(start, end + 1)]


def read_banked(models: Sequence[BankReplica], reading: Reading) -> tuple[Predictions, Summary]:
    """Replicas of banks on the same examples, matched by their place in the test split."""
    given: Mapping[str, Any] = reading
    for name, default in DEFAULTS.items():
        if name not in ("memory", "on_missing", "by_position", "X") and given[name] != default:
            told = f"--{name.replace('_', '-')} has no meaning for {models[0]}"
            raise BadInput(f"{told}: the columns of a bank are known; leave it out")
    if twice := [model for model in models if models.count(model) > 1]:
        raise BadInput(f"{twice[0]} is named twice: a replica always agrees with itself; name each replica once")
    studies = {(m.manifest, m.recipe): m.study for m in models}
    recipes = {key: study.predictions(key[1]) for key, study in studies.items()}
    wholes = [recipes[m.manifest, m.recipe] for m in models]
    for model, other in zip(models, wholes, strict=True):
        if not np.array_equal(other.labels, wholes[0].labels):
            rows = f"{other.examples:,} and {wholes[0].examples:,} rows"
            raise BadInput(f"{model} and {models[0]} have other test examples ({rows})")
    parts = [np.asarray(whole._values[[m.number]]) for m, whole in zip(models, wholes, strict=True)]
    found = wholes[0].change_replicas(lambda _: np.concatenate(parts))
    summary = Summary(
        files=tuple(map(str, models)),
        rows=found.examples,
        labelled=found.examples,
        order="by position",
        layouts=("predicted labels and their probability",) * len(models),
        label="true class",
        class_names=found.class_names,
        dropped=(0,) * len(models),
    )
    return found, summary
