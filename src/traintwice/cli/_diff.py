"""`traintwice diff`, `traintwice sums`, and the options of diff and gate that take sums in place of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.cli._options import NOTHING_SAID, in_columns, in_more, in_output, reads_files, split, without_unsaid
from traintwice.errors import BadInput, cells_kept_out
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
        in_more(
            metavar="CHANGE",
            help="Largest change of accuracy that does not matter, 0.5% by default; for other measures a share of the old value.",
        ),
    ] = None,
    reading: Reading = NOTHING_SAID,
    threshold: options.Threshold = None,
    top_k: options.TopK = None,
    rank: Annotated[bool, in_more("--rank", help="Add AUC and rank agreement, which sort all rows.")] = False,
    match_temperature: Annotated[
        bool,
        in_more("--match-temperature", help="Add soft measures with both models at their best temperature."),
    ] = False,
    details: Annotated[
        bool,
        in_more("--details", help="From two million rows on: compute everything, not only one-pass measures."),
    ] = False,
    also: options.Also = None,
    sums: options.SumsFiles = None,
    on: options.On = None,
    level: options.Level = 0.95,
    min_support: Annotated[int, typer.Option(min=1, help="Smallest slice that is shown, in rows.")] = 100,
    show: Annotated[
        list[str] | None,
        in_output("--show", metavar="COLUMN", help="Column to print with regressed rows; repeat for more."),
    ] = None,
    rows: Annotated[
        Path | None,
        in_output(
            "--rows", metavar="FILE", help="Write a Parquet file with every row: old and new class, distance, instability."
        ),
    ] = None,
    no_rows: options.NoRows = False,
    full: Annotated[bool, in_output("--full", help="Print every table, not only what fits on a screen.")] = False,
    report: options.ReportFile = None,
    ledger: options.Ledger = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
    short: options.Short = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare an old and a new model on the same rows: quality, changed answers, slices, and the noise of retraining."""
    if no_rows and (rows is not None or show):
        raise BadInput(
            f"{'--show' if show else '--rows'} and --no-rows exclude each other: --no-rows leaves rows out of all output"
        )
    read = [old, new, *(floor or ()), *(new_floor or ()), *(sums or ())]
    output.check_outputs({"--report": report, "--rows": rows, "--ledger": ledger}, read)
    from traintwice.compare import diff as compare_two
    from traintwice.tables._diff import MOST_ROWS, diff_sheet

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
    with output.waiting(doing, quiet=quiet), cells_kept_out(no_rows):
        if of_sums:
            from traintwice.sums import diff_sums

            shared = {"level": level, "min_support": min_support, "same_within": wanted.get("same_within")}
            found = by_sums(diff_sums, old, new, sums, on, reading, threshold, needing_rows, shared)
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
    unused = {"--full": full, "--report FILE.html": report, "--rows FILE.parquet": rows or no_rows or of_sums}
    more = ", ".join(option for option, used in unused.items() if not used)
    written = [("Details", more), ("Report", report), ("Rows", rows)]
    if short:
        from traintwice.tables._gate import short_sheet

        forms = [short_sheet(found)]
    elif full or markdown:
        forms = [diff_sheet(found, every=True)]
    else:
        forms = [diff_sheet(found, rows=n) for n in range(MOST_ROWS, -1, -1)]
    after = "".join(f"{what}: {which}\n" for what, which in written if which)
    output.show_result(found, *forms, json=json, markdown=markdown, after=after)


def _share(text: str) -> float:
    """The share of ``--same-within``; a number of 1 or more needs a percent sign."""
    from traintwice.gates._budgets import parse_limit

    value = parse_limit(text)
    if value is None:
        raise BadInput(f"--same-within {text}: expected a share, such as 0.5% or 0.005")
    if value >= 1 and "%" not in text:
        raise BadInput(f"--same-within {text}: reads as {100 * value:g} %; write {text}% or {value / 100:g}")
    return value


Columns = list[str] | None
column = partial(in_columns, metavar="COLUMN")


def sums(
    dialect: Annotated[str, typer.Option("--dialect", help="duckdb, postgres, spark, bigquery, snowflake, databricks or trino.")],
    old: Annotated[str, typer.Option("--old", metavar="TABLE", help="Table of the old model, or a query in parentheses.")],
    new: Annotated[str, typer.Option("--new", metavar="TABLE", help="Table of the new model, or a query in parentheses.")],
    id: Annotated[list[str], column("--id", help="Column that names a row; repeat it for composite ids.")],
    score: Annotated[str | None, column("--score", help="Column of the probability of class 1 of a binary model.")] = None,
    probs: Annotated[
        Columns, column("--probs", help="Columns of the probabilities, in the order of the classes; separate by commas.")
    ] = None,
    pred: Annotated[str | None, column("--pred", help="Column of the predicted labels.")] = None,
    label: Annotated[str | None, column("--label", help="Column of the true labels.")] = None,
    weight: Annotated[str | None, column("--weight", help="Column of weights.")] = None,
    by: Annotated[Columns, column("--by", help="Column of groups to look into; repeat for more.")] = None,
    cluster: Annotated[
        Columns, column("--cluster", help="Column of clusters (users, say), whose rows are not independent; repeat for more.")
    ] = None,
    classes: Annotated[
        Columns,
        in_columns(
            "--classes",
            metavar="NAME",
            help="Names of the classes in their order, where labels are not whole numbers; separate by commas.",
        ),
    ] = None,
    columns_of: Annotated[
        Literal["old", "new", "both"], in_columns("--in", help="The tables that have label, weight, groups and clusters.")
    ] = "old",
    threshold: options.Threshold = None,
) -> None:
    """Print one query for a warehouse: its few hundred rows are all that diff --sums and gate --sums need."""
    from traintwice.sums import query

    text = query(
        old, new, dialect=dialect, id=id, score=score, probs=split(probs), pred=pred, label=label, weight=weight, by=by or (),
        cluster=cluster or (), thresholds=threshold or (), classes=split(classes), columns_of=columns_of,
    )  # fmt: skip
    output.show(f"{text}\n")


def by_sums(
    call: Callable[..., Any],
    old: str | None,
    new: str | None,
    given: list[str] | None,
    on: str | None,
    reading: Reading,
    threshold: list[float] | None,
    needing_rows: dict[str, Any],
    shared: dict[str, Any],
) -> Any:
    """The result of `diff_sums` or `gate_sums` for the sums that ``--sums`` names, or that an engine makes with ``--on``."""
    option = "--sums" if given else "--on"
    if refused := [name for name, value in without_unsaid(needing_rows).items() if value]:
        raise BadInput(f"{option}: leave out {', '.join(refused)}, which needs the rows; only sums over the rows are read")
    from traintwice.sums import collect, read

    if not given:
        columns: Any = {name: value for name, value in reading.items() if name != "on_missing"}
        found = collect(*required(old, new), on=on, thresholds=threshold or (), **columns)
    elif old is not None or on is not None:
        raise BadInput(
            f"--sums: leave out {'OLD and NEW' if old is not None else '--on'}; the sums say which models they are about"
        )
    else:
        told_with = {f"--{name.replace('_', '-')}" for name in reading if name not in ("on_missing", "memory")}
        if told := sorted(told_with | ({"--threshold"} if threshold else set())):
            raise BadInput(f"--sums: leave out {', '.join(told)}; pass them to `traintwice sums`, which makes the query")
        found = read(given, memory=reading.get("memory"))
    return call(found, on_missing=reading.get("on_missing", "refuse"), **without_unsaid(shared))


def required(old: str | None, new: str | None) -> tuple[str, str]:
    """Both arguments."""
    if old is None or new is None:
        name = "OLD" if old is None else "NEW"
        raise BadInput(f"Missing argument '{name}'. Give the predictions of the old and of the new model, or --sums FILES")
    return old, new
