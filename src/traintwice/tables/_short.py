"""A comment for a pull request: the verdict, one line for each budget and answer, under 20 lines of Markdown."""

from __future__ import annotations

from traintwice._formatting import visible
from traintwice.compare._results import Diff
from traintwice.gates._budgets import GateResult
from traintwice.tables._diff import answers
from traintwice.tables._gate import budget_lines, gate_sentence
from traintwice.tables._sheet import Sheet
from traintwice.tables._words import headline, sentence

MOST_BUDGETS = 4
"""Budgets that are named, those over and inconclusive first."""


def short_sheet(result: Diff | GateResult) -> Sheet:
    """Verdict, files, budgets and answers; without tables."""
    if isinstance(result, GateResult):
        lines, rest = budget_lines(result, MOST_BUDGETS)
        notes = (f"{rest:,} more budgets",) if rest else ()
        return Sheet(headline(result.diff.alignment), gate_sentence(result), (*lines, *answers(result.diff)), notes=notes)
    return Sheet(headline(result.alignment), f"Verdict: {sentence(visible(result.headline))}", answers(result))
