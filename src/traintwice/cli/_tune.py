"""`traintwice tune`: searches the weights of a method at a stated price in accuracy."""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli import _options as options
from traintwice.cli._ending import end_by_signal
from traintwice.errors import require


def tune(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A TOML file of a study with a table [tune].")],
    least: Annotated[
        str, typer.Option("--min", metavar="LIMIT", help="Smallest allowed change from the baseline, such as accuracy=-0.1%.")
    ] = "accuracy=0",
    trials: Annotated[int | None, typer.Option(min=1, help="Settings to try; those tried before count.")] = None,
    store: Annotated[Path, typer.Option(help="Directory of trained replicas.")] = options.DEFAULT_STORE,
    report: options.PageFolder = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the table only.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes of one thread each; by default one for each core.")
    ] = None,
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
    from traintwice.cli import _output as output
    from traintwice.cli import _study as verbs
    from traintwice.study import Store, Tuning, final, least_change, recorded, search, tuned

    tuning = Tuning.read(file, least=least_change(least)).change(trials=trials)
    if out is not None:
        verbs.check_writable(out)
    verbs.show_code(tuning.study)
    opened = Store(store)
    execution = verbs.execution_of(engine=engine, device=device, precision=precision, jobs=jobs)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C prints what is kept
    try:
        with closing(search(tuning, opened, execution=execution)) as running:
            for trial in running:
                values = ", ".join(f"{path} {value:g}" for path, value in trial.values.items())
                measured = "diverged"
                if trial.churn is not None and trial.change is not None:
                    measured = f"churn {value_of(trial.churn, 'fraction')}, accuracy {points(trial.change)}"
                if not quiet:
                    print(
                        f"trial {trial.number + 1} of {tuning.search.trials}: {values}: {measured}", file=sys.stderr, flush=True
                    )
        found_trials = recorded(tuning, opened)
        results = verbs.train(
            final(tuning, found_trials), store, execution=execution, mix_numerics=False, save_weights=False, quiet=quiet
        )
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, end_by_signal)
        typer.echo("traintwice: interrupted; finished trials are kept, and the same command continues", err=True)
        raise typer.Exit(130) from None
    found = tuned(tuning, found_trials, results)
    if json:
        output.show_json(found.to_dict())
    else:
        output.show_sheet(found.sheet())
        if found.chosen is not None:
            output.show(f"\nWrite into {file}:\n\n{found.toml()}")
    if out is not None:
        from traintwice.report import write_tuned

        index = write_tuned(found, out)
        if not json:
            output.show(f"\nReport: {index}\n")
