"""`traintwice chain`: daily retrains, and how far the predictions drift."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli import _options as options
from traintwice.cli._ending import end_by_signal
from traintwice.errors import require


def chain(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A TOML file with data, recipe and a table [chain].")],
    replicas: Annotated[int | None, typer.Option(help="Number of chains; missing replicas are trained.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of day 0.")] = None,
    store: Annotated[Path, typer.Option(help="Directory of trained replicas.")] = options.DEFAULT_STORE,
    report: options.PageFolder = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Print the tables only.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Worker processes of one thread each; by default one for each core.")
    ] = None,
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
    from dataclasses import replace

    from traintwice.cli import _output as output
    from traintwice.cli._progress import progress_for
    from traintwice.cli._study import check_writable, execution_of, show_code
    from traintwice.study import Chain, Store, gather_chain, prepare_chain, train_chain

    plan = Chain.read(file)
    plan = replace(plan, replicas=plan.replicas if replicas is None else replicas, seed=plan.seed if seed is None else seed)
    if out is not None:
        check_writable(out)
    show_code(plan, "chain")
    opened = Store(store)
    execution = execution_of(engine=engine, device=device, precision=precision, jobs=jobs)
    made = prepare_chain(plan, opened, mix_numerics=mix_numerics, execution=execution)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C prints what is kept
    try:
        with (
            progress_for(plan.replicas, made.plan, {str(way): keys for way, keys in made.keys.items()}, quiet=quiet) as progress,
            closing(train_chain(plan, opened, made)) as finishing,
        ):
            for finished in finishing:
                progress.advance(finished.task.key)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, end_by_signal)
        typer.echo("traintwice: interrupted; finished replicas are kept, and the same command continues", err=True)
        raise typer.Exit(130) from None
    found = gather_chain(plan, opened, made)
    if json:
        output.show_json(found.to_dict())
    else:
        output.show_sheet(found.sheet())
    if out is not None:
        from traintwice.report import write_chain

        index = write_chain(found, out)
        if not json:
            output.show(f"\nReport: {index}\n")
