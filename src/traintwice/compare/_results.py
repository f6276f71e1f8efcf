"""Results of `diff` as data: answers first, then every number with its interval; what has no value is named with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from traintwice.compare._answer_types import Answer, NoiseFloor
from traintwice.compare._shown import Drawn, fields_of
from traintwice.errors import no_entry
from traintwice.metrics._definition import Unit
from traintwice.predictions import Summary
from traintwice.types import Estimate, plain_number

PREDICTED = "predicted class"
"""Column name of the slices by the class that the old model predicts."""

MOST_CLASSES = 30
"""Up to this many classes the whole matrix of the flow is kept; beyond, its largest cells."""

SIGNIFICANT = 0.05
"""Slices with a larger q-value are not significant."""


@dataclass(frozen=True)
class Quality:
    """A measure of quality of both models.

    Attributes:
        name, title, unit: of the metric; see `traintwice.metrics`.
        old, new: of each model alone; the intervals are over new rows.
        change: new minus old, paired by row; its bounds are nan where the metric has no paired interval.
        p_value: of no change; None where the change has no test.
        higher_is_better: whether a larger value is a better model; None where neither is (bias).
    """

    name: str
    title: str
    unit: Unit
    old: Estimate
    new: Estimate
    change: Estimate
    p_value: float | None
    higher_is_better: bool | None


@dataclass(frozen=True)
class Measured:
    """A measure of disagreement between the old and the new model.

    Attributes:
        name, title, unit: of the metric.
        soft: it depends on the size of probabilities; show it with churn and accuracy.
        estimate: its interval is about these two models, new rows.
    """

    name: str
    title: str
    unit: Unit
    soft: bool
    estimate: Estimate


@dataclass(frozen=True)
class Calibration:
    """The calibration error of a model next to what perfect calibration would show.

    Attributes:
        model: "old" or "new".
        ece: expected calibration error.
        if_calibrated: its mean if every confidence were the chance of being right, so that only chance is left.
        debiased: the error less what chance adds; at least 0.
    """

    model: str
    ece: float
    if_calibrated: float
    debiased: float


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
        """Whether the q-value is below 0.05: of such findings at most 5 in 100 are false, on average."""
        return self.q_value < SIGNIFICANT


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
    def restless(self) -> bool:
        """Whether its churn is significantly more than its floor, or than that of all other rows."""
        t = self.tests[0]
        return t.significant and t.old is not None and t.new > t.old

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the q-value included."""
        return fields_of(self) | {"q_value": plain_number(self.q_value if self.tests else math.nan)}


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


@dataclass(frozen=True)
class TemperatureMatched:
    """Soft measures after each model was brought to its best temperature.

    Attributes:
        old, new: temperatures, fitted to log loss on ``held_out`` rows.
        held_out: rows used for fitting and left out of the measures.
        rows: rows on which the measures are.
        measures: at those temperatures.
    """

    old: float
    new: float
    held_out: int
    rows: int
    measures: tuple[Measured, ...]


@dataclass(frozen=True, repr=False)
class Diff(Drawn):
    """One old model against one new model on the same rows. Made by `diff`.

    Attributes:
        alignment: the files, their columns, and how rows were matched; files are old, new, retrains of old, retrains of new.
        level: nominal coverage of every interval.
        effective_rows: (Σw)²/Σw² where rows have weights; None if all weights are equal.
        regression: whether the predictions are numbers and not classes.
        answers: quality, regressions, disagreement, slices and operating point, each answered; in this order.
        quality: accuracy, log loss … of both models; empty without labels.
        measures: churn, flips, distances … between the two.
        bounds: upper bounds on churn by name: ``lemma_1`` (sum of errors), ``lemma_2``, ``tight_lemma_2``.
        calibration: calibration errors next to what chance alone would show.
        floors: churn, then negative flips, against the noise of retraining; empty without retrains.
        identical: names of files whose predictions are bit-identical, each group of two or more.
        flow: where predicted labels went; None for regression.
        confidence: bands of the old model's confidence γ (largest minus second largest probability).
        scores: bands of the score of a binary model.
        joint: counts of old against new; None for predicted labels.
        movement: how far probabilities moved; None without probabilities.
        decisions: at the thresholds asked for.
        swap_sets: of the top-k asked for.
        slices: by group columns, of at least ``min_support`` rows: significant ones first, by size of effect.
        predicted: the same by the class that the old model predicts.
        periods: the same by period of the time column, in the order of time.
        slices_left_out: slices with fewer rows.
        min_support: the least rows of a slice.
        regressed: the first rows that went from right to wrong (a regression: that got worse most); empty with ``no_rows``.
        regressed_rows: how many there are.
        largest_changes: rows whose prediction moved most, most first; empty with ``no_rows``.
        reviews: share of changed labels among the least stable rows.
        matched: soft measures at matched temperatures; None where not asked for.
        no_rows: ids and rows are kept out of every output.
        warnings: doubts about the numbers, in sentences.
        left_out: name of a part or measure to the reason why it has no value here.
        infinite: name of a measure to where it becomes infinite.
        waived: rows left out by their ids.
        outcomes: "outcomes" where the rows are items of an evaluation that a model gets right or wrong, "graded" where it gets a score
            between 0 and 1; further runs of the old model are then reruns. None for other predictions.
        launches: how many launches of a ledger are the floor; None where retrains are.
        floor_notes: which launches these are, in sentences.
    """

    alignment: Summary
    level: float
    effective_rows: float | None
    regression: bool
    answers: tuple[Answer, ...]
    quality: tuple[Quality, ...]
    measures: tuple[Measured, ...]
    bounds: Mapping[str, float]
    calibration: tuple[Calibration, ...]
    floors: tuple[NoiseFloor, ...]
    identical: tuple[tuple[str, ...], ...]
    flow: Flow | None
    confidence: tuple[Band, ...]
    scores: tuple[Band, ...]
    joint: Joint | None
    movement: Movement | None
    decisions: tuple[Decisions, ...]
    swap_sets: tuple[SwapSet, ...]
    slices: tuple[Slice, ...]
    predicted: tuple[Slice, ...]
    periods: tuple[Slice, ...]
    slices_left_out: int
    min_support: int
    regressed: tuple[ChangedRow, ...]
    regressed_rows: int
    largest_changes: tuple[ChangedRow, ...]
    reviews: tuple[Review, ...]
    matched: TemperatureMatched | None
    no_rows: bool
    warnings: tuple[str, ...]
    left_out: Mapping[str, str]
    infinite: Mapping[str, str]
    waived: int = 0
    outcomes: str | None = None
    launches: int | None = None
    floor_notes: tuple[str, ...] = ()

    @property
    def old(self) -> str:
        """Name of the old model's file."""
        return self.alignment.files[0]

    @property
    def new(self) -> str:
        """Name of the new model's file."""
        return self.alignment.files[1]

    @property
    def floor(self) -> NoiseFloor | None:
        """The noise floor of churn (of the regression difference)."""
        return self.floors[0] if self.floors else None

    @property
    def headline(self) -> str:
        """The worst answer in a sentence."""
        return worst(self.answers).sentence

    def __getitem__(self, name: str) -> Estimate:
        """The estimate of a measure by its name; for a measure of quality the change, new minus old."""
        for measured in self.measures:
            if measured.name == name:
                return measured.estimate
        for quality in self.quality:
            if quality.name == name:
                return quality.change
        raise no_entry("measure", name, [*(m.name for m in self.measures), *(q.name for q in self.quality)], self.left_out)


def worst(answers: tuple[Answer, ...]) -> Answer:
    """The answer to head a comparison with: problems, then inconclusive and unknown answers; among equals the earlier; no groups last."""
    order = {"problem": 0, "inconclusive": 1, "unknown": 2, "fine": 3}
    return min(answers, key=lambda a: (a.question == "slices" and a.concern == "unknown", order[a.concern]))


def in_reruns(diff: Diff) -> Diff:
    """A comparison of evaluations with its sentences about reruns and items; others as they are."""
    if diff.outcomes is None:
        return diff
    say = partial(reworded, graded=diff.outcomes == "graded")
    answers = tuple(
        a  # names of groups stay as they are
        if a.question == "slices"
        else replace(a, verdict=say(a.verdict), sentence=say(a.sentence), detail=say(a.detail))
        for a in diff.answers
    )
    floors = tuple(replace(f, reason=say(f.reason)) for f in diff.floors)
    return replace(diff, answers=answers, floors=floors)


def reworded(text: str, *, graded: bool) -> str:
    """A sentence about retrains and rows as one about reruns and items.

    >>> reworded("more than retraining causes; 2 retrains of the old recipe", graded=False)
    'more than rerunning causes; 2 reruns of the old model'
    """
    words = {"retraining": "rerunning", "retrain": "rerun", "old recipe": "old model", "new recipe": "new model"}
    words |= {"labelled rows": "scored items"}
    if graded:
        words |= {
            "scored items right → wrong": "scored items have a lower score",
            "Rows right → wrong": "Items with a lower score",
        }
    for word, other in words.items():
        text = text.replace(word, other)
    return text
