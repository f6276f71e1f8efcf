"""Sheet and JUnit file of a gate, the sheet of its self-test, and that of the launches of a ledger."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from traintwice._formatting import between, change, limits_in_words, value_of, visible, with_interval
from traintwice._installed import made_by
from traintwice.compare import _ledger as ledger
from traintwice.compare._ledger import History, Launch
from traintwice.compare._parts import slice_name
from traintwice.compare._results import LAUNCHES, Diff
from traintwice.gates._budgets import Check, GateResult, SelfTest
from traintwice.tables._diff import answers, filled, notes
from traintwice.tables._sheet import Cell, CellUnit, Column, Line, Row, Sheet, Table, text_columns
from traintwice.tables._words import counted, headline, sentence, warned

MOST_CHECKS = 40
"""Rows of the table of budgets, unless more budgets are over or inconclusive."""

MOST_BUDGETS = 4
"""Budgets that the short form names, those over and inconclusive first."""

CONCERNS = {"kept": "fine", "over": "problem", "inconclusive": "inconclusive"}
"""Outcome of a gate to its concern."""

MAIN = ("churn", "regression_difference")
"""Measures of which a launch has one."""


def gate_sheet(result: GateResult, *, most: int = MOST_CHECKS) -> Sheet:
    """The outcome, the budgets with their numbers (over and inconclusive first, ``most`` unless more are), and the files compared."""
    return Sheet(
        headline="",
        verdict=gate_sentence(result),
        paragraphs=warned(result.diff.warnings),
        tables=(budgets_table(result, most=most),),
        notes=(headline(result.diff.alignment), *map(visible, result.notes), *notes(result.diff, of_slices=not result.notes)),
        concern=CONCERNS[result.outcome],
    )


def gate_sentence(result: GateResult) -> str:
    checks = counted(len(result.checks), "budget")
    parts = []
    for word in ("over", "inconclusive"):
        if names := [check_name(c) for c in result.checks if c.outcome == word]:
            parts.append(f"{len(names):,} {word} ({', '.join([*names[:3], *(['…'] if len(names) > 3 else [])])})")
    if not parts:
        return f"Gate passed: {len(result.checks):,} of {checks} kept."
    rest = f"{', '.join(parts)}, of {checks}."
    if result.outcome == "over":
        return f"Gate failed: {rest}"
    if result.inconclusive is None:
        return f"Gate inconclusive: {rest}"
    return f"Gate {'passed' if result.passed else 'failed'}: {rest} Inconclusive counts as {result.inconclusive}."


def budgets_table(result: GateResult, *, most: int | None = None) -> Table:
    """Every check with outcome, number, interval and limit: over first, then inconclusive, then kept."""
    checks = sorted(result.checks, key=lambda c: ("over", "inconclusive", "kept").index(c.outcome))
    broken = [c for c in checks if c.outcome != "kept"]
    shown = checks[: max(most or len(checks), len(broken))]
    notes = [visible(check.reason) for check in broken if not _known(check)]
    if any(check.outcome == "inconclusive" and _known(check) for check in checks):
        notes.append("inconclusive: the limit is inside the interval, or there is no interval")
    notes += [f"{len(checks) - len(shown):,} more kept"] if len(shown) < len(checks) else []
    columns = text_columns("outcome", "number", "interval", "limit")
    return Table("Budgets", columns, tuple(Row(check_name(c), _cells(c)) for c in shown), tuple(notes))


def short_sheet(result: Diff | GateResult) -> Sheet:
    """A comment for a pull request: the verdict, one line for each of the first budgets and for each answer; without tables."""
    if isinstance(result, Diff):
        return Sheet(headline(result.alignment), f"Verdict: {sentence(visible(result.headline))}", answers(result))
    rows = budgets_table(result).rows
    lines = []
    for row in rows[:MOST_BUDGETS]:
        outcome, number, interval, limit = (str(row.cells[key]) for key in ("outcome", "number", "interval", "limit"))
        shown = f"{number}{f' ({interval})' if interval else ''}; {limit} allowed"
        lines.append(Line(row.name, outcome, shown, CONCERNS[outcome]))
    rest = len(rows) - MOST_BUDGETS
    kept = ", all kept" if all(str(row.cells["outcome"]) == "kept" for row in rows[MOST_BUDGETS:]) else ""
    more = (f"{counted(rest, 'more budget')}{kept}",) if rest > 0 else ()
    return Sheet(headline(result.diff.alignment), gate_sentence(result), (*lines, *answers(result.diff)), notes=more)


def check_name(check: Check) -> str:
    """The measure, and the slice if the check is of a slice.

    >>> check_name(Check(Budget("churn", 0.1, by="g", where="a", against="times floor"), "g", "a", "number", None, "kept", ""))
    'churn / floor · g=a'
    """
    budget = check.budget
    against = {None: "", "minus floor": " − floor", "times floor": " / floor"}[budget.against]
    of = "" if budget.of == "change" else f" of the {budget.of} model"
    where = "" if check.column is None else f" · {slice_name(check.column, check.value)}"
    return f"{visible(budget.measure)}{against}{of}{where}"


def junit(result: GateResult) -> str:
    """The checks as a JUnit XML document, one test case for each.

    Inconclusive is a failure, or a note in system-out if inconclusive counts as a pass.
    """
    failed = [c for c in result.checks if c.outcome == "over" or (c.outcome == "inconclusive" and result.inconclusive != "pass")]
    counts = {"tests": str(len(result.checks)), "failures": str(len(failed)), "errors": "0", "skipped": "0"}
    suites = ElementTree.Element("testsuites", {"name": "traintwice gate", **counts})
    made = made_by()
    about = {"name": _xml(headline(result.diff.alignment)), **counts, "timestamp": made["date"].removesuffix("Z")}
    suite = ElementTree.SubElement(suites, "testsuite", about)
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "traintwice", "value": made["traintwice"]})
    for check in result.checks:
        cells = _cells(check)
        name = _xml(f"{check_name(check)} {cells['limit']}")
        case = ElementTree.SubElement(suite, "testcase", {"classname": "traintwice.gate", "name": name})
        interval = f" ({cells['interval']})" if cells["interval"] else ""
        reason = f"{check_name(check)} is {cells['number']}{interval}; allowed is {cells['limit']}"
        reason = _xml(reason if _known(check) else check.reason)
        if check in failed:
            kind = "OverBudget" if check.outcome == "over" else "Inconclusive"
            ElementTree.SubElement(case, "failure", {"type": kind, "message": reason}).text = reason
        elif check.outcome == "inconclusive":
            ElementTree.SubElement(case, "system-out").text = f"inconclusive: {reason}"
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def self_test_sheet(test: SelfTest) -> Sheet:
    """How often the gate is over or inconclusive if nothing changed."""
    rows = tuple(
        Row(visible(name), {"kept": f"{kept:,}", "over": f"{over:,}", "inconclusive": f"{unknown:,}"})
        for name, kept, over, unknown in test.by_budget
    )
    columns = text_columns("kept", "over", "inconclusive")
    pairs = f"{test.pairs:,} ordered pairs of {len(test.models):,} retrains, each compared as old and new"
    lines = (
        Line("over", with_interval(test.over, "fraction"), "of pairs"),
        Line("inconclusive", with_interval(test.inconclusive, "fraction"), "of pairs"),
    )
    about = f"intervals: {100 * test.over.level:g} %, for new retrains; retrains: {', '.join(map(visible, test.models))}"
    return Sheet(pairs, sentence(test.sentence), lines, tables=(Table("Pairs by budget", columns, rows),), notes=(about,))


def _known(check: Check) -> bool:
    return check.estimate is not None and not math.isnan(check.estimate.value)


def _cells(check: Check) -> dict[str, str]:
    e, budget = check.estimate if _known(check) else None, check.budget
    return {
        "outcome": check.outcome,
        "number": "–" if e is None else value_of(e, check.unit),
        "interval": "" if e is None else between(e, check.unit),
        "limit": limits_in_words(budget.max, budget.min, check.unit),
    }


def _xml(text: str) -> str:
    """The text without characters that XML 1.0 does not allow."""
    return "".join(c if c not in "\ufffe\uffff" else "\ufffd" for c in visible(text))


def history_sheet(found: History) -> Sheet:
    """One row for each launch: rows, churn and its floor, right → wrong, the change of accuracy, the outcome and its budgets."""
    first, last = found.launches[0], found.launches[-1]
    gates = [launch.outcome for launch in found.launches]
    counts = ", ".join(f"{gates.count(word)} {word}" for word in CONCERNS if word in gates)
    headline = f"{visible(found.path)} · {LAUNCHES.count(len(found.launches))} from {first.date[:10]} to {last.date[:10]}"
    verdict = f"Last launch: {visible(last.headline)}{'' if last.outcome is None else f' Gate: {last.outcome}.'}"
    notes = ([f"gates: {counts}"] if counts else []) + list(found.notes)
    return Sheet(headline, verdict, tables=(launches_table(found),), notes=tuple(notes))


def launches_table(found: History) -> Table:
    """The launches, oldest first; columns without any value are left out."""
    unit: CellUnit = "number" if any("regression_difference" in launch.numbers for launch in found.launches) else "fraction"
    columns = (
        *text_columns(models="old → new", rows="rows"),
        Column("churn", "churn" if unit == "fraction" else "difference", unit),
        Column("floor", "floor", unit),
        Column("lost", "right → wrong", "fraction"),
        *text_columns(quality="quality", outcome="gate", budgets="budgets"),
    )
    rows = tuple(Row(launch.date[:16].replace("T", " "), _launch_cells(launch)) for launch in found.launches)
    return Table("Launches", tuple(filled(columns, rows)), rows)


def _launch_cells(launch: Launch) -> dict[str, Cell]:
    main = next((name for name in MAIN if name in launch.numbers), None)
    quality = quality_of(launch)
    return {
        "models": f"{visible(launch.old.name)} → {visible(launch.new.name)}",
        "rows": f"{launch.rows:,}",
        "churn": None if main is None else launch.numbers[main],
        "floor": launch.floors.get(main or ""),
        "lost": launch.numbers.get("negative_flips"),
        "quality": None if quality is None else " ".join(quality),
        "outcome": launch.outcome,
        "budgets": "; ".join(_limits_of(c) for c in launch.checks) or None,
    }


def _limits_of(check: ledger.Check) -> str:
    limits = (("≤", check.max), ("≥", check.min))
    allowed = " and ".join(f"{word} {limit:g}".replace("-", "−") for word, limit in limits if limit is not None)
    return f"{visible(check.budget)} {'–' if check.number is None else value_of(check.number, 'number', 4)} {allowed}"


def quality_of(launch: Launch) -> tuple[str, str] | None:
    """The first measure of quality of a launch and its change, in words."""
    for name, estimate in launch.quality.items():
        unit = "fraction" if name in ("accuracy", "precision", "recall", "mean_score") else "number"
        return name.replace("_", " "), change(estimate, unit)
    return None
