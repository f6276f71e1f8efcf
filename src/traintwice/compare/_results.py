"""Results of `diff` as data: answers first, then every number with its interval; what has no value is named with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from traintwice._names import entry
from traintwice.compare._parts import (
    WORST_FIRST,
    Answer,
    Band,
    ChangedRow,
    Decisions,
    Flow,
    Joint,
    Movement,
    NoiseFloor,
    Review,
    Slice,
    SwapSet,
)
from traintwice.compare._shown import Drawn
from traintwice.metrics._definition import Unit
from traintwice.predictions import Summary
from traintwice.types import Estimate


@dataclass(frozen=True)
class Wording:
    """Words of the sentences about a comparison: for what its noise floor is made of, and for its rows."""

    one: str  # a model of the floor
    many: str
    causes: str  # the verdict on a change beyond the floor
    noise: str  # what the floor measures
    none: str  # the verdict without a floor
    unknown: str  # why there is none
    of_old: str  # whose models they are
    of_new: str
    given: str  # what the floor is conditional on
    wanted: str  # what to do about too few
    alike: str  # all changes are equal
    useless: str  # what more of them cannot do
    basis: str  # how the floor is formed
    lost: str = "of labelled rows right → wrong"
    regressed: str = "Rows right → wrong"

    def count(self, count: int) -> str:
        """A number of models of the floor.

        >>> RETRAINS.count(1), LAUNCHES.count(2)
        ('1 retrain', '2 launches')
        """
        return f"{count:,} {self.one if count == 1 else self.many}"


def _made_again(one: str, doing: str, maker: str) -> Wording:
    many = f"{one}s"
    return Wording(
        one=one,
        many=many,
        causes=f"more than {doing} causes",
        noise=f"the noise of {doing}",
        none=f"no {many} given",
        unknown=f"how much {doing} alone causes is not known without {many} of the old {maker} (--floor)",
        of_old=f" of the old {maker}",
        of_new=f" of the new {maker}",
        given=", given this old model",
        wanted="give {} or more",
        alike=f"all {many} differ from the old model on the same number of rows, as copies do",
        useless=f"more {many} of the old {maker} cannot resolve this, {many} of the new {maker}, or more rows, may",
        basis=f"the floors are for this old model: each {one} is compared with it",
    )


RETRAINS = _made_again("retrain", "retraining", "recipe")

REPLICAS = replace(RETRAINS, one="replica", many="replicas", given="")

LAUNCHES = Wording(
    one="launch",
    many="launches",
    causes="more than earlier launches changed",
    noise="earlier launches",
    none="no earlier launches",
    unknown="no earlier launch to compare it with",
    of_old="",
    of_new="",
    given="",
    wanted="{} or more are needed",
    alike="all launches changed the same share of rows, as copies do",
    useless="more launches cannot resolve this",
    basis="the floor is the mean of these launches",
)


def wording(outcomes: str | None, *, launches: bool = False, draws: bool = False) -> Wording:
    """The words of a comparison: of items of an evaluation, which are rerun (see `Diff.outcomes`), of earlier launches, or of draws."""
    found = LAUNCHES if launches else RETRAINS if outcomes is None else _made_again("rerun", "rerunning", "model")
    if draws:
        graded = outcomes == "graded"
        return replace(
            found,
            causes="more than drawing again causes",
            noise="the noise of drawing again",
            basis="the floor is between two draws of one model",
            lost="of pairs of draws have a lower score" if graded else "of pairs of draws right → wrong",
            regressed="Items with a lower mean score" if graded else "Items with fewer right draws",
        )
    if outcomes is None:
        return found
    if outcomes == "graded":
        return replace(found, lost="of scored items have a lower score", regressed="Items with a lower score")
    return replace(found, lost="of scored items right → wrong")


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
    effective_rows: float | None = None
    regression: bool = False
    answers: tuple[Answer, ...] = ()
    quality: tuple[Quality, ...] = ()
    measures: tuple[Measured, ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)
    calibration: tuple[Calibration, ...] = ()
    floors: tuple[NoiseFloor, ...] = ()
    identical: tuple[tuple[str, ...], ...] = ()
    flow: Flow | None = None
    confidence: tuple[Band, ...] = ()
    scores: tuple[Band, ...] = ()
    joint: Joint | None = None
    movement: Movement | None = None
    decisions: tuple[Decisions, ...] = ()
    swap_sets: tuple[SwapSet, ...] = ()
    slices: tuple[Slice, ...] = ()
    predicted: tuple[Slice, ...] = ()
    periods: tuple[Slice, ...] = ()
    slices_left_out: int = 0
    min_support: int = 100
    regressed: tuple[ChangedRow, ...] = ()
    regressed_rows: int = 0
    largest_changes: tuple[ChangedRow, ...] = ()
    reviews: tuple[Review, ...] = ()
    matched: TemperatureMatched | None = None
    no_rows: bool = False
    warnings: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    infinite: Mapping[str, str] = field(default_factory=dict)
    waived: int = 0
    outcomes: str | None = None
    launches: int | None = None
    floor_notes: tuple[str, ...] = ()

    @property
    def words(self) -> Wording:
        """The words of sentences about it."""
        return wording(self.outcomes, launches=self.launches is not None, draws=self.alignment.draws is not None)

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
        found = {q.name: q.change for q in self.quality} | {m.name: m.estimate for m in self.measures}
        return entry("measure", name, found, self.left_out)


def worst(answers: tuple[Answer, ...]) -> Answer:
    """The answer to head a comparison with: problems, then inconclusive and unknown answers; among equals the earlier; no groups last."""
    return min(answers, key=lambda a: (a.question == "slices" and a.concern == "unknown", WORST_FIRST.index(a.concern)))
