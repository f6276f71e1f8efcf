"""`traintwice selective` (majority vote of retrains, or no answer) and `traintwice update` (which rows take the new answer)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli import _options as options
from traintwice.cli._reading import NOTHING_SAID, reads_files
from traintwice.errors import BadInput
from traintwice.predictions._reading import Reading

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.parquet", help="Write the answer of each row.", rich_help_panel=options.OUTPUT),
]


@reads_files(without=("by", "time", "regression"))
def selective(
    files: Annotated[list[str], typer.Argument(help="Predictions of retrains of one recipe: files, globs, directories.")],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", metavar="FILES", help="Predictions of other retrains: how often both ensembles answer and differ."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(metavar="LEVEL", help="Level of the binomial test on the votes of a row.")] = 0.05,
    out: Out = None,
    reading: Reading = NOTHING_SAID,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer rows whose majority vote is significant, and no others."""
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import _output as output
    from traintwice.cli._progress import waiting
    from traintwice.compare import selective_agreement, selective_ensemble
    from traintwice.predictions._array_files import write_answers
    from traintwice.predictions._session import check_target
    from traintwice.tables._measures import selective_sheet

    output.check_outputs({"--out": out}, [*files, *(against or ())])
    if out is not None:
        check_target(out)
    with waiting(f"reading {len(files)} files", quiet=quiet):
        found = selective_ensemble(files, alpha=alpha, level=level, **reading)
        agreement = None
        if against:
            agreement = selective_agreement(found, selective_ensemble(against, alpha=alpha, level=level, **reading), level=level)
    if out is not None:
        write_answers(out, found.answers, ids=found.ids, class_names=found.class_names)
    plain = {**found.to_dict(), **({} if agreement is None else {"agreement": agreement.to_dict()})}
    output.show_result(selective_sheet(found, agreement), plain=plain, json=json, markdown=markdown)


@reads_files(without=("by", "time", "regression"))
def update(
    old: Annotated[str, typer.Argument(help="Predictions of the model in service.")],
    new: Annotated[str, typer.Argument(help="Predictions of the new model, on the same rows.")],
    flip_cost: Annotated[
        float, typer.Option(metavar="RATIO", help="Cost of a right answer that becomes wrong over the gain of a fixed error.")
    ] = 2.0,
    calibration: Annotated[
        tuple[str, str] | None,
        typer.Option("--calibration", metavar="OLD NEW", help="Predictions of both models on other, labelled rows."),
    ] = None,
    out: Out = None,
    reading: Reading = NOTHING_SAID,
    level: options.Level = 0.95,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide for each row whether to serve the new answer or to keep the old one."""
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import _output as output
    from traintwice.cli._progress import waiting
    from traintwice.compare import update_predictions
    from traintwice.predictions._array_files import write_answers
    from traintwice.predictions._session import check_target
    from traintwice.tables._measures import update_sheet

    if calibration is not None and not reading.get("label"):
        raise BadInput("--calibration reads labelled rows; name the column of their labels with --label")
    output.check_outputs({"--out": out}, [old, new, *(calibration or ())])
    if out is not None:
        check_target(out)
    with waiting(f"reading {old} and {new}", quiet=quiet):
        found = update_predictions(old, new, flip_cost=flip_cost, calibration=calibration, level=level, **reading)
    if out is not None:
        write_answers(out, found.answers, ids=found.ids, class_names=found.class_names, taken=found.taken)
    output.show_result(update_sheet(found), plain=found.to_dict(), json=json, markdown=markdown)
