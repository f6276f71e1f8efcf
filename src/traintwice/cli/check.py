"""What `check` does."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

from traintwice.engine import Engine
from traintwice.errors import unknown
from traintwice.specs import decode
from traintwice.study import Experiment
from traintwice.study.determinism import audit


def print_check(
    console: Console,
    experiment: Experiment,
    *,
    row: str | None,
    steps: int,
    threads: list[int] | None,
    engine: str,
    device: str,
    precision: str,
    as_json: bool,
) -> bool:
    """Run the audit on a row of a study and print what was found; returns whether trainings are deterministic.

    Raises:
        UnknownName: no such row. BadSpec: see `traintwice.study.audit`.
    """
    name = row or experiment.baseline
    if name not in experiment.rows:
        raise unknown("row", name, experiment.rows)
    named: Engine = decode(Engine, engine, "--engine")  # type: ignore[arg-type]
    how: Any = {"engine": named, "device": device, "precision": precision}
    found = audit(experiment.rows[name], experiment.data, seed=experiment.seed, steps=steps, threads=threads, **how)
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
