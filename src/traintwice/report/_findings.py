"""The findings of a study in sentences, and which of them a page shows in full, in one line, or folded."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from traintwice import metrics
from traintwice._formatting import decimals_for, format_cell, number
from traintwice._typed import typed
from traintwice.compare import interval
from traintwice.compare._estimates import MOST_REPLICAS, Difference
from traintwice.study import Finding, Results, Verdict
from traintwice.types import TARGET_IN_WORDS, Estimate

FindingKind = Literal["baseline", "lower", "price", "higher", "inconclusive", "terms"]
"""Subject of a sentence: the baseline; a recipe with significantly lower churn, lower churn and lower accuracy, higher churn, or an
inconclusive difference; or the meaning of "significant"."""

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

    Attributes:
        many: there are more than `FEW`.
        panels: recipes with an open panel: with few recipes all; with many the baseline and `PANELS` others, significant ones first.
        folded: the other recipes, whose panels are drawn when opened.
        briefly: inconclusive recipes that have one line instead of a sentence.
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


def kinds_of(found: Verdict) -> dict[str, FindingKind]:
    """The finding on each recipe but the baseline, in the order of the page: significant ones first."""
    groups: tuple[tuple[FindingKind, tuple[Finding, ...]], ...] = (
        ("lower", found.lower),
        ("price", found.lower_at_a_price),
        ("higher", found.higher),
        ("inconclusive", found.inconclusive),
    )
    return {f.row: kind for kind, findings in groups for f in findings}


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
    found = [*verdict.lower, *verdict.lower_at_a_price, *verdict.higher, *verdict.inconclusive]
    points = _Points(
        decimals_for([f.churn.estimate for f in found], "fraction"),
        decimals_for([f.accuracy.estimate for f in found], "fraction"),
    )
    words = {
        "lower": lambda f: f"churn is significantly lower, {points.significant(f)}",
        "price": lambda f: f"churn is significantly lower, but so is accuracy: churn is lower {points.significant(f)}",
        "higher": lambda f: f"churn is significantly higher, {points.significant(f)}",
        "inconclusive": lambda f: f"inconclusive {points.inconclusive(f, verdict.comparisons)}",
    }
    findings = {f.row: f for f in found}
    made = [Sentence("baseline", verdict.baseline, _of_baseline(verdict, results))] if results is not None else []
    made += [Sentence(kind, row, f"{row}: {words[kind](findings[row])}") for row, kind in kinds_of(verdict).items()]
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
    churn = decimals_for([f.churn.estimate for f in found.inconclusive], "fraction")
    accuracy = decimals_for([f.accuracy.estimate for f in found.inconclusive], "fraction")
    return [
        Brief(f.row, in_points(f.churn, churn), in_points(f.accuracy, accuracy), f.accuracy.significant, _needed(f.churn))
        for f in found.inconclusive
    ]


def _needed(difference: Difference) -> str:
    estimate, more = difference.estimate, difference.more_replicas
    if _is_same(estimate):
        return "no difference in any flip"
    if more is not None:
        return f"{more:,} more {'replica' if more == 1 else 'replicas'}"
    return "3 replicas or more" if estimate.replicas < 3 else "more test examples"


def _needed_in_words(difference: Difference) -> str:
    estimate, more = difference.estimate, difference.more_replicas
    if _is_same(estimate):
        return "It has exactly as many flips as the baseline"
    if more is not None:
        return (
            f"With {more:,} more {'replica' if more == 1 else 'replicas'} of both recipes, a true difference of this size is significant "
            "with a probability of about one half"
        )
    if estimate.replicas < 3:
        return "Two replicas are too few for a test"
    return (
        f"The {estimate.examples:,} test examples are too few for a difference this small, with any number of replicas up to "
        f"{MOST_REPLICAS:,}"
    )


def _is_same(estimate: Estimate) -> bool:
    return estimate.value == 0 and estimate.standard_error == 0


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


@dataclass(frozen=True)
class _Points:
    """Differences in percentage points, with the decimals that their intervals support."""

    churn: int
    accuracy: int

    def significant(self, finding: Finding) -> str:
        churn, cost = finding.churn.estimate, finding.cost
        return (
            f"by {_size(churn, self.churn)}; {self.of_accuracy(finding.accuracy)}; it costs {format_cell(cost.train, 'cost', 0)} to train "
            f"and {format_cell(cost.serve, 'cost', 0)} to serve."
        )

    def of_accuracy(self, difference: Difference) -> str:
        estimate = difference.estimate
        if difference.significant:
            return f"accuracy is {'higher' if estimate.value > 0 else 'lower'} by {_size(estimate, self.accuracy)}"
        return f"no significant change of accuracy ({_signed(estimate, self.accuracy)})"

    def inconclusive(self, finding: Finding, comparisons: int) -> str:
        difference = finding.churn
        estimate = difference.estimate
        words = f"(churn {_signed(estimate, self.churn)}). {_needed_in_words(difference)}."
        if estimate.low > 0 or estimate.high < 0:
            words += f" Its interval excludes zero, but it is not significant after the adjustment for {comparisons} comparisons."
        if finding.accuracy.significant:
            words += f" But {self.of_accuracy(finding.accuracy)}."
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
