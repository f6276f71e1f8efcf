"""The command line: main, and the verbs run, report, list and show. Verbs import what they need, so that --help is fast."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from traintwice._processes import started_early
from traintwice._user_code import imports_refused
from traintwice._versions import diagnostic
from traintwice.cli._answering import selective, update
from traintwice.cli._bank import bank
from traintwice.cli._chain import chain
from traintwice.cli._check import check
from traintwice.cli._demo import demo
from traintwice.cli._diff import diff
from traintwice.cli._doctor import doctor
from traintwice.cli._ending import Outcome, end_by_signal, end_streams, prepare_streams, show_error, show_usage_error
from traintwice.cli._gate import gate
from traintwice.cli._history import history
from traintwice.cli._measure import measure, plan, tokens
from traintwice.cli._options import (
    DEFAULT_REPORT,
    DEFAULT_STORE,
    DeviceName,
    EngineName,
    PageFolder,
    PrecisionName,
    Served,
    ServedId,
    Track,
    Trust,
    Verb,
    page_folder,
)
from traintwice.cli._replicate import is_replica_store, replicate, report_replicas, run_file, trackers_of
from traintwice.cli._storage import export, fetch, predict, store
from traintwice.cli._sums import sums
from traintwice.cli._tune import tune
from traintwice.errors import BadSpec, TraintwiceError, require
from traintwice.replication._study_file import is_replication

UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Base class of usage errors, in the version of click that typer uses."""

app = typer.Typer(
    name="traintwice",
    help="Measure prediction churn (the share of rows whose answer changes when a model is retrained), and train models with less of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line.

    Exit status: 0 success (gate: kept), 1 gate over budget or check failed, 2 an error that the user can fix (one message), 3 gate
    inconclusive, 4 a defect of this package (a traceback).
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_by_signal)  # until training begins, Ctrl-C ends the process without a message
    prepare_streams()
    status = 0
    try:
        with imports_refused():
            code = app(standalone_mode=False)
        status = 2 if code == 1 else int(code or 0)
    except Outcome as end:
        status = int(end.code or 0)
    except SystemExit as end:
        status = 2 if end.code == 1 else int(end.code or 0)
    except TraintwiceError as error:
        show_error(str(error))
        status = 2
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            show_error(f"{error.filename or 'standard output or standard error'}: {error.strerror or error}")
        status = 2
    except MemoryError:
        show_error("there is not enough memory for this")
        status = 2
    except UsageError as error:
        with suppress(OSError):
            show_usage_error(error)
        status = 2
    except Exception:  # never 1 or 3, which are outcomes of a gate
        with suppress(OSError):
            traceback.print_exc()
        status = 4
    failed = end_streams()
    if failed is not None and status == 0:
        status = 2
        if not isinstance(failed, BrokenPipeError):
            show_error(f"standard output cannot be written ({failed.strerror})")
    sys.exit(status)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    wanted: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: also the versions of packages, the system and the processors.")
    ] = False,
) -> None:
    if wanted:
        typer.echo(f"traintwice {version('traintwice')}")
        for name, text in diagnostic().items() if verbose else ():
            typer.echo(f"{name}: {text}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def run(
    study: Annotated[str, typer.Argument(help="A study (see `traintwice list`) or a TOML file.")],
    replicas: Annotated[int | None, typer.Option(help="Replicas of each recipe; missing ones are trained.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the experiment.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as epochs=60 or optimizer.lr=0.1."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study in its store.")] = None,
    store: Annotated[Path, typer.Option(help="Directory of trained replicas.")] = DEFAULT_STORE,
    report: PageFolder = None,
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
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    precision: PrecisionName = "float32",
    save_weights: Annotated[bool, typer.Option("--save-weights", help="Also keep the weights, for export and predict.")] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Seconds between checkpoints, from which an interrupted training continues.")
    ] = 60.0,
    scale: Annotated[str | None, typer.Option(help="Scale of a composite study, such as small or paper.")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--part", help="Part of a composite study, such as one of its data sets; repeat for more.")
    ] = None,
    against: Served = None,
    against_id: ServedId = None,
    track: Track = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")] = False,
) -> None:
    """Train the missing replicas of a study, measure them, write the report."""
    if study.endswith(".toml") and is_replication(study):
        explicit = {"replicas": replicas, "seed": seed}
        refused = {"--set": settings, "--name": name, "--scale": scale, "--part": parts, "--save-weights": save_weights}
        out = None if no_report else report or DEFAULT_REPORT
        run_file(
            study,
            store,
            out,
            explicit=explicit,
            refused=refused,
            json=json,
            quiet=quiet,
            jobs=jobs,
            track=track,
            against=against,
            against_id=against_id,
        )
        return
    require("torch", extra="torch", purpose="training")
    trackers = trackers_of(track)
    out = page_folder(report, no_report=no_report)
    try:
        with started_early(
            jobs if device == "cpu" else jobs or 1
        ) as started:  # workers import PyTorch at the same time as this process
            from traintwice.cli import _study as verbs
            from traintwice.presets import RunOptions
            from traintwice.served import Logged
            from traintwice.study import Experiment

            served = None if against is None else Logged(str(against), id=against_id)
            train = partial(
                verbs.train,
                path=store,
                execution=verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs),
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
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on Ctrl-C prints what is kept
            if not isinstance(found, Experiment):
                for option, value in (("--against", served), ("--track", track)):
                    if value:
                        raise BadSpec(f"{option}: {study} is a composite study, expected one experiment")
                options = RunOptions(
                    train, report=out, as_json=json, quiet=quiet, jobs=jobs, scale=scale, parts=tuple(parts or ()),
                    replicas=replicas, seed=seed, settings=tuple(settings or ()), device=device,
                )  # fmt: skip
                found.run(options)
                return
            results = train(found)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, end_by_signal)
        typer.echo("traintwice: interrupted; finished replicas are kept, and the same command continues", err=True)
        raise typer.Exit(130) from None
    from traintwice.cli._results import show_results

    show_results(results, out, as_json=json, served=served)
    for tracker in trackers:
        tracker(results)


def report(
    store: Annotated[Path, typer.Argument(help="Directory of trained replicas.")] = DEFAULT_STORE,
    study: Annotated[str | None, typer.Option(help="Name of the study, if the store has several.")] = None,
    report: Annotated[Path, typer.Option(help="Directory for the report.")] = DEFAULT_REPORT,
    trust: Trust = False,
    against: Served = None,
    against_id: ServedId = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")] = False,
) -> None:
    """Write the report of a finished study again, without training."""
    if is_replica_store(store):
        report_replicas(store, study, report, json=json)
        return
    require("torch", extra="torch", purpose="reading a study")
    require("altair", extra="report", purpose="the report")
    from traintwice.cli import _study as verbs
    from traintwice.cli._results import show_results
    from traintwice.served import Logged

    served = None if against is None else Logged(str(against), id=against_id)
    show_results(verbs.load(store, study, trust=trust), report, as_json=json, served=served)


def list_names(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List studies, methods, losses, measures, networks and data sets."""
    from traintwice.cli._catalogue import print_list

    print_list(Console(), as_json=json)


def show(
    name: Annotated[str, typer.Argument(help="A name from `traintwice list`, or a TOML file.")],
    toml: Annotated[bool, typer.Option("--toml", help="The study as a TOML file, to edit and run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    scale: Annotated[str | None, typer.Option(help="With --toml: scale of a composite study.")] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="With --toml: part of a composite study.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With --toml: change a setting, such as epochs=60.")
    ] = None,
) -> None:
    """Show what a name means: recipes of a study, formula and cost of a method, definition of a measure."""
    from traintwice.cli._catalogue import print_one

    print_one(Console(), name, toml=toml, as_json=json, scale=scale, parts=tuple(parts or ()), settings=tuple(settings or ()))


VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Compare predictions": (diff, gate, sums, history, measure, plan, tokens, selective, update),
    "Train and study": (run, report, check, replicate, chain, tune),
    "Look up": (demo, list_names, show, doctor),
    "Data and trained replicas": (fetch, store, bank, export, predict),
}
"""Heading of ``--help`` to its verbs."""

for _heading, _verbs in VERBS.items():
    for _verb in _verbs:
        _name = "list" if _verb is list_names else None
        app.command(name=_name, cls=Verb, rich_help_panel=_heading)(_verb)
