"""Everything a comparison of two models needs of their rows, gathered in one pass."""

from __future__ import annotations

import numpy as np

from traintwice import metrics
from traintwice.compare._changed_rows import Reviews, TopRows, no_instability
from traintwice.compare._distributions import (
    TOLERANCES,
    BandCounts,
    FlowCounts,
    JointCounts,
    MovementCounts,
)
from traintwice.compare._expressions import RowValues, changed, distance, lost, number, score, unstable
from traintwice.compare._floor_sums import FloorSums, pair_quantities
from traintwice.compare._operating import DecisionSums, TopSets
from traintwice.compare._options import DiffOptions
from traintwice.compare._pair_measures import (
    DISTANCES,
    DISTANCES_OF_NUMBERS,
    ERRORS,
    LOSSES,
    PairMeasures,
)
from traintwice.compare._slices import Slices
from traintwice.compare._tally import Tally, base_quantities
from traintwice.compare._temperature import MatchedTemperature
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._identical import IdenticalReplicas
from traintwice.metrics._means import weights_of
from traintwice.predictions import Predictions
from traintwice.predictions._rows import Rows

CONFIDENCE_BANDS, SCORE_BANDS = 10, 20

RANK_BINS = 1 << 12
"""Scores closer than this share of [0, 1] count as ties when the tool looks whether a score ranks against its labels."""


class DiffAccumulator:
    """Sums and short lists over the rows of an old model (0), a new one (1), and retrains.

    Args:
        source: where the rows come from.
        options: what is wanted.

    Attributes:
        left_out: name of a part to the reason why it has no value.
    """

    def __init__(self, source: Rows, options: DiffOptions) -> None:
        self.options, self.regression = options, source.regression
        self.binary = source.has_probs and source.classes == 2
        self.classes = source.classes if source.has_probs else None
        self.left_out: dict[str, str] = {}
        self.rows, self.weight, self.squares = 0, 0.0, 0.0
        self.clustered = source.clusters is not None
        pairs = options.pairs
        # Two classes of predicted labels have a positive class too, class 1.
        quantities = base_quantities(binary=self._two_classes(source), graded=source.outcomes == "graded")
        self.base = Tally(quantities, clustered=self.clustered)
        thresholds = self._if_binary("thresholds", options.thresholds)
        self.decisions = DecisionSums(thresholds, clustered=self.clustered)
        self.floors = (
            None
            if pairs is None
            else FloorSums(pairs, regression=self.regression, thresholds=thresholds, clustered=self.clustered)
        )
        tolerances = {f"{t:g}": distance(0, 1, self.classes) > t for t in TOLERANCES} if self.classes else {}
        self.tolerances = Tally(tolerances, clustered=self.clustered)
        of_pairs = None if pairs is None else (pairs, pair_quantities(pairs, changed))
        by = [] if self.regression else source.groups
        self.slices = (
            None
            if self.regression
            else Slices(
                by,
                self.base.quantities,
                of_pairs,
                options.by_slice,
                clustered=self.clustered,
                predicted=source.outcomes is None,
            )
        )
        between, quality = (DISTANCES_OF_NUMBERS, ERRORS) if self.regression else (DISTANCES, LOSSES)
        if source.outcomes is not None:
            between, quality = (), (metrics.mean_score,) if source.outcomes == "graded" else ()
        self.measures = PairMeasures(
            tuple(dict.fromkeys((*between, *options.which))),
            tuple(dict.fromkeys((*quality, *options.quality))),
            options.level,
            clustered=self.clustered,
            bounds=self.classes is not None,
        )
        self.identical = IdenticalReplicas()
        self.olds = pairs.olds if pairs else [0]
        names = source.class_names
        self.largest = TopRows(options.listed, names)
        self.regressed, self.regressed_rows = TopRows(options.listed, names), 0
        reason = no_instability(source.has_probs, source.regression, len(self.olds))
        self.reviews = Reviews() if reason is None else None
        if reason is not None:
            self.left_out["reviews"] = reason
        self.flow = None if self.regression or source.outcomes is not None else FlowCounts()
        self.confidence = BandCounts(CONFIDENCE_BANDS) if self.classes else None
        self.scores = BandCounts(SCORE_BANDS) if self.binary else None
        self.joint = (
            JointCounts("number" if self.regression else "score" if self.binary else "confidence")
            if self.classes or self.regression
            else None
        )
        self.movement = MovementCounts() if self.classes else None
        top_k = self._if_binary("top_k", options.top_k)
        self.top = TopSets(top_k, source.summary.rows, source.replicas) if top_k else None
        self.ranks = np.zeros((2, 2, RANK_BINS + 1)) if self.binary else None
        self.matched = MatchedTemperature(source.summary.rows, 2) if options.temperature_matched and self.classes else None
        if options.temperature_matched and not self.classes:
            self.left_out["temperature_matched"] = "needs probabilities"
        if self.regression:
            self.left_out["slices"] = self.left_out["flow"] = "a regression has no labels that change"

    def add(self, block: Predictions) -> None:
        """Add rows of all models."""
        known = block.known.positions
        places = self.rows + np.arange(block.examples) if known is None else to_numpy(known)
        if block.targets is None or not (unknown := np.isnan(to_numpy(block.targets))).any():
            self._add(block, places)
            return
        if not unknown.all():
            self._add(block.where(~unknown), places[~unknown])
        self._add(block.where(unknown).without_labels(), places[unknown])

    def _add(self, block: Predictions, places: np.ndarray) -> None:
        weights, rows, pair = weights_of(block), RowValues(block), block.models(0, 2)
        self.rows += block.examples
        self.weight += block.examples if weights is None else float(weights.sum())
        self.squares += block.examples if weights is None else float((weights**2).sum())
        self.identical.add(block)
        self.measures.add(pair)
        self.decisions.add(rows)
        if self.floors is not None:
            self.floors.add(rows)
        if self.tolerances.quantities:
            self.tolerances.add(rows)
        far = rows((number(0) - number(1)).size() if self.regression else distance(0, 1, self.classes))
        shaky = None if self.reviews is None else rows(unstable(tuple(self.olds), self.classes))
        if self.options.listed:
            self.largest.add(block, places, far, far, shaky)
        if self.regression:
            self._add_numbers(block, places, far)
            return
        self.base.add(rows)
        if self.slices is not None:
            self.slices.add(rows)
        flipped, wrong = rows(changed(0, 1)), rows(lost(0, 1))
        self.regressed_rows += int(wrong.sum())
        if self.options.listed:
            self.regressed.add(block, places, wrong.astype(np.float64), far, shaky)
        if self.flow is not None:
            self.flow.add(to_numpy(block.votes[0]), to_numpy(block.votes[1]))
        if self.reviews is not None and shaky is not None:
            self.reviews.add(shaky, flipped)
        if self.classes is not None:
            self._add_probabilities(rows, pair, far, flipped, weights)

    def _add_numbers(self, block: Predictions, places: np.ndarray, far: np.ndarray) -> None:
        scores = to_numpy(block.scores)
        if self.joint is not None:
            self.joint.add(scores[0], scores[1], None)
        if block.targets is not None:
            errors = np.abs(scores[:2] - block.targets)
            grown = np.nan_to_num(errors[1] - errors[0])
            self.regressed_rows += int((grown > 0).sum())
            if self.options.listed:
                self.regressed.add(block, places, grown, far, None)

    def _add_probabilities(
        self, rows: RowValues, pair: Predictions, far: np.ndarray, flipped: np.ndarray, weights: np.ndarray | None
    ) -> None:
        block, confidence = rows.block, to_numpy(pair.confidence)
        if self.confidence is not None:
            self.confidence.add(confidence[0], confidence[1], flipped, far, weights)
        if self.movement is not None:
            self.movement.add(pair, far, weights)
        if self.matched is not None:
            self.matched.add(pair)
        numbers = confidence if self.scores is None else np.stack([rows(score(0)), rows(score(1))])
        if self.joint is not None:
            self.joint.add(numbers[0], numbers[1], flipped)
        if self.scores is not None:
            self.scores.add(numbers[0], numbers[1], flipped, far, weights)
        if self.top is not None:
            self.top.add(block)
        if self.ranks is not None and block.has_labels:
            labels = to_numpy(block.labels)
            for m in (0, 1):
                place = (numbers[m] * RANK_BINS).astype(np.int64)
                for label in (0, 1):
                    self.ranks[m, label] += np.bincount(place[labels == label], minlength=RANK_BINS + 1)

    def copies(self) -> list[list[int]]:
        """Groups of two or more models whose predictions are bit-identical."""
        return self.identical.result()

    def auc(self, model: int) -> float | None:
        """AUC from binned scores, ties counting half; None without positive or without negative rows."""
        if self.ranks is None:
            return None
        negative, positive = self.ranks[model]
        below = np.concatenate([[0.0], np.cumsum(negative)[:-1]])
        of_pairs = negative.sum() * positive.sum()
        return float((positive * (below + negative / 2)).sum() / of_pairs) if of_pairs else None

    def _two_classes(self, source: Rows) -> bool:
        return source.has_labels and source.outcomes is None and (self.binary or (source.classes == 2 and not source.regression))

    def _if_binary(self, name: str, wanted: tuple[float, ...]) -> tuple[float, ...]:
        if wanted and not self.binary:
            self.left_out[name] = "needs the probabilities of two classes"
            return ()
        return wanted
