"""Verbs that train with the methods of this package: `run`, `report`, `check`, `chain` and `tune`."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from traintwice._processes import started_early
from traintwice._user_code import allow_imports, names_a_function
from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.cli._replicate import report_replicas, trackers_of, train_and_show
from traintwice.errors import BadSpec, require, unknown
from traintwice.replication._study import is_replication, read_study

Seed = Annotated[int | None, typer.Option(help="Seed of the experiment.")]


def run(
    study: Annotated[str, typer.Argument(help="A study (see `traintwice list`) or a TOML file.")],
    replicas: Annotated[int | None, typer.Option(help="Replicas of each recipe; missing ones are trained.")] = None,
    seed: Seed = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as epochs=60 or optimizer.lr=0.1."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study in its store.")] = None,
    store: options.Store = options.DEFAULT_STORE,
    report: options.PageFolder = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the table only.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes of one thread each; by default one for each core, or one for a GPU."),
    ] = None,
    mix_numerics: Annotated[
        bool, typer.Option("--mix-numerics", help="Allow replicas of different engines, devices, threads or versions in one row.")
    ] = False,
    mix_code: Annotated[
        bool, typer.Option("--mix-code", help="Allow replicas of different versions of your code in one row.")
    ] = False,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "cpu",
    precision: options.PrecisionName = "float32",
    save_weights: Annotated[bool, typer.Option("--save-weights", help="Also keep the weights, for export and predict.")] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Seconds between checkpoints, from which an interrupted training continues.")
    ] = 60.0,
    scale: Annotated[str | None, typer.Option(help="Scale of a composite study, such as small or paper.")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--part", help="Part of a composite study, such as one of its data sets; repeat for more.")
    ] = None,
    against: options.Served = None,
    against_id: options.ServedId = None,
    track: options.Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: options.ResultsJson = False,
) -> None:
    """Train the missing replicas of a study, measure them, write the report."""
    if study.endswith(".toml") and is_replication(study):
        refused = {"--set": settings, "--name": name, "--scale": scale, "--part": parts, "--save-weights": save_weights}
        for unavailable, given in refused.items():
            if given:
                raise BadSpec(f"{unavailable}: {study} trains with a function or command of its own, which has no such option")
        arguments = read_study(study) | options.without_unsaid({"replicas": replicas, "seed": seed})
        out = None if no_report else report or options.DEFAULT_REPORT
        train_and_show(
            arguments, store, out, json=json, quiet=quiet, track=track, against=against, against_id=against_id, jobs=jobs
        )
        return
    require("torch", extra="torch", purpose="training")
    trackers = trackers_of(track)
    out = options.page_folder(report, no_report=no_report)
    # Workers import PyTorch at the same time as this process.
    with started_early(jobs if device == "cpu" else jobs or 1) as started:
        from traintwice.cli import _study as verbs
        from traintwice.presets import RunOptions
        from traintwice.served import Logged
        from traintwice.study import Experiment

        served = None if against is None else Logged(str(against), id=against_id)
        execution = verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs)
        train = partial(
            verbs.train,
            path=store,
            execution=execution,
            mix_numerics=mix_numerics,
            mix_code=mix_code,
            save_weights=save_weights,
            quiet=quiet,
            checkpoint_seconds=checkpoint_seconds,
            started=started,
        )
        found = verbs.find(
            study, replicas=replicas, seed=seed, settings=settings or [], name=name, scale=scale, parts=parts or []
        )
        if out is not None:
            verbs.check_writable(out)
        with output.interruptible():
            if not isinstance(found, Experiment):
                for option, value in (("--against", served), ("--track", track)):
                    if value:
                        raise BadSpec(f"{option}: {study} is a composite study, expected one experiment")
                wanted = RunOptions(
                    train, report=out, as_json=json, quiet=quiet, jobs=jobs, scale=scale, parts=tuple(parts or ()),
                    replicas=replicas, seed=seed, settings=tuple(settings or ()), device=device,
                )  # fmt: skip
                found.run(wanted)
                return
            results = train(found)
    verbs.show_results(results, out, as_json=json, served=served)
    for tracker in trackers:
        tracker(results)


def report(
    store: Annotated[Path, typer.Argument(help="Directory of trained replicas.")] = options.DEFAULT_STORE,
    study: Annotated[str | None, typer.Option(help="Name of the study, if the store has several.")] = None,
    report: Annotated[Path, typer.Option(help="Directory for the report.")] = options.DEFAULT_REPORT,
    trust: options.Trust = False,
    against: options.Served = None,
    against_id: options.ServedId = None,
    json: options.ResultsJson = False,
) -> None:
    """Write the report of a finished study again, without training."""
    from traintwice.replication._store import is_replica_store

    if is_replica_store(store):
        report_replicas(store, study, report, json=json)
        return
    require("torch", extra="torch", purpose="reading a study")
    require("altair", extra="report", purpose="the report")
    from traintwice.cli import _study as verbs
    from traintwice.served import Logged

    served = None if against is None else Logged(str(against), id=against_id)
    verbs.show_results(verbs.load(store, study, trust=trust), report, as_json=json, served=served)


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
    engine: options.EngineName = "auto",
    device: options.DeviceName = "cpu",
    precision: options.PrecisionName = "float32",
    seed: Seed = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as optimizer.lr=0.1.")
    ] = None,
    json: options.PlainJson = False,
) -> None:
    """Train one recipe several times with everything fixed and compare all weights after every step; exit status 1 if they differ.

    Of a function or command, the predictions of two processes with the same seed are compared.
    """
    if names_a_function(study) or " " in study or is_replication(study):
        _check_same_seed(study, row, seed, json=json)
        return
    require("torch", extra="torch", purpose="training")
    from traintwice.cli import _study as verbs
    from traintwice.study._determinism import audit

    experiment = verbs.find_experiment(study, settings=settings or [], seed=seed)
    name = row or experiment.baseline
    if name not in experiment.rows:
        raise unknown("row", name, experiment.rows)
    verbs.show_code(experiment)
    execution = verbs.execution_of(engine=engine, device=device, precision=precision)
    recipe, data = experiment.rows[name], experiment.data
    found = audit(recipe, data, seed=experiment.seed, steps=steps, threads=threads, execution=execution)
    verbs.show_audit(found, f"{experiment.name}, {name}", as_json=json)
    if not found.deterministic:
        raise output.Outcome(1)


def _check_same_seed(study: str, row: str | None, seed: int | None, *, json: bool) -> None:
    """Check a function, a command, or the trainer of a study file."""
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
    output.show_result(found, json=json)
    if not found.equal:
        raise output.Outcome(1)


def chain(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A TOML file with data, recipe and a table [chain].")],
    replicas: Annotated[int | None, typer.Option(help="Number of chains; missing replicas are trained.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of day 0.")] = None,
    store: options.Store = options.DEFAULT_STORE,
    report: options.PageFolder = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the tables only.")] = False,
    jobs: options.Jobs = None,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "cpu",
    precision: options.PrecisionName = "float32",
    mix_numerics: Annotated[
        bool, typer.Option("--mix-numerics", help="Allow replicas of different numerics in one row.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Retrain day by day (new weights, warm start, logged distillation), and measure the drift of the predictions."""
    require("torch", extra="torch", purpose="training")
    out = options.page_folder(report, no_report=no_report)
    from traintwice.cli import _study as verbs
    from traintwice.study import Chain, Store, gather_chain, prepare_chain, train_chain

    plan = Chain.read(file)
    plan = replace(plan, replicas=plan.replicas if replicas is None else replicas, seed=plan.seed if seed is None else seed)
    if out is not None:
        verbs.check_writable(out)
    verbs.show_code(plan, "chain")
    opened = Store(store)
    execution = verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs)
    made = prepare_chain(plan, opened, mix_numerics=mix_numerics, execution=execution)
    shown = {str(way): keys for way, keys in made.keys.items()}
    with (
        output.interruptible(),
        verbs.progress_for(plan.replicas, made.plan, shown, quiet=quiet) as advance,
        closing(train_chain(plan, opened, made)) as finishing,
    ):
        for finished in finishing:
            advance(finished.task.key)
    found = gather_chain(plan, opened, made)
    output.show_result(found, json=json)
    if out is not None:
        from traintwice.report import write_chain

        output.show_page(write_chain(found, out), wanted=not json)


def tune(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A TOML file of a study with a table [tune].")],
    least: Annotated[
        str, typer.Option("--min", metavar="LIMIT", help="Smallest allowed change from the baseline, such as accuracy=-0.1%.")
    ] = "accuracy=0",
    trials: Annotated[int | None, typer.Option(min=1, help="Settings to try; those tried before count.")] = None,
    store: options.Store = options.DEFAULT_STORE,
    report: options.PageFolder = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the table only.")] = False,
    jobs: options.Jobs = None,
    engine: options.EngineName = "auto",
    device: options.DeviceName = "cpu",
    precision: options.PrecisionName = "float32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Search the weights of a method by accuracy, churn and calibration, and report the front on other replicas."""
    require("torch", extra="torch", purpose="training")
    require("optuna", extra="tune", purpose="traintwice tune")
    out = options.page_folder(report, no_report=no_report)
    from traintwice._formatting import points, value_of
    from traintwice.cli import _study as verbs
    from traintwice.study import Store, Tuning, final, least_change, recorded, search, tuned

    tuning = Tuning.read(file, least=least_change(least)).change(trials=trials)
    if out is not None:
        verbs.check_writable(out)
    verbs.show_code(tuning.study)
    opened = Store(store)
    execution = verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs)
    with output.interruptible("trials"):
        with closing(search(tuning, opened, execution=execution)) as running:
            for trial in running:
                values = ", ".join(f"{path} {value:g}" for path, value in trial.values.items())
                measured = "diverged"
                if trial.churn is not None and trial.change is not None:
                    measured = f"churn {value_of(trial.churn, 'fraction')}, accuracy {points(trial.change)}"
                if not quiet:
                    number = f"trial {trial.number + 1} of {tuning.search.trials}"
                    print(f"{number}: {values}: {measured}", file=sys.stderr, flush=True)
        found_trials = recorded(tuning, opened)
        results = verbs.train(
            final(tuning, found_trials), store, execution=execution, mix_numerics=False, save_weights=False, quiet=quiet
        )
    found = tuned(tuning, found_trials, results)
    output.show_result(found, json=json)
    if found.chosen is not None and not json:
        output.show(f"\nWrite into {file}:\n\n{found.toml()}")
    if out is not None:
        from traintwice.report import write_tuned

        output.show_page(write_tuned(found, out), wanted=not json)
