"""The same metrics over examples that come in parts: batches of an evaluation, chunks of a file, shards on many machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics.definition import OnePass
from traintwice.metrics.functions import Metric
from traintwice.metrics.means import Sums, total_weight, weights_of
from traintwice.metrics.packing import Unpacking, packed
from traintwice.predictions import Predictions
from traintwice.types import Array


@dataclass(frozen=True)
class Summary:
    """What remains of a `Measurement` when the examples are gone; enough for its interval.

    Attributes:
        value, rows, dropped: as in `Measurement`.
        example_variance: the example part of the variance.
        examples: N.
    """

    value: float
    rows: np.ndarray
    dropped: np.ndarray | None
    example_variance: float
    examples: int

    @property
    def replicas(self) -> int:
        """M."""
        return len(self.rows)


class Accumulator:
    """A metric over examples that come in parts; memory does not grow with their number.

    Args:
        metric: from `traintwice.metrics`, one that needs one pass only.
        options: of the metric, such as ``alpha=2.0``.

    Attributes:
        examples: how many have been seen.

    Raises:
        BadInput: the metric needs all examples together.

    Example:
        >>> from traintwice.metrics import churn
        >>> first, second = Accumulator(churn), Accumulator(churn)
        >>> first.update(np.array([[0, 1], [0, 1], [0, 2]])).merge(second.update(np.array([[2, 2], [1, 2], [1, 2]])))
        >>> first.compute().value
        0.3333333333333333
    """

    def __init__(self, metric: Metric, **options: Any) -> None:
        self._metric, self._options = metric, options
        self.definition = _one_pass(metric, options)
        self.examples = 0
        self._replicas = 0
        self._sums: tuple[Any, ...] = ()
        self._weight = 0.0
        self._moments: Moments | None = None

    def update(self, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None) -> Accumulator:
        """Add examples: predictions of the same replicas, as the metric takes them. Returns itself.

        Raises:
            BadInput: see `Predictions`; or another number of replicas than before.
        """
        if self.definition.needs_targets and not isinstance(predictions, Predictions):
            predictions = Predictions.from_scores(predictions, None, weights, targets=labels)
        elif self.definition.needs_scores and not isinstance(predictions, Predictions):
            predictions = Predictions.from_scores(predictions, labels, weights)
        else:
            predictions = Predictions.of(predictions, labels, weights)
        self._expect(predictions.replicas)
        self.definition.check(predictions)
        for _, _, block in predictions.blocks(self.definition.needs_probs):
            weight = weights_of(block)
            sums, means = self.definition.add(block, weight)
            self._add(sums, block.examples, total_weight(block, weight), Moments.of(means, weight))
        return self

    def merge(self, other: Accumulator) -> None:
        """Add what another accumulator of the same metric and the same replicas has seen.

        Raises:
            BadInput: another metric, other options, or another number of replicas.
        """
        if other.definition != self.definition:
            raise BadInput(f"merge: got {_named(other.definition)}, expected {_named(self.definition)}")
        if other._moments is not None:
            self._expect(other._replicas)
            self._add(other._sums, other.examples, other._weight, other._moments)

    def pack(self) -> np.ndarray:
        """What has been seen as one row of float64 numbers, for `merge_packed` in another process; empty before any example.

        Counts stay exact up to 2^53. The length depends on the metric, M and K, not on the number of examples.
        """
        if self._moments is None:
            return np.zeros(0)
        m = self._moments
        head = [self._replicas, self.examples, self._weight, m.weight, len(m.mean)]
        return packed(head, self._replicas, [m.mean, m.products], self._sums)

    def merge_packed(self, numbers: np.ndarray) -> Accumulator:
        """Add what an accumulator of the same metric packed. Returns itself.

        Raises:
            BadInput: another number of replicas, or numbers that were cut short.
        """
        if not len(numbers):
            return self
        parts = Unpacking(numbers)
        replicas, examples, weight, squares, means = parts.take(5).tolist()
        moments = Moments(squares, parts.take(int(means)), parts.take(int(means) ** 2).reshape(int(means), int(means)))
        self._expect(int(replicas))
        self._add(tuple(parts.sums(int(replicas))), int(examples), weight, moments)
        return self

    def compute(self) -> Summary:
        """The number and what its interval needs, equal to those of the whole array.

        Raises:
            BadInput: nothing has been seen. Undefined: see the metric.
        """
        if self._moments is None or self._weight == 0:
            raise BadInput(f"{self.definition.title}: no examples of positive weight have been added yet")
        done = self.definition.conclude(self._sums, self._replicas, self._weight)
        variance = float("nan")
        if self.examples > 1 and np.isfinite(done.value):
            spread = self._moments.spread(done.slopes, done.centre)
            variance = self.examples / (self.examples - 1) * spread / self._weight**2
        return Summary(done.value, done.rows, done.dropped, variance, self.examples)

    def first_sums(self) -> np.ndarray | None:
        """Sums over the rows of each replica so far, for a metric that is a mean; None for others and before any example."""
        sums = self._sums[0] if self._sums else None
        return sums.rows if isinstance(sums, Sums) else None

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the metric is named and found again there."""
        return {key: value for key, value in vars(self).items() if key != "definition"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.definition = _one_pass(self._metric, self._options)

    def _expect(self, replicas: int) -> None:
        if self._moments is not None and replicas != self._replicas:
            raise BadInput(
                f"{self.definition.title}: got {replicas} replicas, expected {self._replicas} as before; parts are examples, and "
                "all replicas must predict each of them"
            )
        self._replicas = replicas

    def _add(self, sums: tuple[Any, ...], examples: int, weight: float, moments: Moments) -> None:
        first = self._moments is None
        self._sums = sums if first else tuple(old + new for old, new in zip(self._sums, sums, strict=True))
        self._moments = moments if self._moments is None else self._moments + moments
        self.examples += examples
        self._weight += weight


@dataclass(frozen=True)
class Moments:
    """Weighted moments of the means of examples, about their own mean so that nothing cancels; they add.

    Attributes:
        weight: Σ w_n².
        mean: Σ w_n² u_n / Σ w_n², shape ``C``: one number for a mean, two for a ratio, more where bins are kept apart.
        products: Σ w_n² (u_n − mean)(u_n − mean)ᵀ, shape ``C C``.
    """

    weight: float
    mean: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, weights: np.ndarray | None) -> Moments:
        """Of the mean contributions of examples, shape ``C N``."""
        squares = np.ones(means.shape[1]) if weights is None else weights**2
        total = float(squares.sum())
        if total == 0:
            return cls(0.0, np.zeros(len(means)), np.zeros((len(means), len(means))))
        with np.errstate(invalid="ignore"):  # an infinite contribution has no variance
            mean = means @ squares / total
            centred = means - mean[:, None]
            return cls(total, mean, (centred * squares) @ centred.T)

    def __add__(self, other: Moments) -> Moments:
        total = self.weight + other.weight
        if total == 0:
            return self
        with np.errstate(invalid="ignore"):
            gap = other.mean - self.mean
            mean = self.mean + gap * (other.weight / total)
            between = np.outer(gap, gap) * (self.weight * other.weight / total)
            return Moments(total, mean, self.products + other.products + between)

    def spread(self, slopes: np.ndarray, centre: np.ndarray) -> float:
        """Σ w_n² (slopes · (u_n − centre))²."""
        with np.errstate(invalid="ignore"):
            return float(slopes @ self.products @ slopes + self.weight * (slopes @ (self.mean - centre)) ** 2)


def _one_pass(metric: Metric, options: dict[str, Any]) -> OnePass:
    definition = metric.definition.bind(**options)
    if not isinstance(definition, OnePass):
        raise BadInput(f"{definition.title} needs all examples together; call {definition.name}.measure on the whole")
    return definition


def _named(definition: OnePass) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in getattr(definition, "options", ()))
    return f"{definition.name}({options})"
