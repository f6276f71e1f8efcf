"""What `check` does."""

from __future__ import annotations

import json

from rich.console import Console

from traintwice.engine import Execution
from traintwice.errors import unknown
from traintwice.study import Experiment
from traintwice.study.determinism import audit


def print_check(
    console: Console,
    experiment: Experiment,
    *,
    row: str | None,
    steps: int,
    threads: list[int] | None,
    execution: Execution,
    as_json: bool,
) -> bool:
    """Run the audit on a row of a study and print what was found; returns whether trainings are deterministic.

    Raises:
        UnknownName: no such row. BadSpec: see `traintwice.study.audit`.
    """
    name = row or experiment.baseline
    if name not in experiment.rows:
        raise unknown("row", name, experiment.rows)
    recipe, seed = experiment.rows[name], experiment.seed
    found = audit(recipe, experiment.data, seed=seed, steps=steps, threads=threads, execution=execution)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
        return found.deterministic
    n = found.numerics
    console.print(f"{experiment.name}, {name}: one replica, every source of randomness fixed", style="bold")
    console.print(f"engine: {found.choice.engine}: {found.choice.reason}")
    console.print(f"{n.dtype}, {n.device}, {n.processor}, torch {n.torch}; first training: 1 thread, alone\n")
    for sentence in found.sentences():
        console.print(sentence)
    return found.deterministic
