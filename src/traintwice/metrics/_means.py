"""Metrics of one pass over the examples, in sums that add: means of contributions, and ratios of such means."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from traintwice._typed import check_arguments
from traintwice.errors import TooFewReplicas, Undefined
from traintwice.metrics._definition import Definition, Measurement, leave_one_out, to_numpy
from traintwice.metrics._moments import Moments
from traintwice.metrics._summaries import MEAN, Estimator, Summary, sums_of
from traintwice.predictions import Predictions
from traintwice.types import Array

Sums = tuple[np.ndarray, ...]
"""Sums over examples; those of parts are added array by array."""


class Conclusion(NamedTuple):
    """Result of the sums over all examples; ``value``, ``rows`` and ``jackknife_values`` as in `Summary`."""

    value: float
    rows: np.ndarray
    jackknife_values: np.ndarray | None


class OnePass(Definition):
    """A metric that follows from sums over examples; the sums of parts add up to those of the whole."""

    one_pass = True

    def of(self, value: float = 0.0) -> Estimator:
        """The metric, where it has this value, to first order as a quotient of sums of (1, u_n)."""
        return self.estimator(MEAN)

    @abstractmethod
    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[Sums, np.ndarray]:
        """Sums over a block, and the quantities u_n of each example, shape ``C N``."""

    @abstractmethod
    def conclude(self, sums: Sums, replicas: int, weight: float) -> Conclusion:
        """The result of the sums over all examples; ``weight`` is their total weight."""

    def value(self, predictions: Predictions) -> float:
        return self.measure(predictions).value

    def measure(self, predictions: Predictions) -> Measurement:
        self.check(predictions)
        weights, clusters = weights_of(predictions), predictions.clusters
        clusters = None if clusters is None else to_numpy(clusters)
        blocks = predictions.blocks(self.needs_probs)
        parts, quantities = zip(*(self.add(b, None if weights is None else weights[i:j]) for i, j, b in blocks), strict=True)
        u = np.concatenate(quantities, axis=1)
        sums = sums_of(u, weights, clusters)
        summary = self.summary(reduce(added, parts), predictions.replicas, total_weight(predictions, weights), sums)
        if not len(u):
            return Measurement.of(summary, np.full(predictions.examples, np.nan), clusters)
        _, gradient = self.of(summary.value).gradient(sums)
        with np.errstate(invalid="ignore"):  # an infinite log loss stays infinite and has no interval
            influence = (gradient[1:, 0] @ u + gradient[0, 0]) * predictions.examples
        return Measurement.of(summary, influence if weights is None else influence * weights, clusters)

    def summary(self, parts: Sums, replicas: int, weight: float, sums: Moments, place: tuple[int, int] = (0, 0)) -> Summary:
        """The number of all examples and what its interval needs, from the sums of `add` and those of the quantities.

        ``place`` says how many quantities of others come before and after.
        """
        done = self.conclude(parts, replicas, weight)
        (found,) = self.of(done.value).among(*place).summaries(sums, replicas)
        if self.scale == "none" or not np.isfinite(done.value):
            found = replace(found, example_variance=np.nan)
        return found.of_models(*done)


@dataclass(frozen=True)
class MeanOf(OnePass):
    """A metric that is the mean of its contributions over replicas and examples.

    Attributes:
        contributions: a function from `Predictions` to an array ``M N``.
        counts_out_of: where contributions are counts (integers), what they are divided by, from the number of replicas;
            counts are summed exactly.
        total: a faster way to the sum of the contributions over replicas and examples, for the number alone, equal but for
            rounding; None where there is none.
        options: bound keyword arguments of ``contributions``.
    """

    by_group = True

    contributions: Callable[..., Array] = lambda predictions: predictions.votes
    counts_out_of: Callable[[int], int] | None = None
    total: Callable[..., float] | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def bind(self, **options: Any) -> MeanOf:
        check_arguments(self.contributions, options)
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items()))) if options else self

    def values(self, predictions: Predictions) -> Array:
        raw, xp = self._raw(predictions), predictions.xp
        return raw if self.counts_out_of is None else xp.astype(raw, xp.float64) / self._divisor(predictions.replicas)

    def value(self, predictions: Predictions) -> float:
        weights, replicas = weights_of(predictions), predictions.replicas
        blocks = predictions.blocks(self.needs_probs)
        if self.total is not None and weights is None:
            self.check(predictions)
            totals = [self.total(block, **dict(self.options)) for _, _, block in blocks]
            return sum(totals) / (replicas * self._divisor(replicas) * predictions.examples)
        rows = sum(_weighted(self._raw(b), None if weights is None else weights[i:j])[1] for i, j, b in blocks)
        return self._mean(np.asarray(rows), replicas, total_weight(predictions, weights))

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[Sums, np.ndarray]:
        """The sums of the rows, shape ``1 M``, or ``2 M`` with those of the mean contribution without each replica."""
        values, rows = _weighted(self._raw(block), weight)
        means = (values.sum(axis=0) / (len(values) * self._divisor(block.replicas)))[None]
        if self.kind != "deviation" or block.replicas < 3:
            return (rows[None],), means
        try:
            others = [_weighted(self.values(left), weight)[1].mean() for left in block.leave_one_out]
        except TooFewReplicas:  # a metric that needs all the replicas there are
            return (rows[None],), means
        return (np.stack([rows, others]),), means

    def conclude(self, sums: Sums, replicas: int, weight: float) -> Conclusion:
        of_rows, *left_out = sums[0]
        value = self._mean(of_rows, replicas, weight)
        rows = of_rows / (self._divisor(replicas) * weight)
        jackknife_values = left_out[0] / weight if left_out else leave_one_out(self.kind, value, rows)
        return Conclusion(value, rows, jackknife_values)

    def of_contributions(self, contributions: np.ndarray, predictions: Predictions) -> Measurement:
        """The measurement of contributions ``M N`` that are computed already."""
        rows, means = contributions.mean(axis=1), contributions.mean(axis=0)
        value = float(rows.mean())
        return self.of_influence(value, rows, leave_one_out("replica", value, rows), means - value, predictions)

    @property
    def is_share(self) -> bool:
        return self.counts_out_of is not None and self.unit == "fraction"

    def _raw(self, predictions: Predictions) -> Array:
        self.check(predictions)
        return self.contributions(predictions, **dict(self.options))

    def _divisor(self, replicas: int) -> int:
        return 1 if self.counts_out_of is None else self.counts_out_of(replicas)

    def _mean(self, rows: np.ndarray, replicas: int, weight: float) -> float:
        return float(rows.sum() / (replicas * self._divisor(replicas) * weight))


@dataclass(frozen=True, kw_only=True)
class RatioOf(OnePass):
    """A metric that is one mean divided by another."""

    by_group = True

    numerator: MeanOf
    denominator: MeanOf

    @property
    def between_replicas(self) -> bool:
        return self.numerator.between_replicas or self.denominator.between_replicas

    def values(self, predictions: Predictions) -> Array:
        self.check(predictions)
        return self.numerator.values(predictions), self.denominator.values(predictions)

    def value(self, predictions: Predictions) -> float:
        self.check(predictions)
        return self._quotient(self.numerator.value(predictions), self.denominator.value(predictions))

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[Sums, np.ndarray]:
        (top, of_top), (bottom, of_bottom) = self.numerator.add(block, weight), self.denominator.add(block, weight)
        return top + bottom, np.concatenate([of_top, of_bottom])

    def conclude(self, sums: Sums, replicas: int, weight: float) -> Conclusion:
        top, bottom = self.numerator.conclude(sums[:1], replicas, weight), self.denominator.conclude(sums[1:], replicas, weight)
        value = self._quotient(top.value, bottom.value)
        with np.errstate(divide="ignore", invalid="ignore"):  # a replica without errors has no ratio of its own
            rows, left_out = top.rows / bottom.rows, (top.jackknife_values, bottom.jackknife_values)
            jackknife_values = None if left_out[0] is None or left_out[1] is None else left_out[0] / left_out[1]
        return Conclusion(value, rows, jackknife_values)

    def of(self, value: float = 0.0) -> Estimator:
        return self.estimator((1.0, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])))

    @property
    def is_share(self) -> bool:
        return self.unit == "fraction" and all(part.counts_out_of is not None for part in (self.numerator, self.denominator))

    def _quotient(self, top: float, bottom: float) -> float:
        if bottom == 0:
            raise Undefined(f"{self.title} has no value here: its denominator, {self.denominator.title}, is zero")
        return top / bottom


def added(sums: Sums, others: Sums) -> Sums:
    """The sums over two parts of the examples."""
    return tuple(mine + theirs for mine, theirs in zip(sums, others, strict=True))


def weights_of(predictions: Predictions) -> np.ndarray | None:
    """Weights as a NumPy array; None where all examples weigh alike."""
    return None if predictions.weights is None else to_numpy(predictions.weights)


def each_weight(predictions: Predictions) -> np.ndarray:
    """Weights as a NumPy array; ones where all examples weigh alike."""
    return np.ones(predictions.examples) if predictions.weights is None else to_numpy(predictions.weights)


def total_weight(predictions: Predictions, weights: np.ndarray | None) -> float:
    """The sum of the weights, or the number of examples."""
    return predictions.examples if weights is None else float(weights.sum())


def _weighted(raw: Array, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Contributions as an array, zero where the example weighs nothing (an infinite loss does not count), and their sums."""
    values = to_numpy(raw)
    if weight is not None:
        values = values if weight.all() else np.where(weight > 0, values, 0)
        return values, np.asarray(values @ weight)
    if values.dtype.itemsize == 1:  # a block is far too short to overflow, and half as wide is twice as fast
        return values, values.sum(axis=1, dtype=np.uint32).astype(np.int64)
    return values, values.sum(axis=1, dtype=np.int64 if values.dtype.kind in "ui" else np.float64)
