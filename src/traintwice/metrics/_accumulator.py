"""One measure over rows that come in parts, of one set of models or of two: blocks of a file, batches, shards of many machines."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._definition import Definition, to_numpy
from traintwice.metrics._functions import Metric
from traintwice.metrics._means import MeanOf, OnePass, Sums, added, each_weight, total_weight, weights_of
from traintwice.metrics._moments import Moments
from traintwice.metrics._summaries import Estimator, Summary
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
        self._place = (0, 0)  # quantities of others before and after its own
        _one_pass(metric, options)

    @property
    def definition(self) -> OnePass:
        """The metric with its options; not kept, as processes to which an accumulator travels find it by the name of the metric."""
        return _one_pass(self._metric, self._options)

    def update(self, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Accumulator:
        """Add examples: predictions of the same replicas, as the metric takes them. Returns itself.

        A batch whose weights are all 0 adds nothing.

        Raises:
            BadInput: see `Predictions`; or another number of replicas than before.
        """
        nothing = weights is not None and not to_numpy(weights).any()
        predictions = self.definition.predictions_of(predictions, labels, None if nothing else weights)
        self._expect(predictions.replicas)
        self.definition.check(predictions)
        if nothing:
            return self
        for _, _, block in predictions.blocks(self.definition.needs_probs):
            self._keep(block, self._sum(block))
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
        means = self._tried(block, counts)
        if means is not None:
            self._keep(block, means, groups, counts)
        return means

    def _tried(self, block: Predictions, counts: np.ndarray | None = None) -> np.ndarray | None:
        """The quantities of each row of a block, shape ``C N``, whose sums were added; None if the metric has no value on them."""
        means, lacks = None, self._refused or self.definition.missing(block)
        if lacks is None:
            self._expect(block.replicas)
            try:
                means = self._sum(block, counts)
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
            BadInput: another metric, other options, other units, or another number of replicas.
        """
        if other.definition != self.definition or other.clustered != self.clustered:
            raise BadInput(f"merge: got {other._named}, expected {self._named}")
        if other._moments is not None:
            self._expect(other._replicas)
            self._put(other.sums, other.examples, other.weight, other._moments)

    def pack(self) -> np.ndarray:
        """What has been seen as one row of float64 numbers, for `merge_packed` in another process; empty before any example.

        Counts stay exact up to 2^53. The length depends on the metric, M and K, not on the number of examples.
        """
        if self._moments is None:
            return np.zeros(0)
        return _packed([self._mark, self._replicas, self.examples, self.weight], [*self._moments.pack(), *self.sums])

    def merge_packed(self, numbers: np.ndarray) -> Accumulator:
        """Add what an accumulator of the same metric packed. Returns itself.

        Raises:
            BadInput: another metric, other options, other units, another number of replicas, or numbers that were cut short or rounded.
        """
        numbers = to_numpy(numbers)
        if len(numbers):
            (mark, replicas, examples, weight), arrays = _unpacked(numbers)
            if mark != self._mark:
                raise BadInput(f"packed sums: they are of another metric or of other options, expected {self._named}")
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
        return self.definition.summary(self.sums, self._replicas, self.weight, self._moments, self._place)

    def by_group(self) -> list[Summary]:
        """The metric in every group that rows were added with, nan where a group has no value; for a mean, or a ratio of means.

        Raises:
            BadInput: the metric is neither.
        """
        check_groups(self.definition)
        return [] if self._moments is None else self.definition.of().summaries(self._moments, self._replicas)

    def _sum(self, block: Predictions, counts: np.ndarray | None = None) -> np.ndarray:
        weight = weights_of(block)
        with np.errstate(invalid="ignore"):  # infinite minus infinite
            sums, means = self.definition.add(block, weight if counts is None else counts)
        examples = block.examples if counts is None else int(counts.sum())
        self._put(sums, examples, total_weight(block, weight) if counts is None else float(counts.sum()))
        return means

    def _keep(
        self, block: Predictions, means: np.ndarray, groups: np.ndarray | None = None, counts: np.ndarray | None = None
    ) -> None:
        """Add quantities of the rows of a block."""
        self._moments = self._moments or Moments(len(means), clustered=self.clustered)
        clusters = block.clusters if self.clustered else None
        self._moments.add(means, weights_of(block), counts=counts, groups=groups, clusters=clusters)

    @property
    def _named(self) -> str:
        """The metric with its options, for messages."""
        options = ", ".join(f"{key}={value!r}" for key, value in getattr(self.definition, "options", ()))
        return f"{self.definition.name}({options}){' over clusters' if self.clustered else ''}"

    @property
    def _mark(self) -> float:
        """A number that differs between metrics, options and units."""
        return float(int.from_bytes(hashlib.blake2b(self._named.encode(), digest_size=6).digest()))

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

    @property
    def missing(self) -> str | None:
        """What rows lacked for the metric."""
        return self.first.missing or self.second.missing

    def add(self, first: Predictions, second: Predictions, *, groups: np.ndarray | None = None) -> None:
        """Add the same rows of both sets; see `Accumulator.add`."""
        one, other = self.first._tried(first), self.second._tried(second)
        if one is None or other is None:
            return
        self.first._keep(first, np.concatenate([one, other]), groups)
        self.second._moments = self.first._moments
        self.first._place, self.second._place = (0, len(other)), (len(one), 0)

    def difference(self) -> Summary:
        """Second minus first of all rows, as the change of one model into another."""
        first, second = self.first.compute(), self.second.compute()
        value = second.value - first.value
        if not math.isfinite(value):
            return replace(
                first, value=value, rows=np.full(2, value), jackknife_values=None, example_variance=math.nan, scale="plain"
            )
        (found,) = self._change(first.value, second.value)
        return found.of_models(value, np.full(2, value), None)

    def by_group(self) -> list[Summary]:
        """Second minus first in every group that rows were added with; nan where a group has no value."""
        check_groups(self.first.definition)
        return self._change()

    def _change(self, first: float = 0.0, second: float = 0.0) -> list[Summary]:
        """Second minus first by group, to first order where they have these values."""
        d, sums = self.first.definition, self.first._moments
        old, new = d.of(first).among(*self.first._place), d.of(second).among(*self.second._place)
        less = tuple((-k, top, bottom) for k, top, bottom in old.quotients)
        return [] if sums is None else Estimator((*new.quotients, *less), "plain", most=d.most).summaries(sums, 2)


def check_groups(definition: Definition) -> None:
    """Raise `BadInput` where a metric has no value by slice of the rows."""
    if not definition.by_group:
        raise BadInput(f"{definition.name} has no value by slice: it is neither a mean over rows nor a ratio of two such means")


def _one_pass(metric: Metric, options: dict[str, Any]) -> OnePass:
    if not hasattr(metric, "definition"):
        raise BadInput(f"metric: got {type(metric).__name__}, expected a measure of traintwice.metrics")
    definition = metric.definition.bind(**options)
    if not isinstance(definition, OnePass):
        raise BadInput(f"{definition.title} needs all examples together; call {definition.name}.measure on the whole")
    return definition


def _first_infinite(definition: OnePass, block: Predictions, seen: int) -> InfiniteAt:
    replicas, rows = np.nonzero(~np.isfinite(to_numpy(definition.values(block))) & (each_weight(block) > 0))
    first = int(rows.argmin())
    row = int(rows[first])
    id_of = None if block.ids is None else str(to_numpy(block.ids)[row])
    known = block.known.positions
    return InfiniteAt(seen + row if known is None else int(known[row]), int(replicas[first]), id_of)


def _packed(head: Sequence[float], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """All numbers in a row: their count, the head of four numbers, and each array after (whether it holds integers, its shape)."""
    parts = [part for a in arrays for part in ((a.dtype.kind in "iu", *a.shape), a.ravel())]
    return np.concatenate([[1 + len(head) + sum(map(len, parts))], head, *parts], dtype=np.float64)


def _unpacked(numbers: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """The head and the arrays that `_packed` put in a row."""
    if numbers.ndim != 1 or numbers.dtype != np.float64:
        raise BadInput(
            f"packed sums: got {numbers.dtype} of shape {numbers.shape}, expected the row of float64 numbers of pack()"
        )
    if len(numbers) != numbers[0]:
        raise BadInput(f"packed sums: {len(numbers)} numbers, expected {numbers[0]:g}; they were cut short, or added to others")
    arrays, rest = [], numbers[5:]
    while len(rest):
        integers, rows, columns = map(int, rest[:3])
        array, rest = np.split(rest[3:], [rows * columns])
        arrays.append(array.reshape(rows, columns).astype(np.int64 if integers else np.float64))
    return numbers[1:5].tolist(), arrays
