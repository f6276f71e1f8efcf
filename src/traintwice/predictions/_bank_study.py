"""One study of a bank: a Parquet file of predictions, and its manifest, a JSON file of the same name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput, unknown
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._session import Session, literal

__all__ = ["COLUMNS", "SCHEMA", "BankRecipe", "BankStudy", "slug_of"]

SCHEMA = 1
"""Version of the manifest."""

COLUMNS = {
    "recipe": "name of the recipe",
    "replica": "0 to M − 1",
    "example": "place in the test split, from 0",
    "y": "true class",
    "vote": "predicted class",
    "top": "probability of the predicted class, rounded to float16",
    "label": "probability of the true class, rounded to float16 and at least 6e-8; missing where it is the predicted class",
}
"""Columns of the Parquet file."""

REQUIRED: Mapping[str, type] = {
    "study": str,
    "data": str,
    "network": str,
    "date": str,
    "cost_of": str,
    "examples": int,
    "digest": str,
    "recipes": dict,
}
"""Keys that every manifest has."""


def slug_of(name: str) -> str:
    """The name of a recipe as one word, for the command line.

    >>> slug_of("steady + EMA, well regularised"), slug_of("anti-distillation, 0.005")
    ('steady-ema-well-regularised', 'anti-distillation-0.005')
    """
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.")


MOST_REPLICAS = 10_000
"""Of a recipe in a manifest that is read."""


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
        wrong = [key for key, kind in REQUIRED.items() if not isinstance(found.get(key), kind)]
        if wrong:
            raise BadInput(
                f"{path}: lacks {', '.join(wrong)}, or they are of the wrong type; write it again with `traintwice bank add`"
            )
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
                if not 1 <= numbers[0] <= MOST_REPLICAS:
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
        self._check_digest()
        sql = (
            f"SELECT y, vote, top, coalesce(label, top) AS label FROM read_parquet({literal(str(self.parquet))}) "
            f"WHERE recipe = {literal(known.name)} ORDER BY replica, example"
        )
        session = Session()
        try:
            columns = session.arrays(sql, doing=f"{self.parquet}: reading")
        finally:
            session.close()
        shape = (known.replicas, n)
        if len(columns["vote"]) != known.replicas * n:
            raise BadInput(f"{self.parquet}: {known.name} has {len(columns['vote']):,} rows, expected {known.replicas} × {n:,}")
        y, vote, top, of_label = (np.asarray(columns[c]).reshape(shape) for c in ("y", "vote", "top", "label"))
        names = self.manifest.get("class_names")
        found = Predictions.from_top(vote.astype(np.int64), top, of_label, y[0].astype(np.int64), class_names=names)
        return found.with_known(ids=np.arange(n))

    def _check_digest(self) -> None:
        try:
            digest = digest_of(self.parquet)
        except OSError as reason:
            raise BadInput(
                f"{self.parquet}: cannot be read ({reason.strerror or reason}); {self.path.name} is its manifest"
            ) from None
        if digest != self.manifest["digest"]:
            raise BadInput(f"{self.parquet}: is not the file that {self.path.name} describes; copy both, or write them again")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
