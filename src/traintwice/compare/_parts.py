"""Parts of the result of a comparison, as data: answers, noise floors, flows, distributions, decisions, single rows, slices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from traintwice._formatting import visible
from traintwice.compare._shown import fields_of
from traintwice.metrics._definition import Unit
from traintwice.types import Estimate, plain_number

Question = Literal["quality", "regressions", "disagreement", "slices", "operating point"]

Concern = Literal["problem", "inconclusive", "unknown", "fine"]
"""``problem``: something speaks against the new model. ``inconclusive``: the data do not decide. ``unknown``: nothing was given to
decide it by (no labels, no retrains). ``fine``: nothing speaks against the new model."""

WORST_FIRST: tuple[Concern, ...] = ("problem", "inconclusive", "unknown", "fine")

Judgement = Literal["within noise", "beyond noise", "inconclusive"]


@dataclass(frozen=True)
class Answer:
    """One question about the new model, answered.

    Attributes:
        question: the question that is answered.
        verdict: the answer in a few words: "worse", "better", "no change that matters", "inconclusive", "more than retraining causes",
            "within noise", "2 of 12 worse", "no retrains given" …
        concern: see `Concern`.
        sentence: the answer in a sentence, numbers included.
        detail: the numbers behind it, for the line of a table.
    """

    question: Question
    verdict: str
    concern: Concern
    sentence: str
    detail: str


@dataclass(frozen=True)
class NoiseFloor:
    """A change between two models against what retraining alone causes, given this old model.

    Attributes:
        name, title, unit: what changes: "churn", "negative_flips", "decisions at 0.5", "top 100", "regression_difference".
        retrains: k, retrains of the old recipe next to the old model; 0 where repeated draws of each model are the floor.
        new_retrains: retrains of the new recipe next to the new model.
        value: of old against new; with retrains of the new recipe the mean over all pairs of an old with a new model.
        floor: what retraining alone causes; with retrains of the new recipe the mean of both recipes' own.
        ratio: value / floor, for new retrains and new rows, formed on the log scale; bounds are nan where there are too few
            retrains, or copies.
        excess: value − floor, in the unit of the measure.
        each: the change between the old model and each retrain of its recipe.
        within_old, within_new: mean change inside each recipe; None but for two recipes with retrains.
        verdict: "within noise": the upper bound of the ratio is below ``margin``. "beyond noise": it is not, and the lower bound is
            above 1. "inconclusive": neither, or no verdict is possible.
        margin: the smallest ratio that matters, such as 1.5.
        more_retrains: how many more retrains would decide, if the ratio stayed as it is; 0 where the verdict is decided, None where
            no number would.
        reason: the verdict in a sentence.
    """

    name: str
    title: str
    unit: Unit
    retrains: int
    new_retrains: int
    value: float
    floor: float
    ratio: Estimate
    excess: Estimate
    each: tuple[float, ...]
    within_old: float | None
    within_new: float | None
    verdict: Judgement
    margin: float
    more_retrains: int | None
    reason: str


MOST_CLASSES = 30
"""Up to this many classes the whole matrix of the flow is kept; beyond, its largest cells."""


@dataclass(frozen=True)
class FlowCell:
    """Rows whose predicted class went from ``old`` to ``new``; ``share`` is of all rows."""

    old: str
    new: str
    rows: int
    share: float


@dataclass(frozen=True)
class Flow:
    """Old and new predicted labels.

    Attributes:
        classes: names of the classes, in the order of ``counts``.
        counts: rows by old (first axis) and new class; None where there are more than `MOST_CLASSES` classes.
        cells: the largest cells in which the class changed, largest first.
        changed_cells: how many cells with a change there are in all.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...] | None
    cells: tuple[FlowCell, ...]
    changed_cells: int


@dataclass(frozen=True)
class Band:
    """Rows by a number of the old model in (low, high]; the first band includes its lower end.

    Attributes:
        low, high: of the band.
        rows: how many the old model places in it.
        new_rows: how many the new model places in it.
        churn: share of ``rows`` whose predicted label changed; None where there are none.
        distance: mean total variation distance over ``rows``; None where there are none.
    """

    low: float
    high: float
    rows: int
    new_rows: int
    churn: float | None
    distance: float | None


@dataclass(frozen=True)
class Joint:
    """Counts of rows in squares of old against new.

    Attributes:
        kind: "score" of a binary model, "confidence" (largest minus second largest probability), or "number" of a regression.
        bins: how many along each axis.
        low, high: range of both axes; the last bin includes its upper end.
        cells: for each square with a row in it: old bin, new bin, rows, rows whose label changed.
    """

    kind: Literal["score", "confidence", "number"]
    bins: int
    low: float
    high: float
    cells: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Movement:
    """How far probabilities moved from the old to the new model.

    Attributes:
        beyond: tolerance to the share of rows whose total variation distance is larger.
        quantiles: share of rows to the distance that so many rows do not exceed.
        kl_old_new, kl_new_old: mean, and quantiles, of KL(old ‖ new) and of KL(new ‖ old) in nats; keys "mean" and the shares.
    """

    beyond: Mapping[str, Estimate]
    quantiles: Mapping[str, float]
    kl_old_new: Mapping[str, float]
    kl_new_old: Mapping[str, float]


@dataclass(frozen=True)
class Decisions:
    """Decisions "score >= threshold" of a binary model.

    Attributes:
        threshold: on the probability of the positive class.
        old_positive, new_positive: share of rows decided positive by each model.
        changed: share of rows whose decision changed.
        to_positive, to_negative: its two parts.
        floor: the change against what retraining causes; None without retrains.
    """

    threshold: float
    old_positive: Estimate
    new_positive: Estimate
    changed: Estimate
    to_positive: Estimate
    to_negative: Estimate
    floor: NoiseFloor | None


@dataclass(frozen=True)
class SwapSet:
    """The k rows of highest score of each model (ties: the earlier row).

    Attributes:
        asked: the requested top k: a number of rows, or a share of them.
        rows: k.
        overlap: share of k that both models choose.
        swapped: rows that entered, which is also how many left.
        entered_positive, left_positive: share with label 1 among the rows that entered and left; None where there are none with
            a label.
        floor: the swapped share against what retraining causes; None without retrains.
    """

    asked: float
    rows: int
    overlap: Estimate
    swapped: int
    entered_positive: float | None
    left_positive: float | None
    floor: NoiseFloor | None


@dataclass(frozen=True)
class ChangedRow:
    """A row of one of the short lists.

    Attributes:
        id: as in the file; None where rows have no ids (then ``position`` counts them from 0 as they were read).
        position: its place among the rows read.
        old, new: predicted classes; for a regression the numbers.
        old_probability, new_probability: of the class the old model predicts; None for predicted labels only.
        label: true class or value; None where not known.
        distance: total variation distance; for predicted labels 0 or 1; for a regression the difference.
        instability: see `instability`; None where not known.
        shown: further columns asked for, by name.
    """

    id: str | int | None
    position: int
    old: str
    new: str
    old_probability: float | None
    new_probability: float | None
    label: str | None
    distance: float
    instability: float | None
    shown: Mapping[str, str | None]


@dataclass(frozen=True)
class Review:
    """Share of the changed labels found by reviewing the ``share`` of rows of highest instability."""

    share: float
    rows: int
    caught: float


PREDICTED = "predicted class"
"""Column name of the slices by the class that the old model predicts."""


def slice_name(column: str, value: str | None) -> str:
    """The name of a slice.

    >>> slice_name("country", "BR"), slice_name("country", None), slice_name(PREDICTED, "refund")
    ('country=BR', 'country is missing', "class 'refund'")
    """
    if value is None:
        return f"{visible(column)} is missing"
    return f"class '{visible(value)}'" if column == PREDICTED else f"{visible(column)}={visible(value)}"


SIGNIFICANT = 0.05
"""Slices with a larger q-value are not significant."""


@dataclass(frozen=True)
class SliceTest:
    """One question asked of a slice.

    Attributes:
        question: "churn", "accuracy" ("mean score" of graded answers) or "recall".
        old, new: the measure of each model; for churn what it is compared with (the floor of the slice, or without retrains the churn
            of all other rows; None where there are none) and the churn.
        change: new minus old; for churn the churn itself.
        p_value: churn: of being that of all other rows or, with retrains, of being what retraining causes; accuracy, recall: of no
            change.
        q_value: the p-value after Benjamini and Hochberg over all slices and questions.
    """

    question: Literal["churn", "accuracy", "mean score", "recall"]
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
        accuracy_change: new minus old, of the mean score where answers are graded; None without labels.
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
