"""`traintwice diff`: one old model against one new model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from traintwice.cli import options
from traintwice.cli.options import OUTPUT
from traintwice.cli.reading import NOTHING_SAID, reads_files
from traintwice.errors import BadInput, cells_kept_out, require
from traintwice.predictions.reading import Reading

NOISE = "Noise of retraining"
MORE = "More measures"


@reads_files
def diff(
    old: Annotated[str, typer.Argument(help="Predictions of the old model: a file.")],
    new: Annotated[str, typer.Argument(help="Predictions of the new model: a file.")],
    floor: Annotated[
        list[str] | None,
        typer.Option(
            "--floor",
            metavar="FILES",
            help="Retrains of the old recipe, four or more: files, globs, directories.",
            rich_help_panel=NOISE,
        ),
    ] = None,
    new_floor: Annotated[
        list[str] | None,
        typer.Option("--new-floor", metavar="FILES", help="Retrains of the new recipe.", rich_help_panel=NOISE),
    ] = None,
    reading: Reading = NOTHING_SAID,
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            "--threshold", help="Decisions score >= THRESHOLD of a binary model; repeat for more.", rich_help_panel=MORE
        ),
    ] = None,
    top_k: Annotated[
        list[float] | None,
        typer.Option(
            "--top-k", metavar="K", help="Swap set of the K rows (or share of rows) of highest score.", rich_help_panel=MORE
        ),
    ] = None,
    rank: Annotated[
        bool, typer.Option("--rank", help="Rank agreement and AUC, which need sorting.", rich_help_panel=MORE)
    ] = False,
    match_temperature: Annotated[
        bool,
        typer.Option(
            "--match-temperature", help="Soft measures with both models at their best temperature too.", rich_help_panel=MORE
        ),
    ] = False,
    details: Annotated[
        bool,
        typer.Option(
            "--details", help="Everything from two million rows on too, not only what one pass counts.", rich_help_panel=MORE
        ),
    ] = False,
    also: options.Also = None,
    level: options.Level = 0.95,
    min_support: Annotated[int, typer.Option(min=1, help="Fewest rows of a slice that is shown.")] = 100,
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE", help="Write an instability score for every row.", rich_help_panel=OUTPUT),
    ] = None,
    no_rows: options.NoRows = False,
    report: options.ReportFile = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare two models' predictions on the same rows: churn, flips, where, and how much is noise of retraining."""
    options.one_form(json=json, markdown=markdown)
    if no_rows and rows is not None:
        raise BadInput("--rows and --no-rows exclude each other: one writes every row, the other keeps them out")
    if report is not None:
        require("altair", extra="report", purpose="--report")
        require("vl_convert", extra="report", purpose="--report")
    from traintwice.cli import output
    from traintwice.cli.waiting import waiting

    output.refuse_unwritable(report, option="--report")
    output.refuse_unwritable(rows, option="--rows")
    from traintwice.compare import diff as compare_two
    from traintwice.tables import diff_sheet

    said: dict[str, Any] = dict(reading)
    files: dict[str, Any] = {"floor": floor or (), "new_floor": new_floor or ()}
    with waiting(f"comparing {old} and {new}", quiet=quiet), cells_kept_out(no_rows):
        found = compare_two(
            old,
            new,
            **files,
            **said,
            thresholds=threshold or (),
            top_k=top_k or (),
            which=options.further(also),
            rank=rank,
            temperature_matched=match_temperature,
            details=details or None,
            level=level,
            min_support=min_support,
            no_rows=no_rows,
        )
        if rows is not None:
            from traintwice.compare import write_rows

            write_rows(rows, old, new, floor=files["floor"], **{k: v for k, v in said.items() if k != "by"})
        if report is not None:
            from traintwice.report import joint_scores, write_diff

            write_diff(found, report, joint=joint_scores(old, new, **said))
    if json:
        output.show_json(found.to_dict())
    elif markdown:
        output.show(diff_sheet(found, every=True).to_markdown())
    else:
        output.show_sheet(diff_sheet(found))
        written = [("Report", report), ("Rows", rows)]
        output.show("".join(f"\n{what}: {path}\n" for what, path in written if path is not None))
