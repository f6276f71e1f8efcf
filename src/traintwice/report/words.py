"""A verdict in plain words: what lowered churn beyond doubt and at what cost, and what is not settled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from traintwice import metrics
from traintwice.compare import interval
from traintwice.compare.estimates import MOST_REPLICAS, Difference
from traintwice.formatting import decimals_for, format_cell
from traintwice.study import Finding, Results, Verdict
from traintwice.types import TARGET_IN_WORDS, Estimate

Kind = Literal["baseline", "lower", "price", "higher", "unsettled", "terms"]
"""What a sentence is about: the baseline; a row whose churn is lower, lower at the price of accuracy, higher, or not settled; or what
"beyond doubt" means here."""


@dataclass(frozen=True)
class Said:
    """A sentence, and the row that it is about ("" for none)."""

    kind: Kind
    row: str
    text: str


def sentences(verdict: Verdict, results: Results | None = None) -> list[str]:
    """What a study found, in sentences that claim no more than its intervals do.

    Args:
        verdict: of a study.
        results: of the same study; with them the first sentence says how much churn the baseline has.
    Returns:
        The baseline, then one sentence or two for each row (lower beyond doubt, lower at the price of accuracy, higher, not settled),
        then what "beyond doubt" means. Differences are in percent points.
    Source:
        Ours. How many replicas would settle a difference is a projection from this very difference; with as many, a true difference of
        that size is settled about every second time, so the sentence says "an even chance".
    """
    return [said.text for said in in_words(verdict, results)]


def in_words(verdict: Verdict, results: Results | None = None) -> list[Said]:
    """The same sentences, each with what it is about."""
    found = [*verdict.lower, *verdict.lower_at_a_price, *verdict.higher, *verdict.unsettled]
    points = _Points(
        decimals_for([f.churn.estimate for f in found], "fraction"),
        decimals_for([f.accuracy.estimate for f in found], "fraction"),
    )
    said = [Said("baseline", verdict.baseline, _of_baseline(verdict, results))] if results is not None else []
    said += [Said("lower", f.row, f"{f.row}: churn is lower beyond doubt, {points.beyond(f)}.") for f in verdict.lower]
    said += [
        Said("price", f.row, f"{f.row}: churn is lower beyond doubt, but at the price of accuracy: {points.beyond(f)}.")
        for f in verdict.lower_at_a_price
    ]
    said += [Said("higher", f.row, f"{f.row}: churn is higher beyond doubt, {points.beyond(f)}.") for f in verdict.higher]
    said += [
        Said("unsettled", f.row, f"{f.row}: not settled {points.unsettled(f, verdict.comparisons)}") for f in verdict.unsettled
    ]
    return [*said, Said("terms", "", _terms(verdict, found))]


def percent(level: float) -> str:
    """A level as a person reads it: 0.95 is "95 %"."""
    return f"{level * 100:g} %"


def _of_baseline(verdict: Verdict, results: Results) -> str:
    churn = interval(results.measure(metrics.churn, verdict.baseline), level=verdict.level)
    accuracy = results.measure(metrics.accuracy, verdict.baseline).value
    digits = decimals_for([churn], "fraction")
    return (
        f"Train {verdict.baseline} twice, and the two models give different labels to {_number(churn.value, digits)} % of the examples "
        f"({_range(churn, digits)}). On average each is right on {accuracy * 100:.1f} %."
    )


def _terms(verdict: Verdict, found: list[Finding]) -> str:
    if not found:
        return f"{verdict.baseline} is the only recipe here: there is nothing to compare it with. Add a row to the study."
    estimate = found[0].churn.estimate
    family = (
        f"after Holm's adjustment for {verdict.comparisons} comparisons"
        if verdict.comparisons > 1
        else "in the one comparison made"
    )
    words = (
        f"Beyond doubt means at {percent(verdict.level)} {family} with {verdict.baseline}, replica by replica; accuracy is judged in the "
        f"same way. The ranges in brackets are {percent(verdict.level)} intervals of one difference each, in percent points, for "
        f"{TARGET_IN_WORDS[estimate.target]}."
    )
    if estimate.replicas < 3:
        words += " Two replicas say nothing of the recipes themselves: that takes at least 3."
    return words


@dataclass(frozen=True)
class _Points:
    """Differences in percent points, with the decimals that their intervals support."""

    churn: int
    accuracy: int

    def beyond(self, finding: Finding) -> str:
        churn, cost = finding.churn.estimate, finding.cost
        return (
            f"by {_size(churn, self.churn)}; {self.of_accuracy(finding.accuracy)}; it costs {format_cell(cost.train, 'cost', 0)} to train "
            f"and {format_cell(cost.serve, 'cost', 0)} to serve"
        )

    def of_accuracy(self, difference: Difference) -> str:
        estimate = difference.estimate
        if difference.significant:
            return f"accuracy is {'higher' if estimate.value > 0 else 'lower'} by {_size(estimate, self.accuracy)}"
        return f"no change of accuracy beyond doubt ({_signed(estimate, self.accuracy)})"

    def unsettled(self, finding: Finding, comparisons: int) -> str:
        difference = finding.churn
        estimate = difference.estimate
        words = f"(churn {_signed(estimate, self.churn)}). {_what_would_settle(difference)}."
        if estimate.low > 0 or estimate.high < 0:
            words += f" Its own interval leaves out zero, but not once {comparisons} comparisons are allowed for."
        if finding.accuracy.significant:
            words += f" But {self.of_accuracy(finding.accuracy)}."
        return words


def _what_would_settle(difference: Difference) -> str:
    estimate, more = difference.estimate, difference.more_replicas
    if estimate.value == 0 and estimate.standard_error == 0:
        return "It shows not one flip more or less than the baseline"
    if more is not None:
        replicas = "replica" if more == 1 else "replicas"
        return (
            f"{more:,} more {replicas} of both recipes would have an even chance of telling, if the difference is what it seems"
        )
    if estimate.replicas < 3:
        return "Two replicas cannot tell"
    return (
        f"The {estimate.examples:,} test examples are too few for a difference this small, with any number of replicas up to "
        f"{MOST_REPLICAS:,}"
    )


def _size(estimate: Estimate, digits: int) -> str:
    """A difference without its sign: "1.82 points (0.72 to 2.92)"."""
    if estimate.value < 0:
        estimate = replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)
    return f"{_number(estimate.value, digits)} points ({_range(estimate, digits)})"


def _signed(estimate: Estimate, digits: int) -> str:
    """A difference with its sign: "−0.83 points, −1.54 to −0.13"."""
    sign = "+" if float(f"{estimate.value * 100:.{digits}f}") > 0 else ""
    return f"{sign}{_number(estimate.value, digits)} points, {_range(estimate, digits)}"


def _range(estimate: Estimate, digits: int) -> str:
    if math.isnan(estimate.low):
        return "no interval from a single example"
    return f"{_number(estimate.low, digits)} to {_number(estimate.high, digits)}"


def _number(fraction: float, digits: int) -> str:
    """A fraction in percent, with a true minus sign and none before zero.

    >>> _number(-0.0123, 1), _number(-0.0001, 1)
    ('−1.2', '0.0')
    """
    text = f"{abs(fraction) * 100:.{digits}f}"
    return f"−{text}" if fraction < 0 and float(text) > 0 else text
