"""Answers of a comparison, and the noise floor that several of them rest on, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from traintwice.metrics._definition import Unit
from traintwice.types import Estimate

Question = Literal["quality", "regressions", "disagreement", "slices", "operating point"]

Concern = Literal["problem", "inconclusive", "unknown", "fine"]
"""``problem``: something speaks against the new model. ``inconclusive``: the data do not decide. ``unknown``: nothing was given to
decide it by (no labels, no retrains). ``fine``: nothing speaks against the new model."""

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
