"""A trained study as a study of a bank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from traintwice._typed import typed
from traintwice.bank import BankStudy, NewRecipe, write_study
from traintwice.predictions._bank import slug_of
from traintwice.specs import encode
from traintwice.study._results import MEASURES, Results


@typed
def add_to_bank(
    results: Results,
    folder: str | Path,
    *,
    name: str | None = None,
    command: str | None = None,
    replace: bool = False,
) -> BankStudy:
    """Write what every replica of a study predicts on every test row into a bank.

    Args:
        results: of a trained study.
        folder: the bank; made where it does not exist.
        name: of the study in the bank; None: that of the study, in lower case.
        command: that trains the study, for the manifest.
        replace: replace a study of this name.
    Returns:
        The study as it is in the bank. Replicas that diverged are left out and counted in its manifest.
    Raises:
        BadInput: a study of this name is there, or the folder cannot be written.
    """
    experiment, data = results.experiment, results.data
    base = results.baseline
    recipes = {}
    for row, result in results.rows.items():
        measures = {m.definition.name: e.bounded() for m in MEASURES if (e := results.estimate(m, row)) is not None}
        recipes[row] = NewRecipe(
            result.test, round(result.cost.train, 4), round(result.cost.serve, 4), encode(result.recipe), measures
        )
    environment = results.environment()
    finished = [record["finished"] for result in results.rows.values() for record in result.records if "finished" in record]
    about: dict[str, Any] = {
        "study": experiment.name,
        "title": results.title,
        "data": data.name,
        "network": base.recipe.network.describe(data.shape, data.classes),
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
        "cost_of": f"one network of {base.name}",
        "data_digest": data.digest,
        "train_examples": len(data.train),
        "data_draws": "data" in base.recipe.free(),
        "seed": experiment.seed,
        "date": max(finished, default="")[:10],
        "training_seconds": environment["training_seconds"],
        "versions": environment["versions"],
        "processors": sorted({str(numerics["processor"]) for numerics in environment["numerics"]}),
        "numerics": environment["numerics"],
        "diverged": {row: len(lost) for row, lost in results.diverged.items()},
        "command": command,
    }
    return write_study(Path(folder), name or slug_of(experiment.name), recipes, about, replace=replace)
