"""`traintwice gate`: budgets on the difference of two models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traintwice.cli import options
from traintwice.cli.options import OUTPUT
from traintwice.cli.reading import NOTHING_SAID, reads_files, without_unsaid
from traintwice.errors import BadInput, cells_kept_out
from traintwice.predictions.reading import Reading

if TYPE_CHECKING:
    from traintwice.compare import Budget, GateResult

BUDGETS = "Budgets"


@reads_files
def gate(
    old: Annotated[str, typer.Argument(metavar="OLD | GATE.toml", help="Predictions of the old model, or a file that says all.")],
    new: Annotated[str | None, typer.Argument(help="Predictions of the new model.")] = None,
    most: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="MEASURE=LIMIT",
            help="Most of a measure: churn=0.02, or churn=2%. MEASURE@COLUMN=LIMIT: in every slice of a column.",
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option(
            "--min", metavar="MEASURE=LIMIT", help="Least of a measure, accuracy=-0.01 for one.", rich_help_panel=BUDGETS
        ),
    ] = None,
    rule: Annotated[
        Literal["point", "bound", "both"] | None,
        typer.Option(
            help="Hold the number (point, the default), the bad end of its interval (bound), or both against the limit.",
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Every budget without @COLUMN must hold in every slice of this column too; repeat for more.",
            rich_help_panel=BUDGETS,
        ),
    ] = None,
    waive: Annotated[
        list[str] | None,
        typer.Option(
            "--waive", metavar="ID", help="Leave out the row of this id; @FILE holds one id a line.", rich_help_panel=BUDGETS
        ),
    ] = None,
    floor: Annotated[
        list[str] | None, typer.Option("--floor", metavar="FILES", help="Retrains of the old recipe, for budgets on excess.")
    ] = None,
    new_floor: Annotated[
        list[str] | None, typer.Option("--new-floor", metavar="FILES", help="Retrains of the new recipe.")
    ] = None,
    reading: Reading = NOTHING_SAID,
    level: Annotated[float | None, typer.Option(help="Nominal coverage of the intervals; 0.95 by default.")] = None,
    min_support: Annotated[
        int | None, typer.Option(min=1, help="Fewest rows of a slice that is held against a budget; 100 by default.")
    ] = None,
    no_rows: options.NoRows = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE.xml", help="Write JUnit XML.", rich_help_panel=OUTPUT)
    ] = None,
    report: options.ReportFile = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold the difference of two models against budgets. Exit status: 0 kept, 1 over budget, 2 a mistake in usage or data."""
    options.one_form(json=json, markdown=markdown)
    from traintwice.cli import output
    from traintwice.cli.waiting import waiting

    output.refuse_unwritable(junit, option="--junit")
    output.refuse_unwritable(report, option="--report")
    own = {"floor": floor, "new_floor": new_floor, "level": level, "min_support": min_support, "rule": rule, "no_rows": no_rows}
    given = dict(reading) | without_unsaid(own | {"waive": waived(waive or [])})
    with waiting(f"holding {old} against its budgets", quiet=quiet), cells_kept_out(no_rows):
        result = _result(old, new, budgets(most or [], least or [], by or []), by or [], given)
        if report is not None:
            from traintwice.report import write_diff

            write_diff(result.diff, report)
    _show(result, junit, as_json=json, as_markdown=markdown)
    raise typer.Exit(0 if result.passed else 1)


def _result(old: str, new: str | None, wanted: list[Budget], by: list[str], given: dict[str, Any]) -> GateResult:
    from traintwice.compare import gate as hold
    from traintwice.compare import gate_file

    if new is not None:
        if not wanted:
            raise BadInput("gate: no budget; pass --max MEASURE=LIMIT (churn=0.02, say) or --min, or a TOML file")
        result = hold(old, new, wanted, **given)
    elif not old.endswith(".toml"):
        raise BadInput(f"gate {old}: give the predictions of the new model too, or one file whose name ends in .toml")
    elif wanted or by:
        raise BadInput(f"gate {old}: --max, --min and --by belong into the file, as [[budgets]]")
    else:
        result = gate_file(old, **given)
    if not result.checks:
        raise BadInput("gate: nothing was checked: no slice has enough rows; lower --min-support, or give a budget on all rows")
    return result


def budgets(most: list[str], least: list[str], by: list[str]) -> list[Budget]:
    """Budgets from ``MEASURE[@COLUMN]=LIMIT``; those without a column hold in every slice of the columns ``by`` too.

    >>> [(b.measure, b.max, b.by) for b in budgets(["churn=2%"], [], ["country"])]
    [('churn', 0.02, None), ('churn', 0.02, 'country')]
    """
    from traintwice.compare import Budget

    found: list[Budget] = []
    for side, given in (("max", most), ("min", least)):
        for text in given:
            match = re.fullmatch(r"\s*([\w.]+)(?:@(.+?))?\s*=\s*([^=%\s]+)\s*(%?)\s*", text)
            limit = _number(match[3]) if match else None
            if match is None or limit is None:
                raise BadInput(f"--{side} {text}: expected MEASURE=LIMIT, such as churn=0.02, churn=2% or churn@country=0.05")
            columns = [match[2]] if match[2] else [None, *by]
            limit = limit / 100 if match[4] else limit
            highest, lowest = (limit, None) if side == "max" else (None, limit)
            found += [Budget(match[1], max=highest, min=lowest, by=column) for column in columns]
    return found


def waived(given: list[str]) -> list[str]:
    """Ids, those of ``@FILE`` read one from a line.

    Raises:
        BadInput: the file cannot be read.
    """
    found: list[str] = []
    for word in given:
        if not word.startswith("@"):
            found.append(word)
            continue
        try:
            lines = Path(word[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as reason:
            raise BadInput(f"--waive {word}: {word[1:]} cannot be read as a list of ids ({reason})") from None
        found += [line.strip() for line in lines if line.strip()]
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _show(result: GateResult, junit: Path | None, *, as_json: bool, as_markdown: bool) -> None:
    from traintwice import tables
    from traintwice.cli import output

    if junit is not None:
        output.write_file(junit, tables.junit(result), option="--junit")
    if as_json:
        output.show_json({"schema": 1, **result.to_dict()})
    elif as_markdown:
        output.show(tables.gate_sheet(result).to_markdown())
    else:
        output.show_sheet(tables.gate_sheet(result))
