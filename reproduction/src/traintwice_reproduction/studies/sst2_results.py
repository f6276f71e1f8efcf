"""The results of the study on SST-2 as plain values, and its rows for the bank."""

from __future__ import annotations

from typing import Any

from traintwice import metrics
from traintwice.methods import Method
from traintwice.replication import Replication, add_replicas_to_bank
from traintwice.specs import decode
from traintwice_reproduction.kept import BANK, rounded
from traintwice_reproduction.studies.evidence import rows_of
from traintwice_reproduction.studies.sst2 import RECIPES, Settings

DATA, NETWORK = "SST-2", "MiniLM-L6 (all-MiniLM-L6-v2), fine-tuned"


def costs(recipe: str) -> tuple[float, float]:
    """The cost of a recipe, to train and to serve, as a multiple of the baseline. The deployed teacher of all replicas is not counted."""
    settings = Settings(**RECIPES[recipe])
    method: Method = decode(Method, settings.method, "method")
    return method.components * settings.epochs / Settings().epochs, 1.0 if method.keep == "first" else float(method.components)


def summary(found: Replication, name: str, date: str) -> dict[str, Any]:
    """Accuracy, churn, log loss and cost of each recipe, and its differences from the first, Holm-adjusted over the recipes."""
    measured = (metrics.accuracy, metrics.churn, metrics.log_loss)
    compared = found.compare(which=measured[:2])
    rows = rows_of(
        {recipe: dict(found.measure(recipe, which=measured)) for recipe in found.recipes},
        {recipe: dict(zip(("train", "serve"), costs(recipe), strict=True)) for recipe in found.recipes},
        {m.definition.name: [c[m.definition.name].difference for c in compared.values()] for m in measured[:2]},
    )
    some = next(iter(found.records[found.recipes[0]].values()))
    return {
        "schema": 1,
        "study": f"evidence.{name}",
        "date": date,
        "replicas": found.wanted,
        "data": DATA,
        "network": NETWORK,
        "train_examples": some["settings"]["sentences"],
        "test_examples": next(iter(some["splits"].values()))["rows"],
        "rows": rounded(rows, 5),
        "versions": some["versions"],
    }


def add_to_bank(found: Replication, name: str, command: str) -> None:
    """Add what every replica predicts to the bank of this package."""
    add_replicas_to_bank(
        found,
        BANK,
        name=name,
        data=DATA,
        network=NETWORK,
        costs={recipe: costs(recipe) for recipe in found.recipes},
        command=command,
        replace=True,
    )
