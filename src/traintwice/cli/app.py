"""The verbs. Heavy imports happen inside them, so that `traintwice --help` is instant and measuring loads no torch."""

from __future__ import annotations

import signal
import sys
import traceback
from functools import partial
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from traintwice.cli.arguments import Files
from traintwice.cli.diff import diff
from traintwice.cli.gate import gate
from traintwice.cli.measure import measure
from traintwice.cli.options import DeviceName, EngineName, PrecisionName
from traintwice.cli.plan import plan
from traintwice.errors import TraintwiceError, require
from traintwice.processes import started_early

app = typer.Typer(
    name="traintwice",
    help="Measure how much retrained models disagree, and train models that disagree less.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT_STORE = Path("traintwice-runs")
DEFAULT_REPORT = Path("traintwice-report")


def main() -> None:
    """Run the command line.

    Exit status: 0 done (gate: kept), 1 gate over budget or check failed, 2 an error the user can fix (one message), 3 gate
    inconclusive, 4 a defect (a traceback).
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until something is at stake, Ctrl-C simply ends the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no "Δ" shows "?" and no traceback
    try:
        app()
    except TraintwiceError as error:
        from traintwice.tables.text import visible  # ids and names from files may hold what steers a terminal

        indent = "\n" + " " * len("traintwice: ")
        print(f"traintwice: {indent.join(map(visible, str(error).splitlines()))}", file=sys.stderr)
        sys.exit(2)
    except Exception:  # never 1 or 3, which are outcomes of a gate
        traceback.print_exc()
        sys.exit(4)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"traintwice {version('traintwice')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for verb in (diff, gate, measure, plan):
    app.command(cls=Files)(verb)


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A study (see `traintwice list`) or a TOML file.")],
    replicas: Annotated[int | None, typer.Option(help="Replicas of each recipe; those not yet in the store are trained.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the experiment.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as epochs=60 or optimizer.lr=0.1."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study in its store.")] = None,
    store: Annotated[Path, typer.Option(help="Directory of trained replicas.")] = DEFAULT_STORE,
    report: Annotated[Path, typer.Option(help="Directory for the report.")] = DEFAULT_REPORT,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the table only.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes, one thread each; one for each core by default, one for a GPU.")
    ] = None,
    mix_numerics: Annotated[
        bool, typer.Option("--mix-numerics", help="Allow replicas of other engines, devices, threads or versions in one row.")
    ] = False,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    precision: PrecisionName = "float32",
    save_weights: Annotated[
        bool, typer.Option("--save-weights", help="Keep the weights too, to export or predict with.")
    ] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="How often a training in progress is written down, to go on from there after an interruption.")
    ] = 60.0,
    scale: Annotated[str | None, typer.Option(help="Scale of a composite study, such as small or paper.")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--part", help="Part of a composite study, such as one of its data sets; repeat for more.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON on standard output, and nothing else there.")] = False,
) -> None:
    """Train the replicas that are missing, measure them, write the report."""
    require("torch", extra="torch", purpose="training")
    if not no_report:
        require("altair", extra="report", purpose="the report (or pass --no-report)")
        require("vl_convert", extra="report", purpose="the report (or pass --no-report)")
    out = None if no_report else report
    try:
        with started_early(jobs if device == "cpu" else jobs or 1) as started:  # the imports below take as long as theirs
            from traintwice.cli import study as verbs
            from traintwice.presets import RunOptions
            from traintwice.study import Experiment

            if not no_report:
                verbs.check_writable(report)
            train = partial(
                verbs.train,
                path=store,
                execution=verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs),
                mix_numerics=mix_numerics,
                save_weights=save_weights,
                quiet=quiet,
                checkpoint_seconds=checkpoint_seconds,
                started=started,
            )
            found = verbs.find(
                study, replicas=replicas, seed=seed, settings=settings or [], name=name, scale=scale, parts=parts or []
            )
            signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on an interruption reports what is kept
            if not isinstance(found, Experiment):
                options = RunOptions(
                    train, report=out, as_json=json, quiet=quiet, jobs=jobs, scale=scale, parts=tuple(parts or ()),
                    replicas=replicas, seed=seed, settings=tuple(settings or ()), device=device,
                )  # fmt: skip
                found.run(options)
                return
            results = train(found)
    except KeyboardInterrupt:
        typer.echo("traintwice: interrupted; what finished is kept, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    from traintwice.cli.results import show_results

    show_results(results, out, as_json=json)


@app.command()
def report(
    store: Annotated[Path, typer.Argument(help="Directory of trained replicas.")] = DEFAULT_STORE,
    study: Annotated[str | None, typer.Option(help="Which study, where the store has several.")] = None,
    report: Annotated[Path, typer.Option(help="Directory for the report.")] = DEFAULT_REPORT,
    json: Annotated[bool, typer.Option("--json", help="Results as JSON on standard output, and nothing else there.")] = False,
) -> None:
    """Write the report of a finished study again, training nothing."""
    require("torch", extra="torch", purpose="reading a study")
    require("altair", extra="report", purpose="the report")
    from traintwice.cli import study as verbs
    from traintwice.cli.results import show_results

    show_results(verbs.load(store, study), report, as_json=json)


@app.command()
def check(
    study: Annotated[str, typer.Argument(help="A study or a TOML file whose recipe is trained.")] = "digits",
    row: Annotated[str | None, typer.Option("--row", help="Which recipe of the study; its baseline by default.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps; 10000 is the check of the churn paper.")] = 1000,
    threads: Annotated[
        list[int] | None, typer.Option(min=2, help="Numbers of threads to compare with one; 2 by default. For the loop engine.")
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
    """Train one recipe twice with everything fixed, compare all weights after every step; status 1 where they part."""
    require("torch", extra="torch", purpose="training")
    from traintwice.cli import study as verbs
    from traintwice.cli.check import print_check

    experiment = verbs.find_experiment(study, settings=settings or [], seed=seed)
    console = Console(highlight=False)
    execution = verbs.execution_of(engine=engine, device=device, precision=precision)
    if not print_check(console, experiment, row=row, steps=steps, threads=threads, execution=execution, as_json=json):
        raise typer.Exit(1)


@app.command(name="list")
def list_names(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List studies, methods, losses, measures, networks and data sets."""
    from traintwice.cli.catalogue import print_list

    print_list(Console(), as_json=json)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A data set that can be downloaded, such as FashionMNIST.")],
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to put its files; else into a folder of its own in TRAINTWICE_DATA or ~/.cache/traintwice."),
    ] = None,
) -> None:
    """Download a data set with its checksums, and read it once; nothing is downloaded that is there already."""
    from traintwice.cli.fetch import fetch_data

    fetch_data(Console(highlight=False, soft_wrap=True), name, folder)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Anything that `traintwice list` lists, or a TOML file.")],
    toml: Annotated[bool, typer.Option("--toml", help="The study as a TOML file, to edit and run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    scale: Annotated[str | None, typer.Option(help="With --toml: scale of a composite study.")] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="With --toml: part of a composite study.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With --toml: change a setting, such as epochs=60.")
    ] = None,
) -> None:
    """Show one name: the recipes of a study, formula and cost of a method, definition of a measure."""
    from traintwice.cli.catalogue import print_one

    print_one(Console(), name, toml=toml, as_json=json, scale=scale, parts=tuple(parts or ()), settings=tuple(settings or ()))


@app.command()
def store(
    path: Annotated[Path, typer.Argument(help="Directory of trained replicas.")] = DEFAULT_STORE,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete replicas that no study here needs, damaged and temporary files.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --prune: say what would be deleted, and delete nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what lies in a store and how large it is; prune it."""
    require("torch", extra="torch", purpose="reading a store")
    from traintwice.cli.storage import print_store

    print_store(Console(), path, prune=prune, dry_run=dry_run, as_json=json)


Row = Annotated[str, typer.Option("--row", help="Which recipe of the study.")]
Replica = Annotated[int, typer.Option("--replica", help="Which of its replicas.")]
Study = Annotated[str | None, typer.Option("--study", help="Which study, where the store has several.")]


@app.command()
def export(
    store: Annotated[Path, typer.Argument(help="Directory of trained replicas, run with --save-weights.")],
    row: Row,
    replica: Replica = 0,
    study: Study = None,
    out: Annotated[Path, typer.Option(help="Directory for the files.")] = Path("traintwice-export"),
    formats: Annotated[list[str] | None, typer.Option("--format", help="safetensors, pt2 or onnx; all by default.")] = None,
) -> None:
    """Write a trained model for serving, and check that what was written predicts the same."""
    require("torch", extra="torch", purpose="export")
    from traintwice.cli.models import export_model
    from traintwice.engine.exporting import FORMATS

    export_model(Console(), store, study=study, row=row, replica=replica, out=out, formats=formats or list(FORMATS))


@app.command()
def predict(
    store: Annotated[Path, typer.Argument(help="Directory of trained replicas, run with --save-weights.")],
    inputs: Annotated[Path, typer.Argument(help="A .npy file of inputs, or a .npz file with inputs and, where known, labels.")],
    row: Row,
    replica: Replica = 0,
    study: Study = None,
    out: Annotated[Path, typer.Option(help="Prediction file to write (Parquet).")] = Path("predictions.parquet"),
) -> None:
    """Predict new data with a trained model, as a file that `traintwice measure` and `diff` read."""
    require("torch", extra="torch", purpose="prediction")
    from traintwice.cli.models import predict_file

    predict_file(Console(), store, study=study, row=row, replica=replica, inputs=inputs, out=out)
