"""A comparison of two models in one pass over their rows, in blocks: memory does not grow with rows."""

from __future__ import annotations

from typing import TypeVar

from traintwice.compare.bands import BandCounts
from traintwice.compare.both_models import BETWEEN, BETWEEN_NUMBERS, QUALITY, BothModels
from traintwice.compare.decisions import DecisionCounts, TopRows
from traintwice.compare.flow import FlowCounts
from traintwice.compare.instability import Reviews, instability, no_instability
from traintwice.compare.matched import temperature_matched
from traintwice.compare.moments import Means
from traintwice.compare.moved import MostMoved, distance_of
from traintwice.compare.noise_floor import noise_floor
from traintwice.compare.results import Diff, NoiseFloor, Slice, TemperatureMatched
from traintwice.compare.slices import Slices
from traintwice.compare.wanted import Wanted
from traintwice.compare.whole_rows import whole_rows
from traintwice.errors import BadInput, TraintwiceError
from traintwice.metrics.definition import to_numpy
from traintwice.metrics.means import weights_of
from traintwice.predictions import Predictions, Rows

T = TypeVar("T")

CONFIDENCE_BANDS = 10
SCORE_BANDS = 20


class Everything:
    """All parts of a comparison that one pass fills.

    Args:
        rows: to be read.
        wanted: what is to be filled.
    """

    def __init__(self, rows: Rows, wanted: Wanted) -> None:
        binary = rows.has_probs and rows.classes == 2
        self.left_out: dict[str, str] = {}
        self.rows = 0
        self.weighted = False
        between = BETWEEN_NUMBERS if rows.regression else BETWEEN
        quality = () if rows.regression else QUALITY
        self.both = BothModels(
            tuple(dict.fromkeys((*between, *wanted.which))), tuple(dict.fromkeys((*quality, *wanted.quality))), wanted.level
        )
        self.pairs = wanted.pairs
        self.of_pairs = Means(len(wanted.pairs.pairs)) if wanted.pairs else None
        self.moved = MostMoved(wanted.moved, rows.class_names) if wanted.moved else None
        self.flow = None if rows.regression else FlowCounts()
        self.slices = None if rows.regression else Slices(rows.groups, wanted.pairs, wanted.by_slice)
        if rows.regression:
            self.left_out["slices"] = self.left_out["flow"] = "a regression has no labels that change"
            self.left_out["quality"] = "measures of quality here are of classes; the errors of a regression are not among them"
        self.confidence = BandCounts(CONFIDENCE_BANDS) if rows.has_probs else None
        self.scores = BandCounts(SCORE_BANDS) if binary else None
        self.decisions = self._if_binary("thresholds", DecisionCounts(wanted.thresholds) if wanted.thresholds else None, binary)
        top = TopRows(wanted.top_k, rows.summary.rows) if wanted.top_k else None
        self.top = self._if_binary("top_k", top, binary)
        self.olds = wanted.pairs.olds if wanted.pairs else [0]
        reason = no_instability(rows.has_probs, rows.regression, len(self.olds))
        self.reviews = Reviews() if reason is None else None
        if reason is not None:
            self.left_out["reviews"] = reason

    def add(self, block: Predictions) -> None:
        """Add rows of all models."""
        weights = weights_of(block)
        self.rows += block.examples
        self.weighted |= weights is not None
        pair = block.models(0, 2)
        self.both.add(block)
        distance = distance_of(pair)
        unstable = None if self.reviews is None else instability(self._old_models(block))
        if self.pairs is not None and self.of_pairs is not None:
            self.of_pairs.add(self.pairs.of(block), weights)
        if self.moved is not None:
            self.moved.add(pair, distance, unstable)
        if block.has_scores:
            return
        changed = to_numpy(pair.votes[0]) != to_numpy(pair.votes[1])
        if self.flow is not None:
            self.flow.add(pair)
        if self.slices is not None:
            self.slices.add(block)
        if self.reviews is not None and unstable is not None:
            self.reviews.add(unstable, changed)
        if self.confidence is not None:
            old, new = to_numpy(pair.confidence)
            self.confidence.add(old, new, changed, distance, weights)
        if self.scores is None:
            return
        old, new = (to_numpy(pair.probs[m, :, 1]) for m in (0, 1))
        self.scores.add(old, new, changed, distance, weights)
        if self.decisions is not None:
            self.decisions.add(old, new, weights)
        if self.top is not None:
            self.top.add(old, new, to_numpy(block.labels) if block.has_labels else None)

    def _old_models(self, block: Predictions) -> Predictions:
        if len(self.olds) == 1:
            return block.models(0, 1)
        values = block.probs if block.has_probs else block.votes
        return Predictions.trusted(to_numpy(values)[self.olds])

    def _if_binary(self, name: str, part: T | None, binary: bool) -> T | None:
        if part is None or binary:
            return part
        self.left_out[name] = "needs the probabilities of two classes"
        return None


def streamed(rows: Rows, wanted: Wanted) -> Diff:
    """The comparison of the first two models of ``rows``, those after them being retrains."""
    parts = Everything(rows, wanted)
    for block in rows.blocks():
        parts.add(block)
    if not parts.rows:
        raise BadInput("no rows are left to compare")
    both, names = parts.both, rows.class_names
    quality, measures, bounds = list(both.quality()), list(both.measures()), both.bounds()
    left_out = parts.left_out
    if wanted.whole:
        more_quality, more, without = whole_rows(rows.read().models(0, 2), wanted.whole, wanted.level)
        quality += more_quality
        measures += more
        left_out |= without
    matched = _matched(rows, wanted, left_out)
    few = 0
    slices: tuple[Slice, ...] = ()
    if parts.slices is not None:
        slices, few = parts.slices.result(wanted.min_support, wanted.level, names)
    if parts.reviews is not None and not (reviews := parts.reviews.result()):
        left_out["reviews"] = "no label changed"
    return Diff(
        alignment=rows.summary,
        level=wanted.level,
        weighted=parts.weighted,
        regression=rows.regression,
        quality=tuple(quality),
        measures=tuple(measures),
        bounds=bounds,
        floor=_floor(parts, wanted, rows.regression),
        flow=None if parts.flow is None else parts.flow.result(rows.classes, names),
        confidence=() if parts.confidence is None else parts.confidence.result(),
        scores=() if parts.scores is None else parts.scores.result(),
        decisions=() if parts.decisions is None else parts.decisions.result(wanted.level),
        swap_sets=() if parts.top is None else parts.top.result(),
        slices=slices,
        slices_left_out=few,
        min_support=wanted.min_support,
        moved=() if parts.moved is None else parts.moved.result(),
        reviews=() if parts.reviews is None else reviews,
        matched=matched,
        no_rows=wanted.no_rows,
        left_out=both.left_out | left_out,
        infinite=both.infinite(name_rows=not wanted.no_rows),
        waived=rows.waived,
    )


def _floor(parts: Everything, wanted: Wanted, regression: bool) -> NoiseFloor | None:
    if wanted.pairs is None or parts.of_pairs is None:
        return None
    what = "regression difference" if regression else "churn"
    return noise_floor(wanted.pairs, parts.of_pairs, level=wanted.level, margin=wanted.margin, what=what)


def _matched(rows: Rows, wanted: Wanted, left_out: dict[str, str]) -> TemperatureMatched | None:
    if not wanted.temperature_matched:
        return None
    if not rows.has_probs:
        left_out["temperature_matched"] = "needs probabilities"
        return None
    try:
        return temperature_matched(rows, wanted.level)
    except TraintwiceError as reason:
        left_out["temperature_matched"] = str(reason)
        return None
