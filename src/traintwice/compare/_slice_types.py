"""Slices of a comparison as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from traintwice.compare._shown import fields_of
from traintwice.types import Estimate, plain_number

PREDICTED = "predicted class"
"""Column name of the slices by the class that the old model predicts."""

SIGNIFICANT = 0.05
"""Slices with a larger q-value are not significant."""


@dataclass(frozen=True)
class SliceTest:
    """One question asked of a slice.

    Attributes:
        question: "churn", "accuracy" or "recall".
        old, new: the measure of each model; for churn what it is compared with (the floor of the slice, or without retrains the churn
            of all other rows; None where there are none) and the churn.
        change: new minus old; for churn the churn itself.
        p_value: churn: of being that of all other rows or, with retrains, of being what retraining causes; accuracy, recall: of no
            change.
        q_value: the p-value after Benjamini and Hochberg over all slices and questions.
    """

    question: Literal["churn", "accuracy", "recall"]
    old: float | None
    new: float
    change: Estimate
    p_value: float
    q_value: float

    @property
    def significant(self) -> bool:
        """Whether the q-value is below 0.05 and, of a change, the interval excludes 0: of such at most 5 in 100 are false, on average."""
        return self.q_value < SIGNIFICANT and (self.question == "churn" or self.change.excludes_zero)


@dataclass(frozen=True)
class Slice:
    """Rows that share a value of a group column, a period, or the class that the old model predicts.

    Attributes:
        column: the group column, or `PREDICTED`.
        value: its value; None where it is missing.
        rows: how many.
        share: of all rows, by weight.
        churn: with its interval over new rows.
        negative_flips: right → wrong, of the rows with a label; None without labels.
        accuracy_change: new minus old; None without labels.
        excess: churn beyond the slice's own noise floor, in fractions; None without retrains.
        tests: the questions asked of the slice; the first is about churn.
        measures: further measures asked for, by name; of a measure of each model the change, new minus old.
    """

    column: str
    value: str | None
    rows: int
    share: float
    churn: Estimate
    negative_flips: Estimate | None
    accuracy_change: Estimate | None
    excess: Estimate | None
    tests: tuple[SliceTest, ...]
    measures: Mapping[str, Estimate]

    @property
    def q_value(self) -> float:
        """The smallest q-value of its questions."""
        return min(t.q_value for t in self.tests)

    @property
    def worse(self) -> tuple[SliceTest, ...]:
        """The significant losses of quality, largest first."""
        lost = [t for t in self.tests if t.question != "churn" and t.significant and t.change.value < 0]
        return tuple(sorted(lost, key=lambda t: t.change.value))

    @property
    def moved(self) -> bool:
        """Whether its churn differs significantly from its floor, or from that of all other rows."""
        return bool(self.tests) and self.tests[0].significant and (self.excess is None or self.excess.excludes_zero)

    @property
    def restless(self) -> bool:
        """Whether its churn is significantly more than its floor, or than that of all other rows."""
        return self.moved and self.tests[0].new > (math.inf if self.tests[0].old is None else self.tests[0].old)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the q-value included."""
        return fields_of(self) | {"q_value": plain_number(self.q_value if self.tests else math.nan)}
