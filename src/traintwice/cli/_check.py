"""`traintwice check`: whether two trainings of one recipe give the same bits."""

from __future__ import annotations

import json as to_json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from traintwice._user_code import allow_imports, names_a_function
from traintwice.cli._ending import Outcome
from traintwice.cli._options import DeviceName, EngineName, PrecisionName
from traintwice.errors import require, unknown
from traintwice.replication._study_file import is_replication, read_study


def check(
    study: Annotated[
        str,
        typer.Argument(
            help="A study or a TOML file that has the recipe; or a function, such as train:main; or a quoted command with {seed} and {out}."
        ),
    ] = "digits",
    row: Annotated[str | None, typer.Option("--row", help="Recipe of the study; the baseline by default.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps; the check of the churn paper has 10000.")] = 1000,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            min=2, help="Number of threads to compare with one thread, 2 by default; loop engine only. Repeat for more."
        ),
    ] = None,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    precision: PrecisionName = "float32",
    seed: Annotated[int | None, typer.Option(help="Seed of the experiment.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimizer.lr=0.1."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Train one recipe several times with everything fixed and compare all weights after every step; exit status 1 if they differ.

    Of a function or command, the predictions of two processes with the same seed are compared.
    """
    if names_a_function(study) or " " in study or is_replication(study):
        _check_same_seed(study, row, seed, json=json)
        return
    require("torch", extra="torch", purpose="training")
    from rich.console import Console

    from traintwice.cli._study import execution_of, find_experiment, show_code
    from traintwice.study._determinism import audit

    experiment = find_experiment(study, settings=settings or [], seed=seed)
    name = row or experiment.baseline
    if name not in experiment.rows:
        raise unknown("row", name, experiment.rows)
    show_code(experiment)
    execution = execution_of(engine=engine, device=device, precision=precision)
    recipe, data = experiment.rows[name], experiment.data
    found = audit(recipe, data, seed=experiment.seed, steps=steps, threads=threads, execution=execution)
    if json:
        print(to_json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        console, n = Console(highlight=False), found.numerics
        console.print(f"{experiment.name}, {name}: one replica, every source of randomness fixed", style="bold")
        console.print(f"engine: {found.choice.engine}: {found.choice.reason}")
        console.print(f"{n.dtype}, {n.device}, {n.processor}, torch {n.torch}; first training: 1 thread, alone\n")
        for sentence in found.sentences():
            console.print(sentence)
    if not found.deterministic:
        raise Outcome(1)


def _check_same_seed(study: str, row: str | None, seed: int | None, *, json: bool) -> None:
    """Check a function, a command, or the trainer of a study file."""
    from traintwice.cli import _output as output
    from traintwice.replication._check import check_same_seed

    allow_imports()
    plain: dict[str, Any] = read_study(study) if is_replication(study) else {"train": study}
    if names_a_function(study):
        sys.path.insert(0, str(Path.cwd()))
    recipes: dict[str, Any] = plain.get("recipes", {"base": {}})
    name = row or next(iter(recipes))
    if name not in recipes:
        raise unknown("recipe", name, recipes)
    base = plain.get("seed", 0) if seed is None else seed
    found = check_same_seed(plain["train"], settings=recipes[name], seed=base, **plain.get("reading", {}))
    output.show_result(found.sheet(), plain=found.to_dict(), json=json, markdown=False)
    if not found.equal:
        raise Outcome(1)
