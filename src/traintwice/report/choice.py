"""What the page of a study with many rows shows in full, in brief, or only when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from traintwice.compare import Difference
from traintwice.formatting import decimals_for
from traintwice.report.words import Kind
from traintwice.study import Verdict

FEW = 10
"""Up to so many rows a page shows everything of each."""

SENTENCES = 5
"""Of many rows, so many that are not settled still have a sentence each."""

PANELS = 8
"""Of many rows, so many besides the baseline have a panel each without being asked for."""


@dataclass(frozen=True)
class Brief:
    """A row that is not settled, in one line: differences in percent points with intervals, and what would settle its churn."""

    row: str
    churn: str
    accuracy: str
    accuracy_settled: bool
    settle: str


@dataclass(frozen=True)
class Choice:
    """How a page deals with the rows of a study.

    Attributes:
        many: there are more than `FEW`.
        panels: rows that have a panel each at once: all of few; of many the baseline and `PANELS` others, the settled ones first.
        folded: the rest, whose panels are drawn when asked for.
        briefly: unsettled rows that have one line instead of a sentence.
    """

    many: bool
    panels: tuple[str, ...]
    folded: tuple[str, ...]
    briefly: tuple[Brief, ...]


def choose(found: Verdict, rows: tuple[str, ...]) -> Choice:
    """Choose by the number of rows and the verdict on them."""
    if len(rows) <= FEW:
        return Choice(False, rows, (), ())
    order = (found.baseline, *kinds_of(found))
    return Choice(True, order[: 1 + PANELS], order[1 + PANELS :], tuple(_briefly(found)[SENTENCES:]))


def kinds_of(found: Verdict) -> dict[str, Kind]:
    """What was found of each row but the baseline, in the order of the page: settled ones first."""
    groups: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("lower", tuple(f.row for f in found.lower)),
        ("price", tuple(f.row for f in found.lower_at_a_price)),
        ("higher", tuple(f.row for f in found.higher)),
        ("unsettled", tuple(f.row for f in found.unsettled)),
    )
    return {row: kind for kind, rows in groups for row in rows}


def in_points(difference: Difference, digits: int) -> str:
    """A difference and its interval in percent points: "−0.73 (−1.62 to +0.15)"."""
    estimate = difference.estimate
    if math.isnan(estimate.low):
        return f"{signed(100 * estimate.value, digits)} (no interval)"
    low, high = signed(100 * estimate.low, digits), signed(100 * estimate.high, digits)
    return f"{signed(100 * estimate.value, digits)} ({low} to {high})"


def signed(value: float, digits: int) -> str:
    """A number with its sign, a true minus, and none at zero.

    >>> signed(-1.234, 1), signed(0.5, 1), signed(-0.001, 1)
    ('−1.2', '+0.5', '0.0')
    """
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+") + text


def _briefly(found: Verdict) -> list[Brief]:
    churn = decimals_for([f.churn.estimate for f in found.unsettled], "fraction")
    accuracy = decimals_for([f.accuracy.estimate for f in found.unsettled], "fraction")
    return [
        Brief(
            f.row, in_points(f.churn, churn), in_points(f.accuracy, accuracy), f.accuracy.significant, _what_would_settle(f.churn)
        )
        for f in found.unsettled
    ]


def _what_would_settle(difference: Difference) -> str:
    estimate, more = difference.estimate, difference.more_replicas
    if estimate.value == 0 and estimate.standard_error == 0:
        return "not one flip more or less"
    if more is not None:
        return f"{more:,} more {'replica' if more == 1 else 'replicas'}"
    return "3 replicas or more" if estimate.replicas < 3 else "more test examples"
