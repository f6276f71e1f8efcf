"""Replicas of functions or commands as a study of a bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from traintwice._typed import typed
from traintwice.bank import BankStudy, NewRecipe, write_study
from traintwice.errors import BadInput, StoreError, unknown
from traintwice.metrics import accuracy, churn, churn_to_error, log_loss
from traintwice.predictions import open_predictions
from traintwice.replication._results import Replication


@typed
def add_replicas_to_bank(
    found: Replication,
    folder: str | Path,
    *,
    name: str,
    data: str,
    network: str,
    costs: Mapping[str, tuple[float, float]],
    replace: bool = False,
) -> BankStudy:
    """Write what the replicas of functions or commands predict on every test row into a bank.

    Args:
        found: the replicas, all finished. Rows are numbered in the order of their ids.
        folder: the bank; made where it does not exist.
        name: of the study in the bank.
        data, network: in words, for the manifest.
        costs: recipe to its cost, to train and to serve, as a multiple of one plain network.
        replace: replace a study of this name.
    Returns:
        The study as it is in the bank.
    Raises:
        StoreError: replicas are missing; the message counts them. BadInput: a recipe has no cost, predictions lack probabilities or
            labels, a study of this name is there. UnknownName: the cost of a recipe that is not there.
    """
    missing = {r: count for r in found.recipes if (count := found.wanted - len(found.records.get(r, {})))}
    if missing:
        told = ", ".join(f"{recipe} {count}" for recipe, count in missing.items())
        raise StoreError(f"{found.store}: replicas are missing ({told}); run the same `traintwice replicate` again to train them")
    for recipe in costs:
        if recipe not in found.recipes:
            raise unknown("recipe", recipe, found.recipes)
    without = [recipe for recipe in found.recipes if recipe not in costs]
    if without:
        raise BadInput(f"{without[0]}: its cost is not known; state what it costs to train and to serve: --cost {without[0]}=1,1")
    recipes = {}
    for recipe, files in found.paths.items():
        with open_predictions(files, **found.reading) as opened:
            whole = opened.read()
        measures = found.measure(recipe, which=[accuracy, churn, churn_to_error, log_loss]) if whole.has_labels else {}
        first = next(iter(found.records[recipe].values()))
        spec = {key: first[key] for key in ("trainer", "settings", "vary")}
        kept = {key: estimate.bounded() for key, estimate in measures.items()}
        recipes[recipe] = NewRecipe(whole, *costs[recipe], spec, kept)
    records = [record for of_recipe in found.records.values() for record in of_recipe.values()]
    versions = {str(record["versions"]): record["versions"] for record in records}
    about: dict[str, Any] = {
        "study": name,
        "title": f"{data}, {network}",
        "data": data,
        "network": network,
        "cost_of": "one plain network, as stated",
        "seed": records[0]["seed"],
        "date": max(cast(str, record["finished"]) for record in records)[:10],
        "training_seconds": round(sum(record["seconds"] for record in records), 3),
        "versions": list(versions.values()),
        "command": records[0]["trainer"],
    }
    return write_study(Path(folder), name, recipes, about, replace=replace)
