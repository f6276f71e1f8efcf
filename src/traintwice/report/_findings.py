"""The findings of a study in sentences, and which of them a page shows in full, in one line, or folded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from traintwice import metrics
from traintwice._formatting import decimals_for, format_cell, number
from traintwice._typed import typed
from traintwice.compare import interval
from traintwice.compare._estimates import MOST_REPLICAS, Difference
from traintwice.compare._parts import Concern
from traintwice.study import Finding, Results, Verdict
from traintwice.types import TARGET_IN_WORDS, Estimate

FindingKind = Literal["baseline", "lower", "price", "higher", "inconclusive", "terms"]
"""Subject of a sentence: the baseline; a recipe with significantly lower churn, lower churn and lower accuracy, higher churn, or an
inconclusive difference; or the meaning of "significant"."""


class Kind(NamedTuple):
    """How a page shows a kind of finding: its heading, its mark, and the concern of its card."""

    heading: str
    mark: str
    concern: Concern


KINDS: dict[FindingKind, Kind] = {
    "lower": Kind("Churn significantly lower", "▼", "fine"),
    "price": Kind("Churn and accuracy significantly lower", "▽", "problem"),
    "higher": Kind("Churn significantly higher", "▲", "problem"),
    "inconclusive": Kind("Inconclusive", "?", "inconclusive"),
}
"""Kinds of findings on recipes, in the order of the page."""

FEW = 10
"""Up to this many recipes a page shows everything of each."""

SENTENCES = 5
"""With more recipes: inconclusive recipes that have a sentence; the others have one line of a table."""

PANELS = 8
"""With more recipes: recipes besides the baseline with an open panel; the others are folded."""


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the recipe that it is about ("" for none)."""

    kind: FindingKind
    row: str
    text: str


@dataclass(frozen=True)
class Brief:
    """An inconclusive recipe in one line: differences in pp with intervals, and the replicas needed for a significant churn."""

    row: str
    churn: str
    accuracy: str
    accuracy_significant: bool
    needed: str


@dataclass(frozen=True)
class Choice:
    """How a page shows the recipes of a study.

    With more than `FEW` recipes (``many``), ``panels`` are the baseline and `PANELS` others, significant ones first; the panels of
    ``folded`` are drawn when opened, and inconclusive recipes in ``briefly`` have one line instead of a sentence.
    """

    many: bool
    panels: tuple[str, ...]
    folded: tuple[str, ...]
    briefly: tuple[Brief, ...]


def choose(found: Verdict, rows: tuple[str, ...]) -> Choice:
    """Choose by the number of recipes and the verdict on them."""
    if len(rows) <= FEW:
        return Choice(False, rows, (), ())
    order = (found.baseline, *kinds_of(found))
    return Choice(True, order[: 1 + PANELS], order[1 + PANELS :], tuple(_briefly(found)[SENTENCES:]))


def grouped(found: Verdict) -> dict[FindingKind, tuple[Finding, ...]]:
    """The findings by kind, in the order of the page: significant ones first."""
    return dict(zip(KINDS, (found.lower, found.lower_at_a_price, found.higher, found.inconclusive), strict=True))


def kinds_of(found: Verdict) -> dict[str, FindingKind]:
    """The kind of finding on each recipe but the baseline, in the order of the page."""
    return {f.row: kind for kind, findings in grouped(found).items() for f in findings}


@typed
def sentences(verdict: Verdict, results: Results | None = None) -> list[str]:
    """The findings of a study in sentences.

    Args:
        verdict: of a study.
        results: of the same study; adds the churn of the baseline as the first sentence.
    Returns:
        The baseline; then each recipe: significantly lower churn, lower churn with lower accuracy, higher churn, inconclusive; then the
        meaning of "significant". Differences are in percentage points (pp).
    Source:
        Ours. The number of further replicas is a projection from the observed difference; with that many, a true difference of this size
        is significant with a probability of about one half.
    """
    return [sentence.text for sentence in in_words(verdict, results)]


def in_words(verdict: Verdict, results: Results | None = None) -> list[Sentence]:
    """The same sentences, each with its subject."""
    groups = grouped(verdict)
    found = [f for findings in groups.values() for f in findings]
    digits = _digits(found)
    made = [Sentence("baseline", verdict.baseline, _of_baseline(verdict, results))] if results is not None else []
    for kind, findings in groups.items():
        made += [Sentence(kind, f.row, f"{f.row}: {_finding(f, kind, digits, verdict.comparisons)}") for f in findings]
    return [*made, Sentence("terms", "", _terms(verdict, found))]


def percent(level: float) -> str:
    """A level in percent: 0.95 is "95 %"."""
    return f"{level * 100:g} %"


def in_points(difference: Difference, digits: int) -> str:
    """A difference and its interval in percentage points, without unit: "−0.73 (−1.62 to +0.15)"."""
    e = difference.estimate
    value, low, high = (number(x, "points", digits, sign=True) for x in (e.value, e.low, e.high))
    return f"{value} (no interval)" if math.isnan(e.low) else f"{value} ({low} to {high})"


def _briefly(found: Verdict) -> list[Brief]:
    churn, accuracy = _digits(found.inconclusive)
    return [
        Brief(f.row, in_points(f.churn, churn), in_points(f.accuracy, accuracy), f.accuracy.significant, _needed(f.churn)[0])
        for f in found.inconclusive
    ]


def _digits(found: Sequence[Finding]) -> tuple[int, int]:
    """Decimals of the differences in churn and in accuracy, as their intervals support."""
    churn, accuracy = [f.churn.estimate for f in found], [f.accuracy.estimate for f in found]
    return decimals_for(churn, "fraction"), decimals_for(accuracy, "fraction")


def _finding(f: Finding, kind: FindingKind, digits: tuple[int, int], comparisons: int) -> str:
    churn, accuracy = f.churn.estimate, f.accuracy.estimate
    quality = f"no significant change of accuracy ({_signed(accuracy, digits[1])})"
    if f.accuracy.significant:
        quality = f"accuracy is {'higher' if accuracy.value > 0 else 'lower'} by {_size(accuracy, digits[1])}"
    if kind == "inconclusive":
        words = f"inconclusive (churn {_signed(churn, digits[0])}). {_needed(f.churn)[1]}."
        if churn.low > 0 or churn.high < 0:
            words += f" Its interval excludes zero, but it is not significant after the adjustment for {comparisons} comparisons."
        return f"{words} But {quality}." if f.accuracy.significant else words
    start = {
        "lower": "churn is significantly lower,",
        "price": "churn is significantly lower, but so is accuracy: churn is lower",
        "higher": "churn is significantly higher,",
    }
    train, serve = (format_cell(cost, "cost", 0) for cost in (f.cost.train, f.cost.serve))
    return f"{start[kind]} by {_size(churn, digits[0])}; {quality}; it costs {train} to train and {serve} to serve."


def _needed(difference: Difference) -> tuple[str, str]:
    """What a significant difference needs, for a cell and in a sentence."""
    estimate, more = difference.estimate, difference.more_replicas
    if estimate.value == 0 and estimate.standard_error == 0:
        return "no difference in any flip", "It has exactly as many flips as the baseline"
    if more is not None:
        many = f"{more:,} more {'replica' if more == 1 else 'replicas'}"
        return (
            many,
            f"With {many} of both recipes, a true difference of this size is significant with a probability of about one half",
        )
    if estimate.replicas < 3:
        return "3 replicas or more", "Two replicas are too few for a test"
    few = f"The {estimate.examples:,} test examples are too few for a difference this small, with any number of replicas up to"
    return "more test examples", f"{few} {MOST_REPLICAS:,}"


def _of_baseline(verdict: Verdict, results: Results) -> str:
    churn = interval(results.measure(metrics.churn, verdict.baseline), level=verdict.level)
    accuracy = results.measure(metrics.accuracy, verdict.baseline).value
    digits = decimals_for([churn], "fraction")
    return (
        f"Two runs of {verdict.baseline} give different labels to {number(churn.value, 'fraction', digits)} % of the examples "
        f"({_range(churn, digits)}). Their mean accuracy is {accuracy * 100:.1f} %."
    )


def _terms(verdict: Verdict, found: list[Finding]) -> str:
    if not found:
        return f"{verdict.baseline} is the only recipe here: there is nothing to compare it with. Add a row to the study."
    estimate, level = found[0].churn.estimate, percent(verdict.level)
    adjusted = f" after Holm's adjustment for {verdict.comparisons} comparisons" if verdict.comparisons > 1 else ""
    words = (
        f"Significant means at {level}{adjusted}; recipes are compared with {verdict.baseline}, paired by replica, in churn and in "
        f"accuracy. The ranges in brackets are {level} intervals of one difference each, in percentage points (pp), for "
        f"{TARGET_IN_WORDS[estimate.target]}."
    )
    if estimate.replicas < 3:
        words += " With two replicas they are about these models only: a statement about the recipes takes at least 3."
    return words


def _size(estimate: Estimate, digits: int) -> str:
    """A difference without its sign: "1.82 pp (0.72 to 2.92)"."""
    if estimate.value < 0:
        estimate = replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)
    return f"{number(estimate.value, 'points', digits)} pp ({_range(estimate, digits)})"


def _signed(estimate: Estimate, digits: int) -> str:
    """A difference with its sign: "−0.83 pp, −1.54 to −0.13"."""
    return f"{number(estimate.value, 'points', digits, sign=True)} pp, {_range(estimate, digits)}"


def _range(estimate: Estimate, digits: int) -> str:
    if math.isnan(estimate.low):
        return "no interval from a single example"
    return f"{number(estimate.low, 'points', digits)} to {number(estimate.high, 'points', digits)}"
