"""One measure over rows that come in parts: blocks of a file, batches of an evaluation, counted cells, shards of many machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._definition import OnePass, Summary, to_numpy
from traintwice.metrics._functions import Metric
from traintwice.metrics._means import MeanOf, total_weight, weights_of
from traintwice.metrics._moments import Moments
from traintwice.metrics._packing import Unpacking, packed
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
        self._metric, self._options = metric, options
        self.definition = _one_pass(metric, options)
        self.examples = 0
        self.missing: str | None = None
        self.infinite: InfiniteAt | None = None
        self._refused: str | None = None
        self.clustered, self._seen, self._replicas, self._weight = clustered, 0, 0, 0.0
        self._sums: tuple[Any, ...] = ()
        self._moments: Moments | None = None

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
        elif self.infinite is None and isinstance(self.definition, MeanOf) and not np.isfinite(self._sums[0].rows).all():
            self.infinite = self._first_infinite(block)
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
            self._put(other._sums, other.examples, other._weight, other._moments)

    def pack(self) -> np.ndarray:
        """What has been seen as one row of float64 numbers, for `merge_packed` in another process; empty before any example.

        Counts stay exact up to 2^53. The length depends on the metric, M and K, not on the number of examples.
        """
        if self._moments is None:
            return np.zeros(0)
        parts = self._moments.pack()
        return packed([self._replicas, self.examples, self._weight, len(parts[1])], self._replicas, parts, self._sums)

    def merge_packed(self, numbers: np.ndarray) -> Accumulator:
        """Add what an accumulator of the same metric packed. Returns itself.

        Raises:
            BadInput: another number of replicas, or numbers that were cut short.
        """
        if not len(numbers):
            return self
        parts = Unpacking(numbers)
        replicas, examples, weight, size = parts.take(4).tolist()
        wide = int(size) + 1
        moments = Moments.unpack(
            [parts.take(3), parts.take(int(size)), parts.take(wide), parts.take(wide**2).reshape(wide, wide)]
        )
        self._expect(int(replicas))
        self._put(tuple(parts.sums(int(replicas))), int(examples), weight, moments)
        return self

    def compute(self) -> Summary:
        """The number and what its interval needs, equal to those of the whole array.

        Raises:
            BadInput: nothing has been seen. Undefined: see the metric.
        """
        if self.missing is not None and (self._refused or not self.examples):
            raise Undefined(self.missing)
        if self._moments is None or self._weight == 0:
            raise BadInput(f"{self.definition.title}: no examples of positive weight have been added yet")
        with np.errstate(invalid="ignore"):
            done = self.definition.conclude(self._sums, self._replicas, self._weight)
        variance = float("nan")
        if np.isfinite(done.value) and self.definition.scale != "none":
            variance = float(self._moments.variance(self.gradient()).sum())
        units, squares = float(self._moments.units.sum()), float(self._moments.squares.sum())
        return Summary(
            done.value,
            done.rows,
            done.jackknife_values,
            variance,
            self.examples,
            units=int(units),
            effective=self._weight**2 / squares if squares else 0.0,
            clustered=self.clustered,
            base=done.base,
            scale=self.definition.scale,
            share=self.definition.is_share,
            most=self.definition.most,
        )

    @property
    def sums(self) -> tuple[Any, ...]:
        """The sums of the metric over all rows seen, as its definition makes them."""
        return self._sums

    @property
    def weight(self) -> float:
        """The sum of the weights of the rows seen."""
        return self._weight

    def gradient(self) -> np.ndarray:
        """The change of the value with the sums of 1 and of each quantity over all rows, shape ``C+1``."""
        done = self.definition.conclude(self._sums, self._replicas, self._weight)
        with np.errstate(invalid="ignore"):
            return np.concatenate([[-float(done.slopes @ done.centre)], done.slopes]) / self._weight

    def gradients(self) -> np.ndarray:
        """The change of the value of each group with its sums of 1 and of each quantity, shape ``C+1 G``; nan without a value."""
        (top, bottom), moments = self._forms(), self._moments
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
        (top, bottom), moments, d = self._forms(), self._moments, self.definition
        if moments is None:
            return []
        weight = moments.linear(np.eye(1, len(top))[0])
        with np.errstate(invalid="ignore", divide="ignore"):
            below = moments.linear(bottom)
            values = np.where(below > 0, moments.linear(top) / below, np.nan)
            variances = np.where(np.isfinite(values), moments.variance(np.nan_to_num(self.gradients())), np.nan)
            effective = weight**2 / moments.squares
            base = np.minimum(below / weight, 1.0) if d.is_share else np.ones(len(weight))
        return [
            Summary(
                float(values[g]),
                np.full(self._replicas, values[g]),
                None,
                float(variances[g]),
                int(moments.rows[g]),
                units=int(moments.units[g]),
                effective=float(effective[g]),
                clustered=self.clustered,
                base=float(base[g]),
                scale=d.scale,
                share=d.is_share,
                most=d.most,
            )
            for g in range(len(values))
        ]

    def _forms(self) -> tuple[np.ndarray, np.ndarray]:
        if self.definition.forms is None:
            title = self.definition.title
            raise BadInput(f"{title} has no value by group: it is neither a mean over rows nor a ratio of two such means")
        return self.definition.forms

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the metric is named and found again there."""
        return {key: value for key, value in vars(self).items() if key != "definition"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.definition = _one_pass(self._metric, self._options)

    def _add(self, block: Predictions, groups: np.ndarray | None = None, counts: np.ndarray | None = None) -> np.ndarray:
        weight = weights_of(block)
        with np.errstate(invalid="ignore"):  # infinite minus infinite
            sums, means = self.definition.add(block, weight if counts is None else counts)
        if self._moments is None:
            self._moments = Moments(len(means), clustered=self.clustered)
        clusters = block.clusters if self.clustered else None
        self._moments.add(means, weight, counts=counts, groups=groups, clusters=clusters)
        self._expect(block.replicas)
        examples = block.examples if counts is None else int(counts.sum())
        self._put(sums, examples, total_weight(block, weight) if counts is None else float(counts.sum()), None)
        return means

    def _expect(self, replicas: int) -> None:
        if self._sums and replicas != self._replicas:
            raise BadInput(
                f"{self.definition.title}: got {replicas} replicas, expected {self._replicas} as before; parts are examples, and "
                "all replicas must predict each of them"
            )
        self._replicas = replicas

    def _put(self, sums: tuple[Any, ...], examples: int, weight: float, moments: Moments | None) -> None:
        self._sums = sums if not self._sums else tuple(old + new for old, new in zip(self._sums, sums, strict=True))
        if moments is not None:
            if self._moments is None:
                self._moments = Moments(moments.quantities, clustered=self.clustered)
            self._moments.merge(moments)
        self.examples += examples
        self._weight += weight

    def _first_infinite(self, block: Predictions) -> InfiniteAt:
        replicas, rows = np.nonzero(~np.isfinite(to_numpy(self.definition.values(block))))
        first = int(rows.argmin())
        row = int(rows[first])
        id_of = None if block.ids is None else str(to_numpy(block.ids)[row])
        known = block.known.positions
        return InfiniteAt(self._seen + row if known is None else int(known[row]), int(replicas[first]), id_of)


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
