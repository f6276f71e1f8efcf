"""What a metric is: a function that gives contributions, and the things computed from them.

A metric is written once, as a function from `Predictions` to contributions ``[M, N]`` whose mean over both axes is the
number. From that follow the number, the rows of the replicas, the number with one replica left out (for the
replica part of an interval) and the influence of each example (for the example part).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from traintwice.errors import BadInput, Undefined
from traintwice.predictions import Predictions
from traintwice.types import Array

Kind = Literal["replica", "pair", "deviation"]
"""How contributions change when a replica leaves. ``replica``: they do not. ``pair``: a contribution is a mean over
the other replicas. ``deviation``: they hang on the mean over replicas and are computed again."""

Unit = Literal["fraction", "number"]
"""``fraction``: in [0, 1] and shown as a percentage by reports. ``number``: shown as it is."""


@dataclass(frozen=True)
class Measurement:
    """A metric's number and all that intervals and comparisons need.

    Attributes:
        value: the number.
        rows: the number of each replica, shape ``M``; for a pair metric the mean over the pairs with that replica.
        dropped: the number with one replica left out, shape ``M``; None where that is not defined (a pair metric of
            two replicas, any metric of one).
        influence: first-order change of the number with each example, shape ``N``, mean zero; its variance / N is
            the example part of the interval.
    """

    value: float
    rows: np.ndarray
    dropped: np.ndarray | None
    influence: np.ndarray

    @property
    def replicas(self) -> int:
        """M."""
        return len(self.rows)

    @property
    def examples(self) -> int:
        """N."""
        return len(self.influence)


@dataclass(frozen=True)
class Definition(ABC):
    """What the rest of the project knows of a metric.

    Attributes:
        name: as in Python and JSON.
        title: as in tables.
        unit: see `Unit`.
        soft: it reads the size of probabilities, so it is never shown without churn and accuracy beside it.
        needs_labels, needs_probs: what must be known of the predictions.
    """

    name: str
    title: str
    unit: Unit = "fraction"
    soft: bool = False
    needs_labels: bool = False
    needs_probs: bool = False

    @property
    @abstractmethod
    def between_replicas(self) -> bool:
        """True where one replica is not enough."""

    @abstractmethod
    def measure(self, predictions: Predictions) -> Measurement:
        """The number with its rows, leave-one-out values and influences."""

    @abstractmethod
    def values(self, predictions: Predictions) -> Array:
        """Contributions ``[M, N]``; for a ratio the pair (numerator, denominator)."""

    @abstractmethod
    def bind(self, **options: Any) -> Definition:
        """The same metric with options fixed."""


@dataclass(frozen=True)
class MeanOf(Definition):
    """A metric that is the mean of its contributions over replicas and examples."""

    kind: Kind = "replica"
    contributions: Callable[..., Array] = lambda predictions: predictions.votes
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def between_replicas(self) -> bool:
        return self.kind != "replica"

    def bind(self, **options: Any) -> MeanOf:
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items()))) if options else self

    def values(self, predictions: Predictions) -> Array:
        if self.between_replicas:
            predictions.require_pairs(self.title)
        return self.contributions(predictions, **dict(self.options))

    def measure(self, predictions: Predictions) -> Measurement:
        replicas, examples = predictions.replicas, predictions.examples
        rows, left_out, means = np.zeros(replicas), np.zeros(replicas), np.empty(examples)
        recompute = self.kind == "deviation" and replicas > 2
        weights = np.ones(examples) if predictions.weights is None else to_numpy(predictions.weights)
        for start, stop, block in predictions.blocks():
            values, weight = to_numpy(self.values(block)), weights[start:stop]
            rows += values @ weight
            means[start:stop] = values.mean(axis=0)
            if recompute:
                for m in range(replicas):
                    left_out[m] += to_numpy(self.values(block.without(m))).mean(axis=0) @ weight
        total = weights.sum()
        rows /= total
        value = float(rows.mean())
        with np.errstate(invalid="ignore"):  # an infinite log loss stays infinite and has no interval
            influence = weights * (means - value) * (examples / total)
            dropped = self._dropped(value, rows, left_out / total if recompute else None)
        return Measurement(value, rows, dropped, influence)

    def _dropped(self, value: float, rows: np.ndarray, recomputed: np.ndarray | None) -> np.ndarray | None:
        """The number without each replica, in closed form but for deviations (spec: theta_(-m))."""
        replicas = len(rows)
        if self.kind == "deviation":
            return recomputed
        if self.kind == "pair":
            return (replicas * value - 2 * rows) / (replicas - 2) if replicas > 2 else None
        return (replicas * value - rows) / (replicas - 1) if replicas > 1 else None


@dataclass(frozen=True, kw_only=True)
class RatioOf(Definition):
    """A metric that is one metric's number divided by another's."""

    numerator: Definition
    denominator: Definition

    @property
    def between_replicas(self) -> bool:
        return self.numerator.between_replicas or self.denominator.between_replicas

    def bind(self, **options: Any) -> RatioOf:
        if options:
            raise BadInput(f"{self.name} takes no options, got {', '.join(options)}")
        return self

    def values(self, predictions: Predictions) -> Array:
        return self.numerator.values(predictions), self.denominator.values(predictions)

    def measure(self, predictions: Predictions) -> Measurement:
        top, bottom = self.numerator.measure(predictions), self.denominator.measure(predictions)
        if bottom.value == 0:
            raise Undefined(f"{self.title} has no value here: its denominator, {self.denominator.title}, is zero")
        value = top.value / bottom.value
        with np.errstate(divide="ignore", invalid="ignore"):  # a replica without errors has no ratio of its own
            rows = top.rows / bottom.rows
            dropped = None if top.dropped is None or bottom.dropped is None else top.dropped / bottom.dropped
        return Measurement(value, rows, dropped, (top.influence - value * bottom.influence) / bottom.value)


def to_numpy(array: Array) -> np.ndarray:
    """A NumPy array of the same numbers, from any device."""
    if isinstance(array, np.ndarray):
        return array
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
