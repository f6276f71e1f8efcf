"""Everything a comparison of two models needs of their rows, gathered in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from traintwice import metrics
from traintwice.compare._changed_rows import TopRows, no_instability, unstable
from traintwice.compare._distributions import (
    BandCounts,
    FlowCounts,
    JointCounts,
    MovementCounts,
    RankCounts,
    Reviews,
    TopSets,
)
from traintwice.compare._expressions import (
    Number,
    RowValues,
    base_quantities,
    decided,
    distance,
    grown,
    lost,
    number,
)
from traintwice.compare._floor import Pairs, floor_tallies
from traintwice.compare._pair_measures import DISTANCES, DISTANCES_OF_NUMBERS, ERRORS, LOSSES, PairMeasures
from traintwice.compare._results import Measured, Quality
from traintwice.compare._slices import Slices
from traintwice.compare._tally import Tally
from traintwice.compare._temperature import MatchedTemperature
from traintwice.metrics import Metric
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._identical import IdenticalReplicas
from traintwice.predictions import Predictions
from traintwice.predictions._rows import Rows

CONFIDENCE_BANDS, SCORE_BANDS = 10, 20


@dataclass(frozen=True)
class DiffOptions:
    """Options of a comparison; see `traintwice.diff`.

    Attributes:
        which, quality: further measures between the models and of each, of one pass.
        whole: measures that need all rows in memory.
        by_slice: measures of every slice.
        pairs: of models, where there are retrains.
    """

    which: tuple[Metric, ...]
    quality: tuple[Metric, ...]
    whole: tuple[Metric, ...]
    by_slice: tuple[Metric, ...]
    thresholds: tuple[float, ...]
    top_k: tuple[float, ...]
    level: float
    min_support: int
    temperature_matched: bool
    listed: int
    no_rows: bool
    margin: float
    same_within: float
    pairs: Pairs | None


class Gatherer(Protocol):
    """A part of a comparison that is gathered row by row."""

    def add(self, rows: RowValues) -> None:
        """Add rows of all models."""


class DiffAccumulator:
    """Sums and short lists over the rows of an old model (0), a new one (1), and retrains.

    Args:
        source: where the rows come from.
        options: what is wanted.

    Attributes:
        base, decisions, floors: sums over rows, those of decisions by threshold, those of floors by name.
        parts: parts of the result by the name of their field in `Diff`.
        left_out: name of a part to the reason why it has no value.
        further_quality, further, infinite: measures that another engine made, and where they are infinite.
    """

    def __init__(self, source: Rows, options: DiffOptions) -> None:
        self.options, self.regression, self.clustered = options, source.regression, source.clusters is not None
        self.classes = source.classes if source.has_probs else None
        self.binary = self.classes == 2
        self.left_out: dict[str, str] = {}
        self.rows, self.weight, self.squares = 0, 0.0, 0.0
        self.further_quality: list[Quality] = []
        self.further: list[Measured] = []
        self.infinite: dict[str, str] = {}
        thresholds = self._if_binary("thresholds", options.thresholds)
        top_k = self._if_binary("top_k", options.top_k)
        pairs, names = options.pairs, source.class_names
        olds = tuple(pairs.olds) if pairs else (0,)
        # Two classes of predicted labels have a positive class too, class 1.
        binary = source.has_labels and source.outcomes is None and source.classes == 2 and not self.regression
        self.base = Tally(base_quantities(binary=binary, graded=source.outcomes == "graded"), clustered=self.clustered)
        self.decisions = {
            t: Tally({"old": (old := decided(0, t)), "new": (new := decided(1, t)), "both": old & new}, clustered=self.clustered)
            for t in thresholds
        }
        self.floors = floor_tallies(pairs, regression=self.regression, thresholds=thresholds, clustered=self.clustered)
        self.slices = None
        if not self.regression:
            quantities, predicted = self.base.quantities, source.outcomes is None
            self.slices = Slices(
                source.groups, quantities, pairs, options.by_slice, clustered=self.clustered, predicted=predicted
            )
        self.identical = IdenticalReplicas()
        self.measures = self._measures(source)
        self.ranks = RankCounts() if self.binary else None
        self.top = TopSets(top_k, source.summary.rows, source.replicas) if top_k else None
        self.matched = MatchedTemperature(source.summary.rows, 2) if options.temperature_matched and self.classes else None

        far = (number(0) - number(1)).size() if self.regression else distance(0, 1, self.classes)
        reason = no_instability(source.has_probs, self.regression, len(olds))
        shaky = None if reason else unstable(olds, self.classes)
        self.regressed = TopRows(options.listed, grown() if self.regression else lost(0, 1), far, shaky, names)
        self.flow = None if self.regression or source.outcomes is not None else FlowCounts(source.classes, names)
        self.parts: dict[str, Any] = {
            "regressed": self.regressed,
            "largest_changes": TopRows(options.listed, far, far, shaky, names),
        }
        if self.flow is not None:
            self.parts["flow"] = self.flow
        if shaky is not None:
            self.parts["reviews"] = Reviews(shaky)
        if self.regression:
            self.parts["joint"] = JointCounts("number")
        if self.classes is not None:
            kind: Number = "score" if self.binary else "confidence"
            self.parts["confidence"] = BandCounts(CONFIDENCE_BANDS, "confidence", far)
            self.parts["joint"] = JointCounts(kind)
            self.parts["movement"] = MovementCounts(far, options.level, clustered=self.clustered)
        if self.binary:
            self.parts["scores"] = BandCounts(SCORE_BANDS, "score", far)

        wanted = (
            *(None if self.regression else self.base, self.slices, self.ranks, self.top),
            *(*self.decisions.values(), *self.floors.values(), *self.parts.values()),
        )
        self._gatherers: list[Gatherer] = [gatherer for gatherer in wanted if gatherer is not None]
        if reason is not None:
            self.left_out["reviews"] = reason
        if options.temperature_matched and not self.classes:
            self.left_out["temperature_matched"] = "needs probabilities"
        if self.regression:
            self.left_out["slices"] = self.left_out["flow"] = "a regression has no labels that change"

    def add(self, block: Predictions) -> None:
        """Add rows of all models."""
        known = block.known.positions
        places = self.rows + np.arange(block.examples) if known is None else to_numpy(known)
        if block.targets is None or not (unknown := np.isnan(to_numpy(block.targets))).any():
            self._add(RowValues(block, places))
            return
        if not unknown.all():
            self._add(RowValues(block.where(~unknown), places[~unknown]))
        self._add(RowValues(block.where(unknown).without_labels(), places[unknown]))

    def _add(self, rows: RowValues) -> None:
        examples, weights = rows.block.examples, rows.weights
        self.rows += examples
        self.weight += examples if weights is None else float(weights.sum())
        self.squares += examples if weights is None else float((weights**2).sum())
        self.identical.add(rows.block)
        self.measures.add(rows.pair)
        if self.matched is not None:
            self.matched.add(rows.pair)
        for gatherer in self._gatherers:
            gatherer.add(rows)

    def copies(self) -> list[list[int]]:
        """Groups of two or more models whose predictions are bit-identical."""
        return self.identical.result()

    def _measures(self, source: Rows) -> PairMeasures:
        between, quality = (DISTANCES_OF_NUMBERS, ERRORS) if self.regression else (DISTANCES, LOSSES)
        if source.outcomes is not None:
            between, quality = (), (metrics.mean_score,) if source.outcomes == "graded" else ()
        return PairMeasures(
            tuple(dict.fromkeys((*between, *self.options.which))),
            tuple(dict.fromkeys((*quality, *self.options.quality))),
            self.options.level,
            clustered=self.clustered,
            bounds=self.classes is not None,
        )

    def _if_binary(self, name: str, wanted: tuple[float, ...]) -> tuple[float, ...]:
        if wanted and not self.binary:
            self.left_out[name] = "needs the probabilities of two classes"
            return ()
        return wanted
