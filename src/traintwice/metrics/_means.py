"""Metrics that are means of contributions, and ratios of such means: one pass over the examples, in mergeable sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from traintwice._typed import check_arguments
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._definition import Conclusion, Kind, Measurement, OnePass, leave_one_out, to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Array


@dataclass(frozen=True)
class Sums:
    """Sums of contributions over examples; they add.

    Attributes:
        rows: Σ_n w_n c_mn, shape ``M``; integers where contributions are counts and all examples weigh alike.
        left_out: Σ_n w_n of the mean contribution without replica m, shape ``M``; None where it follows from the rows.
    """

    rows: np.ndarray
    left_out: np.ndarray | None

    def __add__(self, other: Sums) -> Sums:
        both = None if self.left_out is None or other.left_out is None else self.left_out + other.left_out
        return Sums(self.rows + other.rows, both)


@dataclass(frozen=True)
class MeanOf(OnePass):
    """A metric that is the mean of its contributions over replicas and examples.

    Attributes:
        kind: see `Kind`.
        contributions: a function from `Predictions` to an array ``M N``.
        counts_out_of: where contributions are counts (integers), what they are divided by, from the number of replicas;
            counts are summed exactly.
        total: a faster way to the sum of the contributions over replicas and examples, for the number alone, equal but for
            rounding; None where there is none.
        options: bound keyword arguments of ``contributions``.
    """

    kind: Kind = "replica"
    contributions: Callable[..., Array] = lambda predictions: predictions.votes
    counts_out_of: Callable[[int], int] | None = None
    total: Callable[..., float] | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def between_replicas(self) -> bool:
        return self.kind != "replica"

    def bind(self, **options: Any) -> MeanOf:
        check_arguments(self.contributions, options)
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items()))) if options else self

    def values(self, predictions: Predictions) -> Array:
        raw = self._raw(predictions)
        return (
            raw if self.counts_out_of is None else predictions.xp.astype(raw, predictions.xp.float64) / self._divisor(predictions)
        )

    def value(self, predictions: Predictions) -> float:
        weights = weights_of(predictions)
        if self.total is not None and weights is None:
            self.check(predictions)
            totals = [self.total(block, **dict(self.options)) for _, _, block in predictions.blocks(self.needs_probs)]
            return sum(totals) / (predictions.replicas * self._divisor(predictions) * predictions.examples)
        parts = [self.sums(b, None if weights is None else weights[i:j]) for i, j, b in predictions.blocks(self.needs_probs)]
        return self.finish(reduce(add, parts), predictions.replicas, total_weight(predictions, weights))[0]

    def measure(self, predictions: Predictions) -> Measurement:
        weights, means = weights_of(predictions), np.empty(predictions.examples)
        parts = []
        for start, stop, block in predictions.blocks(self.needs_probs):
            weight = None if weights is None else weights[start:stop]
            parts.append(self.sums(block, weight, leave_out=True, means=means[start:stop]))
        value, rows, jackknife_values = self.finish(reduce(add, parts), predictions.replicas, total_weight(predictions, weights))
        with np.errstate(invalid="ignore"):  # an infinite log loss stays infinite and has no interval
            influence = means - value if weights is None else weights * (means - value) * (len(weights) / weights.sum())
        return Measurement.of(self, value, rows, jackknife_values, influence, predictions)

    def sums(
        self, block: Predictions, weight: np.ndarray | None, *, leave_out: bool = False, means: np.ndarray | None = None
    ) -> Sums:
        """The sums over a block; ``means``, where given, is filled with the mean contribution of each example."""
        values = _drop_weightless(to_numpy(self._raw(block)), weight)
        rows = _weighted_sum(values, weight)
        if means is not None:
            np.divide(values.sum(axis=0), len(values) * self._divisor(block), out=means)
        if not (leave_out and self.kind == "deviation" and block.replicas > 2):
            return Sums(rows, None)
        try:
            others = [to_numpy(self.values(left)) for left in block.leave_one_out]
        except TooFewReplicas:  # a metric that needs all the replicas there are
            return Sums(rows, None)
        return Sums(rows, np.array([_weighted_sum(_drop_weightless(v, weight), weight).mean() for v in others]))

    def finish(self, sums: Sums, replicas: int, weight: float) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Value, rows and leave-one-out values from sums over all examples."""
        divisor = 1 if self.counts_out_of is None else self.counts_out_of(replicas)
        value = float(sums.rows.sum() / (replicas * divisor * weight))
        rows = sums.rows / (divisor * weight)
        left_out = None if sums.left_out is None else sums.left_out / weight
        return value, rows, left_out if self.kind == "deviation" else leave_one_out(self.kind, value, rows)

    @property
    def forms(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([0.0, 1.0]), np.array([1.0, 0.0])

    @property
    def is_share(self) -> bool:
        return self.counts_out_of is not None and self.unit == "fraction"

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[Sums, ...], np.ndarray]:
        means = np.empty((1, block.examples))
        return (self.sums(block, weight, leave_out=True, means=means[0]),), means

    def conclude(self, sums: tuple[Sums, ...], replicas: int, weight: float) -> Conclusion:
        value, rows, jackknife_values = self.finish(sums[0], replicas, weight)
        return Conclusion(value, rows, jackknife_values, np.ones(1), np.array([value]))

    def infinite(self, predictions: Predictions) -> str | None:
        count, first = 0, (0, 0)
        for start, _, block in predictions.blocks(self.needs_probs):
            replica, example = np.nonzero(np.isinf(to_numpy(self.values(block))))
            if len(example) and not count:
                first = (int(replica[example.argmin()]), start + int(example.min()))
            count += len(example)
        total = predictions.replicas * predictions.examples
        return f"first at replica {first[0]}, example {first[1]}; {count:,} of {total:,} contributions" if count else None

    def _raw(self, predictions: Predictions) -> Array:
        self.check(predictions)
        return self.contributions(predictions, **dict(self.options))

    def _divisor(self, predictions: Predictions) -> int:
        return 1 if self.counts_out_of is None else self.counts_out_of(predictions.replicas)


@dataclass(frozen=True, kw_only=True)
class RatioOf(OnePass):
    """A metric that is one mean divided by another."""

    numerator: MeanOf
    denominator: MeanOf

    @property
    def between_replicas(self) -> bool:
        return self.numerator.between_replicas or self.denominator.between_replicas

    def bind(self, **options: Any) -> RatioOf:
        if options:
            raise BadInput(f"{self.name} takes no options, got {', '.join(options)}")
        return self

    def values(self, predictions: Predictions) -> Array:
        self.check(predictions)
        return self.numerator.values(predictions), self.denominator.values(predictions)

    def value(self, predictions: Predictions) -> float:
        self.check(predictions)
        return self._quotient(self.numerator.value(predictions), self.denominator.value(predictions))

    def measure(self, predictions: Predictions) -> Measurement:
        self.check(predictions)
        top, bottom = self.numerator.measure(predictions), self.denominator.measure(predictions)
        parts = ((of.value, of.rows, of.jackknife_values) for of in (top, bottom))
        value, rows, jackknife_values = self.finish(*parts)
        influence = (top.influence - value * bottom.influence) / bottom.value
        return Measurement.of(self, value, rows, jackknife_values, influence, predictions, min(bottom.value, 1.0))

    @property
    def forms(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])

    @property
    def is_share(self) -> bool:
        return self.unit == "fraction" and all(part.counts_out_of is not None for part in (self.numerator, self.denominator))

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[Sums, ...], np.ndarray]:
        (top, top_means), (bottom, bottom_means) = self.numerator.add(block, weight), self.denominator.add(block, weight)
        return top + bottom, np.concatenate([top_means, bottom_means])

    def conclude(self, sums: tuple[Sums, ...], replicas: int, weight: float) -> Conclusion:
        top, bottom = (part.finish(s, replicas, weight) for part, s in zip((self.numerator, self.denominator), sums, strict=True))
        value, rows, jackknife_values = self.finish(top, bottom)
        slopes, centre = np.array([1.0, -value]) / bottom[0], np.array([top[0], bottom[0]])
        return Conclusion(value, rows, jackknife_values, slopes, centre, min(bottom[0], 1.0))

    def finish(
        self, top: tuple[float, np.ndarray, np.ndarray | None], bottom: tuple[float, np.ndarray, np.ndarray | None]
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """Value, rows and leave-one-out values from those of numerator and denominator."""
        value = self._quotient(top[0], bottom[0])
        with np.errstate(divide="ignore", invalid="ignore"):  # a replica without errors has no ratio of its own
            return value, top[1] / bottom[1], None if top[2] is None or bottom[2] is None else top[2] / bottom[2]

    def _quotient(self, top: float, bottom: float) -> float:
        if bottom == 0:
            raise Undefined(f"{self.title} has no value here: its denominator, {self.denominator.title}, is zero")
        return top / bottom


def weights_of(predictions: Predictions) -> np.ndarray | None:
    """Weights as a NumPy array; None where all examples weigh alike."""
    return None if predictions.weights is None else to_numpy(predictions.weights)


def total_weight(predictions: Predictions, weights: np.ndarray | None) -> float:
    """The sum of the weights, or the number of examples."""
    return predictions.examples if weights is None else float(weights.sum())


def _weighted_sum(values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    if weight is not None:
        return np.asarray(values @ weight)
    if values.dtype.itemsize == 1:  # a block is far too short to overflow, and half as wide is twice as fast
        return np.asarray(values.sum(axis=1, dtype=np.uint32).astype(np.int64))
    return np.asarray(values.sum(axis=1, dtype=np.int64 if values.dtype.kind in "ui" else np.float64))


def _drop_weightless(values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Zero where the example weighs nothing, so that an infinite loss there does not count."""
    return values if weight is None or weight.all() else np.where(weight > 0, values, 0)
