"""Replicas of a bank by name: ``bank:STUDY/RECIPE``, one of them, ``bank:STUDY/RECIPE/0``, or some, ``bank:STUDY/RECIPE/1-19``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._bank_folders import bank_study
from traintwice.predictions._bank_study import BankStudy
from traintwice.predictions._layout import Summary
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._reading import DEFAULTS, Reading

BANK = "bank:"

MEANINGFUL = ("memory", "on_missing", "by_position", "X")
"""Options of reading that replicas of a bank may have."""


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


def is_banked(given: Any) -> bool:
    """True for text that starts with ``bank:``."""
    return isinstance(given, str) and given.startswith(BANK)


def replicas_in_bank(text: str) -> list[BankReplica]:
    """The replicas that a name means.

    Raises:
        UnknownName: no such study or recipe; the nearest are offered.
        BadInput: the name has another form, or no such replica.
    """
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


def one_in_bank(text: str) -> BankReplica:
    """The replica that a name means.

    Raises:
        BadInput: it names several, or see `replicas_in_bank`.
    """
    found = replicas_in_bank(text)
    if len(found) > 1:
        raise BadInput(f"{text}: names {len(found)} replicas, expected one model; add its number, such as {text}/0")
    return found[0]


def read_banked(models: Sequence[BankReplica], reading: Reading) -> tuple[Predictions, Summary]:
    """Replicas of banks on the same examples, matched by their place in the test split.

    Raises:
        BadInput: a replica is named twice, the studies have other examples, or an option names a column.
    """
    given: dict[str, Any] = dict(reading)
    for name, default in DEFAULTS.items():
        if name not in MEANINGFUL and given[name] != default:
            raise BadInput(
                f"--{name.replace('_', '-')} has no meaning for {models[0]}: the columns of a bank are known; leave it out"
            )
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice is not None:
        raise BadInput(f"{twice} is named twice: a replica always agrees with itself; name each replica once")
    recipes = {(m.manifest, m.recipe): m.study for m in models}
    whole = {(path, recipe): study.predictions(recipe) for (path, recipe), study in recipes.items()}
    first = whole[models[0].manifest, models[0].recipe]
    for model in models[1:]:
        other = whole[model.manifest, model.recipe]
        if not np.array_equal(other.labels, first.labels):
            raise BadInput(f"{model} and {models[0]} have other test examples ({other.examples:,} and {first.examples:,} rows)")
    parts = [whole[m.manifest, m.recipe].models(m.number, m.number + 1) for m in models]
    found = first.change_replicas(lambda _: np.concatenate([np.asarray(part._values) for part in parts]))
    summary = Summary(
        files=tuple(map(str, models)), rows=found.examples, labelled=found.examples, order="by position",
        layouts=("predicted labels and their probability",) * len(models), label="true class", weight=None, classes=None,
        class_names=found.class_names, dropped=(0,) * len(models),
    )  # fmt: skip
    return found, summary
