"""`traintwice gate`: budgets on the difference of two models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from traintwice.cli import _options as options
from traintwice.cli import _output as output
from traintwice.cli._diff import by_sums
from traintwice.cli._options import NOTHING_SAID, in_output, reads_files, without_unsaid
from traintwice.errors import BadInput, cells_kept_out
from traintwice.predictions._reading import Reading

if TYPE_CHECKING:
    from traintwice.gates import Budget, GateResult
    from traintwice.gates._budgets import AgainstFloor

in_budgets = partial(typer.Option, rich_help_panel="Budgets")

BUDGET = re.compile(
    r"\s*(?P<measure>\w+(?:\([^()]*\))?)\s*(?P<against>[-/]\s*floor)?\s*"
    r"(?:@(?P<column>[^=]+?)(?:=(?P<value>.*))?)?\s*=\s*(?P<limit>[^=]+)"
)
"""``MEASURE[(ARGUMENT)][-floor|/floor][@COLUMN[=VALUE]]=LIMIT``; the limit follows the last equals sign."""

FORMS = "churn=2%, negative_flips-floor=0.2%, churn/floor=1.5, decisions(0.5)=1%, churn@country=5% or churn@country=BR=5%"


@reads_files()
def gate(
    old: Annotated[
        str | None, typer.Argument(metavar="OLD | GATE.toml", help="Predictions of the old model, or a file with all settings.")
    ] = None,
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="Predictions of the new model.")] = None,
    most: Annotated[
        list[str] | None,
        in_budgets(
            "--max",
            metavar="BUDGET=LIMIT",
            help=f"Largest value of a measure: {FORMS}. MEASURE-floor and MEASURE/floor need --floor.",
        ),
    ] = None,
    least: Annotated[
        list[str] | None,
        in_budgets("--min", metavar="BUDGET=LIMIT", help="Smallest value, such as accuracy=-0.2% for the change of accuracy."),
    ] = None,
    rule: Annotated[
        Literal["bound", "point"] | None,
        in_budgets(
            help="Compare the whole interval with the limit (bound, the default; inconclusive if the limit is inside) or only the "
            "number (point)."
        ),
    ] = None,
    inconclusive: Annotated[
        Literal["pass", "fail"] | None,
        in_budgets(help="Count inconclusive as pass (exit status 0) or fail (1), not 3."),
    ] = None,
    by: Annotated[
        list[str] | None,
        in_budgets(
            "--by",
            metavar="COLUMN",
            help="Check every budget without @COLUMN also in every slice of this column; repeat for more.",
        ),
    ] = None,
    waive: Annotated[
        list[str] | None,
        in_budgets("--waive", metavar="ID", help="Leave out the row with this id; @FILE is a file with one id per line."),
    ] = None,
    self_test: Annotated[
        list[str] | None,
        in_budgets(
            "--self-test", metavar="FILES", help="Instead of OLD and NEW: retrains of one recipe. The gate runs on every pair."
        ),
    ] = None,
    floor: options.Floor = None,
    new_floor: options.NewFloor = None,
    last: options.Last = None,
    other_rows: options.OtherRows = False,
    margin: options.Margin = None,
    reading: Reading = NOTHING_SAID,
    threshold: options.Threshold = None,
    top_k: options.TopK = None,
    sums: options.SumsFiles = None,
    on: options.On = None,
    level: Annotated[float | None, typer.Option(help="Nominal coverage of the intervals; 0.95 by default.")] = None,
    min_support: Annotated[
        int | None, typer.Option(min=1, help="Smallest slice that is checked, in rows; 100 by default.")
    ] = None,
    no_rows: options.NoRows = False,
    junit: Annotated[Path | None, in_output("--junit", metavar="FILE.xml", help="Write JUnit XML.")] = None,
    report: options.ReportFile = None,
    ledger: options.Ledger = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
    short: options.Short = False,
    quiet: options.Quiet = False,
) -> None:
    """Check the change between two models against budgets. Exit status: 0 kept, 1 over, 3 inconclusive, 2 a mistake."""
    lists = [word[1:] for word in waive or () if word.startswith("@")]
    read = [*_files_of(old, new), *(sums or ()), *(floor or ()), *(new_floor or ()), *lists]
    output.check_outputs({"--junit": junit, "--report": report, "--ledger": ledger}, read)
    own = {
        "floor": "ledger" if floor == ["ledger"] else floor,
        "last": last,
        "other_rows": other_rows,
        "ledger": ledger,
        "new_floor": new_floor,
        "margin": margin,
        "thresholds": threshold,
        "top_k": top_k,
        "level": level,
        "min_support": min_support,
        "rule": rule,
        "no_rows": no_rows,
        "waive": waived(waive or []),
    }
    given = dict(reading) | without_unsaid(own)
    wanted = budgets(most or [], least or [], by or [])
    if self_test:
        if old is not None or any(x is not None for x in (junit, report, ledger, inconclusive)):
            raise BadInput(
                "--self-test compares retrains with each other: leave out OLD, NEW, --junit, --report, --ledger and --inconclusive"
            )
        _self_test(self_test, wanted, given, json=json, markdown=markdown, quiet=quiet)
        return
    doing = "reading the sums" if sums else f"comparing {old} with its budgets"
    with output.waiting(doing, quiet=quiet), cells_kept_out(no_rows):
        if sums or on is not None:
            from traintwice.sums import gate_sums

            if not wanted:
                raise BadInput("gate: no budget; pass --max MEASURE=LIMIT (such as churn=2%) or --min")
            needing_rows = {
                "--floor": floor, "--new-floor": new_floor, "--last": last, "--other-rows": other_rows, "--margin": margin,
                "--top-k": top_k, "--waive": waive, "--ledger": ledger,
            }  # fmt: skip
            columns: Reading = reading if sums else {**reading, "by": [b.by for b in wanted if b.by is not None]}
            shared = {"rule": rule, "inconclusive": inconclusive, "level": level, "min_support": min_support, "budgets": wanted}
            result = by_sums(gate_sums, old, new, sums, on, columns, threshold, needing_rows, shared)
        else:
            result = _result(old, new, wanted, by or [], given | without_unsaid({"inconclusive": inconclusive}))
        if report is not None:
            from traintwice.report import write_diff

            write_diff(result.diff, report, gate=result)
    from traintwice.tables._gate import MOST_CHECKS, gate_sheet, short_sheet
    from traintwice.tables._gate import junit as junit_of

    if junit is not None:
        output.write_file(junit, junit_of(result), option="--junit")
    sheets = [short_sheet(result)] if short else [gate_sheet(result, most=most) for most in (MOST_CHECKS, 20, 12, 8, 5, 3, 1)]
    output.show_result(result, *sheets, json=json, markdown=markdown)
    output.show_page(report, wanted=not json and not markdown)
    raise output.Outcome(result.exit_status)


def _files_of(old: str | None, new: str | None) -> list[str | None]:
    """The files that a gate reads, those that a gate's file names too."""
    if old is None or new is not None or not old.endswith(".toml"):
        return [old, new]
    from traintwice.gates._gate_files import read_gate

    said = read_gate(old)
    inside = [path for path in (said.old, said.new, *said.floor, *said.new_floor) if path is not None]
    return [old, *[str(Path(old).parent / path) for path in inside]]


def _result(old: str | None, new: str | None, wanted: list[Budget], by: list[str], given: dict[str, Any]) -> GateResult:
    from traintwice.gates import gate as compare_with
    from traintwice.gates import gate_file

    if old is None:
        raise BadInput(
            "gate: give the predictions of the old and the new model, a file whose name ends in .toml, or --self-test FILES"
        )
    if new is not None:
        if not wanted:
            raise BadInput("gate: no budget; pass --max MEASURE=LIMIT (such as churn=2%) or --min, or a TOML file")
        result = compare_with(old, new, wanted, **given)
    elif not old.endswith(".toml"):
        raise BadInput(f"gate {old}: give the predictions of the new model too, or one file whose name ends in .toml")
    elif wanted or by:
        raise BadInput(f"gate {old}: --max, --min and --by belong in the file, as [[budgets]]")
    else:
        result = gate_file(old, **given)
    return result


def _self_test(files: list[str], wanted: list[Budget], given: dict[str, Any], *, json: bool, markdown: bool, quiet: bool) -> None:
    from traintwice.gates import self_test

    if not wanted:
        raise BadInput("gate --self-test: no budget; pass --max MEASURE=LIMIT (such as churn=2%) or --min")
    with output.waiting("comparing every pair of retrains", quiet=quiet), cells_kept_out(bool(given.get("no_rows"))):
        found = self_test(files, wanted, **given)
    output.show_result(found, json=json, markdown=markdown)


def budgets(most: list[str], least: list[str], by: list[str]) -> list[Budget]:
    """Budgets from ``--max`` and ``--min``. Budgets without a column are repeated for each column of ``by``.

    >>> [(b.measure, b.max, b.by) for b in budgets(["churn=2%"], [], ["country"])]
    [('churn', 0.02, None), ('churn', 0.02, 'country')]
    >>> [(b.measure, b.against, b.by, b.where, b.max) for b in budgets(["decisions(0.5)/floor@country=BR=1.5"], [], [])]
    [('decisions(0.5)', 'times floor', 'country', 'BR', 1.5)]
    """
    return [b for side, texts in (("max", most), ("min", least)) for text in texts for b in _budgets_of(side, text, by)]


def _budgets_of(side: str, text: str, by: list[str]) -> Iterator[Budget]:
    from traintwice.gates import Budget
    from traintwice.gates._budgets import parse_limit

    match = BUDGET.fullmatch(text)
    limit = parse_limit(match["limit"]) if match else None
    if match is None or limit is None:
        raise BadInput(f"--{side} {text}: expected MEASURE=LIMIT, such as {FORMS}")
    kinds: dict[str, AgainstFloor] = {"-": "minus floor", "/": "times floor"}
    against = kinds[match["against"][0]] if match["against"] else None
    for column in [match["column"]] if match["column"] else [None, *by]:
        highest, lowest = (limit, None) if side == "max" else (None, limit)
        yield Budget(match["measure"], highest, lowest, column, match["value"] if match["column"] else None, against)


def waived(given: list[str]) -> list[str]:
    """Ids; ``@FILE`` is replaced by the lines of the file."""
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
