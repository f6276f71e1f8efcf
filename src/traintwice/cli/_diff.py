"""`traintwice diff`: one old model against one new model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from traintwice.cli import _options as options
from traintwice.cli._options import MORE, OUTPUT
from traintwice.cli._reading import NOTHING_SAID, reads_files, without_unsaid
from traintwice.cli._sums import required, summed, with_sums
from traintwice.errors import BadInput, cells_kept_out, require_charts
from traintwice.predictions._reading import Reading


@reads_files()
def diff(
    old: Annotated[str | None, typer.Argument(metavar="OLD", help="Predictions of the old model: a file.")] = None,
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="Predictions of the new model: a file.")] = None,
    floor: options.Floor = None,
    new_floor: options.NewFloor = None,
    last: options.Last = None,
    other_rows: options.OtherRows = False,
    margin: options.Margin = None,
    same_within: Annotated[
        str | None,
        typer.Option(
            metavar="CHANGE",
            help="Largest change of accuracy that does not matter, 0.5% by default; for other measures a share of the old value.",
            rich_help_panel=MORE,
        ),
    ] = None,
    reading: Reading = NOTHING_SAID,
    threshold: options.Threshold = None,
    top_k: options.TopK = None,
    rank: Annotated[
        bool, typer.Option("--rank", help="Add AUC and rank agreement, which sort all rows.", rich_help_panel=MORE)
    ] = False,
    match_temperature: Annotated[
        bool,
        typer.Option(
            "--match-temperature", help="Add soft measures with both models at their best temperature.", rich_help_panel=MORE
        ),
    ] = False,
    details: Annotated[
        bool,
        typer.Option(
            "--details", help="From two million rows on: compute everything, not only one-pass measures.", rich_help_panel=MORE
        ),
    ] = False,
    also: options.Also = None,
    sums: options.SumsFiles = None,
    on: options.On = None,
    level: options.Level = 0.95,
    min_support: Annotated[int, typer.Option(min=1, help="Smallest slice that is shown, in rows.")] = 100,
    show: Annotated[
        list[str] | None,
        typer.Option(
            "--show", metavar="COLUMN", help="Column to print with regressed rows; repeat for more.", rich_help_panel=OUTPUT
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            metavar="FILE",
            help="Write a Parquet file with every row: old and new class, distance, instability.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    no_rows: options.NoRows = False,
    full: Annotated[
        bool, typer.Option("--full", help="Print every table, not only what fits on a screen.", rich_help_panel=OUTPUT)
    ] = False,
    report: options.ReportFile = None,
    ledger: options.Ledger = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
    short: options.Short = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare an old and a new model on the same rows: quality, changed answers, slices, and the noise of retraining."""
    options.one_form(json=json, markdown=markdown, short=short)
    if no_rows and (rows is not None or show):
        raise BadInput(
            f"{'--show' if show else '--rows'} and --no-rows exclude each other: --no-rows leaves rows out of all output"
        )
    if report is not None:
        require_charts("--report")
    from traintwice.cli import _output as output
    from traintwice.cli._progress import waiting

    read = [old, new, *(floor or ()), *(new_floor or ()), *(sums or ())]
    output.check_outputs({"--report": report, "--rows": rows, "--ledger": ledger}, read)
    from traintwice.compare import diff as compare_two
    from traintwice.tables._diff import MOST_ROWS, diff_sheet
    from traintwice.tables._gate import short_sheet

    wanted = without_unsaid(
        {
            "ledger": ledger,
            "last": last,
            "other_rows": other_rows,
            "margin": margin,
            "same_within": None if same_within is None else _share(same_within),
        }
    )
    of_sums = bool(sums) or on is not None
    both = ("", "") if of_sums else required(old, new)
    columns: Reading = {**reading, "show": show or ()}
    needing_rows = {
        "--floor": floor, "--new-floor": new_floor, "--last": last, "--other-rows": other_rows, "--margin": margin,
        "--top-k": top_k, "--rank": rank, "--match-temperature": match_temperature, "--details": details, "--also": also,
        "--show": show, "--rows": rows, "--ledger": ledger,
    }  # fmt: skip
    doing = "reading the sums" if sums else f"comparing {old} and {new}"
    with waiting(doing, quiet=quiet), cells_kept_out(no_rows):
        if of_sums:
            from traintwice.sums import diff_sums

            shared = {"level": level, "min_support": min_support, "same_within": wanted.get("same_within")}
            found = with_sums(diff_sums, summed(old, new, sums, on, reading, threshold, needing_rows), reading, **shared)
        else:
            found = compare_two(
                *both,
                floor="ledger" if floor == ["ledger"] else floor or (),
                new_floor=new_floor or (),
                thresholds=threshold or (),
                top_k=top_k or (),
                which=options.further(also),
                rank=rank,
                temperature_matched=match_temperature,
                details=details or None,
                level=level,
                min_support=min_support,
                rows_file=rows,
                no_rows=no_rows,
                **wanted,
                **columns,
            )
        if report is not None:
            from traintwice.report import write_diff

            write_diff(found, report)
    if json:
        output.show_json(found.to_dict())
    elif markdown:
        output.show_markdown(short_sheet(found) if short else diff_sheet(found, every=True))
    else:
        unused = {"--full": full, "--report FILE.html": report, "--rows FILE.parquet": rows or no_rows or of_sums}
        more = ", ".join(option for option, used in unused.items() if not used)
        written = [("Details", more), ("Report", report), ("Rows", rows)]
        forms = [diff_sheet(found, every=True)] if full else [diff_sheet(found, rows=n) for n in range(MOST_ROWS, -1, -1)]
        output.show_sheet(*forms, after="".join(f"{what}: {which}\n" for what, which in written if which))


def _share(text: str) -> float:
    """The share of ``--same-within``.

    Raises:
        BadInput: not a share, or a number of 1 or more without a percent sign.
    """
    from traintwice.gates._budgets import parse_limit

    value = parse_limit(text)
    if value is None:
        raise BadInput(f"--same-within {text}: expected a share, such as 0.5% or 0.005")
    if value >= 1 and "%" not in text:
        raise BadInput(f"--same-within {text}: reads as {100 * value:g} %; write {text}% or {value / 100:g}")
    return value
