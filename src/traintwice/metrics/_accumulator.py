"""One measure over rows that come in parts, of one set of models or of two: blocks of a file, batches, shards of many machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._definition import Summary, to_numpy
from traintwice.metrics._functions import Metric
from traintwice.metrics._means import MeanOf, OnePass, Sums, added, total_weight, weights_of
from traintwice.metrics._moments import Moments
from traintwice.predictions import Predictions
from traintwice.types import Array


@dataclass(frozen=True)
class InfiniteAt:
    """The first row at which a measure is infinite, counted from 0 as rows were read."""

    row: int
    replica: int
    id: str | None


class Accumulator:
    """A metric over rows that come in parts; memory grows with groups and clusters, not with rows.

    Args:
        metric: from `traintwice.metrics`, one that needs one pass only.
        clustered: the units of the example part are the clusters of the rows (`Predictions.clusters`).
        options: of the metric, such as ``alpha=2.0``.

    Attributes:
        clustered: as given.
        examples: how many rows have been seen on which the metric has a value.
        missing: what other rows lacked for it.
        infinite: the first row at which it became infinite; None where it is finite.
        sums: of the metric over all rows seen, as its definition makes them.
        weight: the sum of the weights of the rows seen.

    Raises:
        BadInput: the metric needs all examples together.

    Example:
        >>> from traintwice.metrics import churn
        >>> first, second = Accumulator(churn), Accumulator(churn)
        >>> first.update(np.array([[0, 1], [0, 1], [0, 2]])).merge(second.update(np.array([[2, 2], [1, 2], [1, 2]])))
        >>> first.compute().value
        0.3333333333333333
    """

    def __init__(self, metric: Metric, *, clustered: bool = False, **options: Any) -> None:
        self._metric, self._options, self.clustered = metric, options, clustered
        self.missing: str | None = None
        self.infinite: InfiniteAt | None = None
        self.sums: Sums = ()
        self.examples, self.weight, self._seen, self._replicas = 0, 0.0, 0, 0
        self._refused: str | None = None
        self._moments: Moments | None = None
        _one_pass(metric, options)

    @property
    def definition(self) -> OnePass:
        """The metric with its options; not kept, as processes to which an accumulator travels find it by the name of the metric."""
        return _one_pass(self._metric, self._options)

    def update(self, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Accumulator:
        """Add examples: predictions of the same replicas, as the metric takes them. Returns itself.

        Raises:
            BadInput: see `Predictions`; or another number of replicas than before.
        """
        predictions = self.definition.predictions_of(predictions, labels, weights)
        self._expect(predictions.replicas)
        self.definition.check(predictions)
        for _, _, block in predictions.blocks(self.definition.needs_probs):
            self._add(block)
        return self

    def add(self, block: Predictions, *, groups: np.ndarray | None = None, counts: np.ndarray | None = None) -> np.ndarray | None:
        """Add one block of rows, or record why the metric has no value on them.

        Args:
            block: rows of all replicas, checked where they came from.
            groups: the number of each row's group, shape ``N``; values by group come from `by_group`.
            counts: how many rows each row stands for, shape ``N``; for rows without weights.
        Returns:
            The quantities of each row, shape ``C N``; None if the metric has no value on these rows.
        """
        means, lacks = None, self._refused or self.definition.missing(block)
        if lacks is None:
            self._expect(block.replicas)
            try:
                means = self._add(block, groups, counts)
            except TooFewReplicas as reason:
                lacks = str(reason)
            except BadInput as reason:  # labels of three classes, for a measure of two: no value on the other rows either
                lacks = self._refused = str(reason)
        if lacks is not None:
            self.missing = lacks
        elif self.infinite is None and isinstance(self.definition, MeanOf) and not np.isfinite(self.sums[0][0]).all():
            self.infinite = _first_infinite(self.definition, block, self._seen)
        self._seen += block.examples
        return means

    def merge(self, other: Accumulator) -> None:
        """Add what another accumulator of the same metric and the same replicas has seen.

        Raises:
            BadInput: another metric, other options, or another number of replicas.
        """
        if other.definition != self.definition:
            raise BadInput(f"merge: got {_named(other.definition)}, expected {_named(self.definition)}")
        if other._moments is not None:
            self._expect(other._replicas)
            self._put(other.sums, other.examples, other.weight, other._moments)

    def pack(self) -> np.ndarray:
        """What has been seen as one row of float64 numbers, for `merge_packed` in another process; empty before any example.

        Counts stay exact up to 2^53. The length depends on the metric, M and K, not on the number of examples.
        """
        if self._moments is None:
            return np.zeros(0)
        return _packed([self._replicas, self.examples, self.weight], [*self._moments.pack(), *self.sums])

    def merge_packed(self, numbers: np.ndarray) -> Accumulator:
        """Add what an accumulator of the same metric packed. Returns itself.

        Raises:
            BadInput: another number of replicas, or numbers that were cut short.
        """
        if len(numbers):
            (replicas, examples, weight), arrays = _unpacked(numbers)
            self._expect(int(replicas))
            self._put(tuple(arrays[4:]), int(examples), weight, Moments.unpack(arrays[:4]))
        return self

    def compute(self) -> Summary:
        """The number and what its interval needs, equal to those of the whole array.

        Raises:
            BadInput: nothing has been seen. Undefined: see the metric.
        """
        if self.missing is not None and (self._refused or not self.examples):
            raise Undefined(self.missing)
        if self._moments is None or self.weight == 0:
            raise BadInput(f"{self.definition.title}: no examples of positive weight have been added yet")
        with np.errstate(invalid="ignore"):
            done = self.definition.conclude(self.sums, self._replicas, self.weight)
        variance = float("nan")
        if np.isfinite(done.value) and self.definition.scale != "none":
            variance = float(self._moments.variance(self.gradient()).sum())
        units, squares = int(self._moments.units.sum()), float(self._moments.squares.sum())
        effective = self.weight**2 / squares if squares else 0.0
        about: dict[str, Any] = {"units": units, "effective": effective, "clustered": self.clustered, "base": done.base}
        if self.clustered:
            below = np.eye(self._moments.quantities + 1)[self.definition.relative_to]
            about["effective_clusters"] = float(self._moments.linear(below).sum() ** 2 / self._moments.squared(below).sum())
        return self.definition.summary(done.value, done.rows, done.jackknife_values, variance, self.examples, **about)

    def gradient(self) -> np.ndarray:
        """The change of the value with the sums of 1 and of each quantity over all rows, shape ``C+1``."""
        done = self.definition.conclude(self.sums, self._replicas, self.weight)
        with np.errstate(invalid="ignore"):
            return np.concatenate([[-float(done.slopes @ done.centre)], done.slopes]) / self.weight

    def gradients(self) -> np.ndarray:
        """The change of the value of each group with its sums of 1 and of each quantity, shape ``C+1 G``; nan without a value."""
        (top, bottom), moments = self.definition.forms, self._moments
        if moments is None:
            return np.zeros((len(top), 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            below = moments.linear(bottom)
            below = np.where(below > 0, below, np.nan)
            return np.asarray((top[:, None] - moments.linear(top) / below * bottom[:, None]) / below)

    def by_group(self) -> list[Summary]:
        """The metric in every group that rows were added with, nan where a group has no value; for a mean, or a ratio of means.

        Raises:
            BadInput: the metric is neither.
        """
        (top, bottom), moments, d = self.definition.forms, self._moments, self.definition
        if moments is None:
            return []
        weight = moments.linear(np.eye(1, len(top))[0])
        with np.errstate(invalid="ignore", divide="ignore"):
            below = moments.linear(bottom)
            values = np.where(below > 0, moments.linear(top) / below, np.nan)
            variances = np.where(np.isfinite(values), moments.variance(np.nan_to_num(self.gradients())), np.nan)
            effective = weight**2 / moments.squares
            base = np.minimum(below / weight, 1.0) if d.is_share else np.ones(len(weight))
            clusters = np.where(below > 0, below**2 / moments.squared(bottom), np.nan)
        about = {"units": moments.units.astype(int), "effective": effective, "base": base}
        if self.clustered:
            about["effective_clusters"] = clusters
        found = zip(values.tolist(), variances.tolist(), moments.rows.astype(int).tolist(), strict=True)
        return [
            d.summary(
                v, np.full(self._replicas, v), None, variance, rows, clustered=self.clustered,
                **{name: column[g].item() for name, column in about.items()},
            )
            for g, (v, variance, rows) in enumerate(found)
        ]  # fmt: skip

    def _add(self, block: Predictions, groups: np.ndarray | None = None, counts: np.ndarray | None = None) -> np.ndarray:
        weight = weights_of(block)
        with np.errstate(invalid="ignore"):  # infinite minus infinite
            sums, means = self.definition.add(block, weight if counts is None else counts)
        self._moments = self._moments or Moments(len(means), clustered=self.clustered)
        clusters = block.clusters if self.clustered else None
        self._moments.add(means, weight, counts=counts, groups=groups, clusters=clusters)
        examples = block.examples if counts is None else int(counts.sum())
        self._put(sums, examples, total_weight(block, weight) if counts is None else float(counts.sum()))
        return means

    def _expect(self, replicas: int) -> None:
        if self.sums and replicas != self._replicas:
            raise BadInput(
                f"{self.definition.title}: got {replicas} replicas, expected {self._replicas} as before; parts are examples, and "
                "all replicas must predict each of them"
            )
        self._replicas = replicas

    def _put(self, sums: Sums, examples: int, weight: float, moments: Moments | None = None) -> None:
        self.sums = added(self.sums, sums) if self.sums else sums
        if moments is not None:
            self._moments = self._moments or Moments(moments.quantities, clustered=self.clustered)
            self._moments.merge(moments)
        self.examples += examples
        self.weight += weight


class PairedAccumulator:
    """A metric of a first and a second set of models, summed block by block, with the variance of second minus first over rows.

    >>> from traintwice.metrics import accuracy
    >>> labels, both = np.array([1, 1, 0, 0]), PairedAccumulator(accuracy)
    >>> both.add(Predictions(np.array([[1, 1, 0, 0]]), labels), Predictions(np.array([[1, 1, 0, 1]]), labels))
    >>> both.difference().value
    -0.25
    """

    def __init__(self, metric: Metric, *, clustered: bool = False) -> None:
        self.first, self.second = Accumulator(metric, clustered=clustered), Accumulator(metric, clustered=clustered)
        self._clustered = clustered
        self._moments: Moments | None = None

    @property
    def missing(self) -> str | None:
        """What rows lacked for the metric."""
        return self.first.missing or self.second.missing

    def add(self, first: Predictions, second: Predictions, *, groups: np.ndarray | None = None) -> None:
        """Add the same rows of both sets; see `Accumulator.add`."""
        one, other = self.first.add(first, groups=groups), self.second.add(second, groups=groups)
        if one is None or other is None:
            return
        if self._moments is None:
            self._moments = Moments(len(one) + len(other), clustered=self._clustered)
        clusters = first.clusters if self._clustered else None
        self._moments.add(np.concatenate([one, other]), weights_of(first), groups=groups, clusters=clusters)

    def variance(self) -> tuple[float, int]:
        """The example part of the variance of second minus first, and the number of units; nan where a value is infinite."""
        if self._moments is None or not all(math.isfinite(of.compute().value) for of in (self.first, self.second)):
            return math.nan, self.first.examples
        form = _joint(self.first.gradient(), self.second.gradient())
        return float(self._moments.variance(form).sum()), int(self._moments.units.sum())

    def difference(self) -> Summary:
        """Second minus first, as the change of one model into another."""
        first, second = self.first.compute(), self.second.compute()
        value = second.value - first.value
        variance, units = self.variance()
        return Summary(value, np.full(2, value), None, variance, first.examples, units=units, clustered=self._clustered)

    def by_group(self) -> list[Summary]:
        """Second minus first in every group that rows were added with; nan where a group has no value."""
        first, second = self.first.by_group(), self.second.by_group()
        if self._moments is None:
            return []
        with np.errstate(invalid="ignore"):
            variances = self._moments.variance(np.nan_to_num(_joint(self.first.gradients(), self.second.gradients())))
        found: list[Summary] = []
        change: dict[str, Any] = {"effective_clusters": None, "base": 1.0, "scale": "plain", "share": False}
        for one, other, variance in zip(first, second, variances, strict=True):
            value = other.value - one.value
            known = float(variance) if math.isfinite(value) else math.nan
            found.append(replace(other, value=value, rows=np.full(2, value), example_variance=known, **change))
        return found


def _joint(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The gradient of a difference in the sums of 1, of the first and of the second quantities."""
    return np.concatenate([second[:1] - first[:1], -first[1:], second[1:]])


def _one_pass(metric: Metric, options: dict[str, Any]) -> OnePass:
    if not hasattr(metric, "definition"):
        raise BadInput(f"metric: got {type(metric).__name__}, expected a measure of traintwice.metrics")
    definition = metric.definition.bind(**options)
    if not isinstance(definition, OnePass):
        raise BadInput(f"{definition.title} needs all examples together; call {definition.name}.measure on the whole")
    return definition


def _named(definition: OnePass) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in getattr(definition, "options", ()))
    return f"{definition.name}({options})"


def _first_infinite(definition: OnePass, block: Predictions, seen: int) -> InfiniteAt:
    replicas, rows = np.nonzero(~np.isfinite(to_numpy(definition.values(block))))
    first = int(rows.argmin())
    row = int(rows[first])
    id_of = None if block.ids is None else str(to_numpy(block.ids)[row])
    known = block.known.positions
    return InfiniteAt(seen + row if known is None else int(known[row]), int(replicas[first]), id_of)


def _packed(head: Sequence[float], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """All numbers in a row: their count, the head of three numbers, and each array after (whether it holds integers, its shape)."""
    parts = [part for a in arrays for part in ((a.dtype.kind in "iu", *a.shape), a.ravel())]
    return np.concatenate([[1 + len(head) + sum(map(len, parts))], head, *parts], dtype=np.float64)


def _unpacked(numbers: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """The head and the arrays that `_packed` put in a row."""
    if len(numbers) != numbers[0]:
        raise BadInput(f"packed sums: {len(numbers)} numbers are too few; they were cut short, or are of another metric")
    arrays, rest = [], numbers[4:]
    while len(rest):
        integers, rows, columns = map(int, rest[:3])
        array, rest = np.split(rest[3:], [rows * columns])
        arrays.append(array.reshape(rows, columns).astype(np.int64 if integers else np.float64))
    return numbers[1:4].tolist(), arrays
