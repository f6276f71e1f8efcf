"""What `diff` says, as data: every number with its interval, every part that has no value named with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from traintwice.metrics.definition import Unit
from traintwice.predictions import Summary
from traintwice.tables import diff_sheet
from traintwice.types import Estimate, plain_number

SCHEMA_VERSION = 1

PREDICTED = "predicted class"
"""Column name of the slices by the class that the old model predicts."""

Judgement = Literal["within noise", "beyond noise", "cannot tell"]


@dataclass(frozen=True)
class Quality:
    """A measure of quality for both models.

    Attributes:
        name, title, unit: of the metric; see `traintwice.metrics`.
        old, new: of each model alone; the intervals are over new rows.
        change: new minus old, paired by row; its bounds are nan where the metric has no paired interval.
    """

    name: str
    title: str
    unit: Unit
    old: Estimate
    new: Estimate
    change: Estimate


@dataclass(frozen=True)
class Measured:
    """A measure of disagreement between the old and the new model.

    Attributes:
        name, title, unit: of the metric.
        soft: it reads the size of probabilities: never show it without churn and accuracy.
        estimate: its interval is about these two models, new rows.
    """

    name: str
    title: str
    unit: Unit
    soft: bool
    estimate: Estimate


@dataclass(frozen=True)
class NoiseFloor:
    """Churn against what retraining alone brings.

    Attributes:
        retrains: k, retrains of the old recipe beside the old model.
        new_retrains: retrains of the new recipe beside the new model.
        churn: of old against new; with retrains of the new recipe the mean over all pairs of an old with a new model.
        floor: churn that retraining alone brings; with retrains of the new recipe the mean of both recipes' own.
        excess: churn − floor, for new retrains and new rows; its bounds are nan where too few retrains allow none.
        each: churn of the old model against each retrain of its recipe.
        within_old, within_new: mean churn inside each recipe; None but for two recipes with retrains.
        verdict: "beyond noise": the excess is positive beyond doubt. "within noise": it is not, and anything above ``margin``
            is ruled out. "cannot tell": neither.
        margin: the smallest excess that matters.
        more_retrains: how many more retrains would tell, if the excess stayed as it is; 0 where the verdict stands, None where
            no number would.
        reason: the verdict in a sentence.
    """

    retrains: int
    new_retrains: int
    churn: float
    floor: float
    excess: Estimate
    each: tuple[float, ...]
    within_old: float | None
    within_new: float | None
    verdict: Judgement
    margin: float
    more_retrains: int | None
    reason: str


@dataclass(frozen=True)
class Slice:
    """Rows that share a value of a group column or the class the old model predicts.

    Attributes:
        column: the group column, or `PREDICTED`.
        value: its value; None where it is missing.
        rows: how many.
        share: of all rows, by weight.
        churn: with its interval over new rows.
        accuracy_change: new minus old; None without labels.
        excess: churn beyond the slice's own noise floor; None without retrains.
        p_value: of no excess where there are retrains; else of the slice's churn being that of all other rows.
        q_value: the p-value after Benjamini and Hochberg over all slices shown; below 0.05: of such slices at most 5 in 100
            are false alarms.
        measures: further measures asked for, by name.
    """

    column: str
    value: str | None
    rows: int
    share: float
    churn: Estimate
    accuracy_change: Estimate | None
    excess: Estimate | None
    p_value: float
    q_value: float
    measures: Mapping[str, Estimate]


@dataclass(frozen=True)
class FlowCell:
    """Rows whose predicted class went from ``old`` to ``new``; ``share`` is of all rows."""

    old: str
    new: str
    rows: int
    share: float


@dataclass(frozen=True)
class Flow:
    """Where predicted labels went.

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
class Decisions:
    """Decisions "score >= threshold" of a binary model.

    Attributes:
        threshold: on the probability of class 1.
        old_positive, new_positive: share of rows decided positive by each model.
        changed: share of rows whose decision changed.
        to_positive, to_negative: its two parts.
    """

    threshold: float
    old_positive: Estimate
    new_positive: Estimate
    changed: Estimate
    to_positive: Estimate
    to_negative: Estimate


@dataclass(frozen=True)
class SwapSet:
    """The k rows of highest score of each model (ties: the earlier row).

    Attributes:
        asked: as asked: a number of rows, or a share of them.
        rows: k.
        overlap: share of k that both models choose.
        swapped: rows that entered, which is also how many left.
        entered_positive, left_positive: share with label 1 among the rows that entered and left; None where there are none with
            a label.
    """

    asked: float
    rows: int
    overlap: float
    swapped: int
    entered_positive: float | None
    left_positive: float | None


@dataclass(frozen=True)
class MovedRow:
    """One of the rows that moved most.

    Attributes:
        id: as in the file; None where rows have no ids (then ``position`` counts them from 0 as they were read).
        position: where it stands among the rows read.
        old, new: predicted classes.
        old_probability, new_probability: of the class the old model predicts; None for predicted labels only.
        label: true class; None where not known.
        distance: total variation distance; for predicted labels 0 or 1.
        instability: see `instability`; None where not known.
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
        measures: on the other rows.
    """

    old: float
    new: float
    held_out: int
    measures: tuple[Measured, ...]


@dataclass(frozen=True)
class Diff:
    """One old model against one new model on the same rows. Made by `diff`.

    Attributes:
        alignment: what was read and how rows were matched; files are old, new, retrains of old, retrains of new.
        level: nominal coverage of every interval.
        weighted: whether rows have weights.
        regression: whether the predictions are numbers and not classes.
        quality: accuracy, log loss … of both models; empty without labels.
        measures: churn, flips, distances … between the two.
        bounds: upper bounds on churn by name: ``lemma_1`` (sum of errors), ``lemma_2``, ``tight_lemma_2``.
        floor: churn against the noise of retraining; None without retrains.
        flow: where predicted labels went; None for regression.
        confidence: bands of the old model's confidence γ (largest minus second largest probability).
        scores: bands of the score of a binary model.
        decisions: at the thresholds asked for.
        swap_sets: of the top-k asked for.
        slices: by group columns and predicted class, of at least ``min_support`` rows, smallest q-value first.
        slices_left_out: slices with fewer rows.
        min_support: the least rows of a slice.
        moved: rows that moved most, most first; empty with ``no_rows``.
        reviews: what reviewing the least stable rows would catch.
        matched: soft measures at matched temperatures; None where not asked for.
        no_rows: ids and rows are kept out of every output.
        left_out: name of a part or measure to the reason why it has no value here.
        infinite: name of a measure to where it becomes infinite.
        waived: rows left out by their ids.
    """

    alignment: Summary
    level: float
    weighted: bool
    regression: bool
    quality: tuple[Quality, ...]
    measures: tuple[Measured, ...]
    bounds: Mapping[str, float]
    floor: NoiseFloor | None
    flow: Flow | None
    confidence: tuple[Band, ...]
    scores: tuple[Band, ...]
    decisions: tuple[Decisions, ...]
    swap_sets: tuple[SwapSet, ...]
    slices: tuple[Slice, ...]
    slices_left_out: int
    min_support: int
    moved: tuple[MovedRow, ...]
    reviews: tuple[Review, ...]
    matched: TemperatureMatched | None
    no_rows: bool
    left_out: Mapping[str, str]
    infinite: Mapping[str, str]
    waived: int = 0

    @property
    def old(self) -> str:
        """Name of the old model's file."""
        return self.alignment.files[0]

    @property
    def new(self) -> str:
        """Name of the new model's file."""
        return self.alignment.files[1]

    def __getitem__(self, name: str) -> Estimate:
        """The estimate of a measure by its name; for a measure of quality the change, new minus old."""
        for measured in self.measures:
            if measured.name == name:
                return measured.estimate
        for quality in self.quality:
            if quality.name == name:
                return quality.change
        raise KeyError(name if name not in self.left_out else f"{name}: {self.left_out[name]}")

    def __str__(self) -> str:
        return diff_sheet(self).to_text()

    def _repr_html_(self) -> str:
        return diff_sheet(self, every=True).to_html()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, nan as null and infinity as "infinite"."""
        return {"schema": SCHEMA_VERSION, **plain(self)}


MOST_CLASSES = 30
"""Up to this many classes the whole matrix of the flow is kept; beyond, its largest cells."""


def plain(value: Any) -> Any:
    """A result as dicts, lists and numbers that JSON can hold."""
    if isinstance(value, Estimate):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return plain_number(value)
