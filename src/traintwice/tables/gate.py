"""What became of a gate's budgets, as a person and as a build server reads it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from traintwice.tables.diff import headline, notes, slice_name
from traintwice.tables.format import between, decimals_for, value_of
from traintwice.tables.sheet import Sheet
from traintwice.tables.table import Column, Row, Table
from traintwice.tables.width import visible

if TYPE_CHECKING:
    from traintwice.compare import Budget, Check, GateResult

MOST_CHECKS = 40
"""Checks in the table: all that failed, then as many of the others."""


def gate_sheet(result: GateResult) -> Sheet:
    """Every budget with its number, those that failed first."""
    checks = [*result.failed, *[c for c in result.checks if c.passed]]
    shown = checks[: max(MOST_CHECKS, len(result.failed))]
    columns = (
        Column("number", "number", "text"),
        Column("interval", "interval", "text"),
        Column("limit", "limit", "text"),
        Column("result", "", "text"),
    )
    rows = tuple(Row(check_name(check), _cells(check, result)) for check in shown)
    rest = len(checks) - len(shown)
    table = Table("Budgets", columns, rows, (f"{rest:,} more within their budgets",) if rest else ())
    why = tuple(f"over: {visible(check.reason)}" for check in result.failed)
    said = tuple(dict.fromkeys([*map(visible, result.notes), *notes(result.diff)]))
    return Sheet(headline(result.diff), gate_sentence(result), tables=(table,), notes=(*why, *said))


def gate_sentence(result: GateResult) -> str:
    """Pass or over budget, in a sentence."""
    checks, failed = len(result.checks), len(result.failed)
    if not failed:
        return f"Gate passed: {checks:,} of {checks:,} budgets kept."
    first = ", ".join(check_name(check) for check in result.failed[:3])
    return f"Gate failed: {failed:,} of {checks:,} budgets over ({first}{', …' if failed > 3 else ''})."


def check_name(check: Check) -> str:
    """The measure, and the slice where it is one: "churn · country=BR"."""
    of = "" if check.budget.of == "change" else f" of the {check.budget.of} model"
    name = f"{visible(check.budget.measure)}{of}"
    return name if check.column is None else f"{name} · {slice_name(check.column, check.value)}"


def junit(result: GateResult) -> str:
    """The checks as a JUnit XML document, one test case each, which build servers show as test results."""
    failures = str(len(result.failed))
    counts = {"tests": str(len(result.checks)), "failures": failures, "errors": "0", "skipped": "0"}
    suites = ElementTree.Element("testsuites", {"name": "traintwice gate", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _xml(headline(result.diff)), **counts})
    for check in result.checks:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": "traintwice.gate", "name": _xml(f"{check_name(check)} {_limit(check, 'words')}")}
        )
        if not check.passed:
            failure = ElementTree.SubElement(case, "failure", {"type": "OverBudget", "message": _xml(check.reason)})
            failure.text = _xml(check.reason)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _cells(check: Check, result: GateResult) -> dict[str, str]:
    unit = _unit(check.budget, result)
    estimate = check.estimate
    digits = decimals_for([estimate], unit)
    return {
        "number": value_of(estimate, unit, digits) if estimate is not None else "–",
        "interval": between(estimate, unit, digits) if estimate is not None else "",
        "limit": _limit(check, unit),
        "result": "kept" if check.passed else "over",
    }


def _unit(budget: Budget, result: GateResult) -> str:
    known: dict[str, str] = {m.name: m.unit for m in result.diff.measures}
    known.update((q.name, q.unit) for q in result.diff.quality)
    known["excess"] = "fraction"
    return known.get(budget.measure, "number")


def _limit(check: Check, unit: str) -> str:
    limits = {"at most": check.budget.max, "at least": check.budget.min}
    return " and ".join(f"{word} {_short(limit, unit)}" for word, limit in limits.items() if limit is not None)


def _short(limit: float, unit: str) -> str:
    return f"{100 * limit:.10g} %" if unit == "fraction" and not math.isinf(limit) else f"{limit:.10g}"


def _xml(text: str) -> str:
    """The text without what XML 1.0 cannot hold, which `visible` writes as escapes."""
    return "".join(c if c not in "\ufffe\uffff" else "\ufffd" for c in visible(text))
