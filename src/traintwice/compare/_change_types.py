"""What changed between two models, as data: flows, distributions, decisions, swap sets, single rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from traintwice.compare._answer_types import NoiseFloor
from traintwice.types import Estimate

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
