"""What a metric is: a number, the rows of the replicas, the number without each replica, the influence of each example.

Most metrics are means of contributions ``[M, N]``, or ratios of such means (`traintwice.metrics.means`): they need one pass
over the examples and can be summed in parts. The others read all examples together (`traintwice.metrics.whole`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions import Predictions
from traintwice.predictions.predictions import to_numpy as to_numpy
from traintwice.types import Array

Kind = Literal["replica", "pair", "deviation"]
"""How a metric changes when a replica leaves. ``replica``: it is a mean over replicas. ``pair``: it is a mean over pairs of
replicas, and a row is the mean over the pairs with that replica. ``deviation``: it hangs on all replicas together and is
computed again without the one that leaves."""

Scale = Literal["log", "logit", "plain"]
"""On which scale intervals are formed. ``log``: measures >= 0. ``logit``: fractions that may be near 1. ``plain``: measures of either
sign."""

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
            the example part of the interval. All nan where the metric has none, and says so.
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

    @property
    def example_variance(self) -> float:
        """Variance of the influences / N; nan with a single example or an infinite value."""
        if self.examples < 2 or not np.isfinite(self.influence).all():
            return float("nan")
        return float(np.var(self.influence, ddof=1) / self.examples)


@dataclass(frozen=True)
class Definition(ABC):
    """What the rest of the project knows of a metric.

    Attributes:
        name: as in Python and JSON.
        title: as in tables.
        unit: see `Unit`.
        scale: see `Scale`.
        soft: it reads the size of probabilities, so it is never shown without churn and accuracy beside it.
        needs_labels, needs_probs: what must be known of the predictions.
        needs_scores: it reads scores (`Predictions.from_scores`) instead of probabilities.
        or_scores: scores ``M N`` serve it as well as probabilities.
        binary: it reads the probability of one positive class, so there must be two classes.
        ordered: it compares one old model (replica 0) with one new model (replica 1), so M is 2 and their order matters.
    """

    name: str
    title: str
    unit: Unit = "fraction"
    scale: Scale = "log"
    soft: bool = False
    needs_labels: bool = False
    needs_probs: bool = False
    needs_scores: bool = False
    or_scores: bool = False
    binary: bool = False
    ordered: bool = False

    @property
    @abstractmethod
    def between_replicas(self) -> bool:
        """True where one replica is not enough."""

    @property
    @abstractmethod
    def one_pass(self) -> bool:
        """True where sums over parts of the examples can be merged (`traintwice.metrics.Accumulator`)."""

    @abstractmethod
    def value(self, predictions: Predictions) -> float:
        """The number alone: cheaper than `measure`."""

    @abstractmethod
    def measure(self, predictions: Predictions) -> Measurement:
        """The number with its rows, leave-one-out values and influences."""

    @abstractmethod
    def values(self, predictions: Predictions) -> Array:
        """Contributions ``[M, N]``; for a ratio the pair (numerator, denominator)."""

    @abstractmethod
    def bind(self, **options: Any) -> Definition:
        """The same metric with options fixed."""

    def missing(self, predictions: Predictions) -> str | None:
        """What these predictions lack for the metric, in words; None where nothing is missing."""
        if self.needs_labels and not predictions.has_labels:
            return "needs labels"
        if self.needs_scores and not predictions.has_scores:
            return "needs scores"
        if self.needs_probs and not predictions.has_probs and not (self.or_scores and predictions.has_scores):
            return "needs probabilities"
        if predictions.has_scores and not (self.needs_scores or self.or_scores):
            return "needs predicted labels"
        if self.binary and predictions.classes not in (None, 2):
            return f"needs two classes, there are {predictions.classes}"
        if self.ordered and predictions.replicas != 2:
            return f"compares one old with one new model, there are {predictions.replicas}"
        return None

    def check(self, predictions: Predictions) -> None:
        """Raise where the metric cannot be computed on these predictions."""
        if self.between_replicas:
            predictions.require_pairs(self.title)
        if self.ordered and predictions.replicas != 2:
            raise BadInput(
                f"{self.title}: got {predictions.replicas} replicas, expected 2: the old model first, the new one second "
                "(probs[[0, 3]] picks two)"
            )
        if self.binary and predictions.classes not in (None, 2):
            raise BadInput(
                f"{self.title}: got {predictions.classes} classes, expected 2; for one class against the rest pass the columns "
                "1 − p, p of that class"
            )

    def infinite(self, predictions: Predictions) -> str | None:
        """Where the number becomes infinite, for a report; None where it is finite."""
        return None


@dataclass(frozen=True)
class Conclusion:
    """What sums over all examples come to.

    Attributes:
        value, rows, dropped: as in `Measurement`.
        slopes: change of the value with each of the C means over examples, shape ``C``.
        centre: those means, shape ``C``.
    """

    value: float
    rows: np.ndarray
    dropped: np.ndarray | None
    slopes: np.ndarray
    centre: np.ndarray


class OnePass(Definition):
    """A metric that follows from sums over examples; the sums of parts add up to those of the whole."""

    @property
    def one_pass(self) -> bool:
        return True

    @abstractmethod
    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[Any, ...], np.ndarray]:
        """Sums over a block, each of which can be added to that of another, and what each example brings, shape ``C N``."""

    @abstractmethod
    def conclude(self, sums: tuple[Any, ...], replicas: int, weight: float) -> Conclusion:
        """What the sums over all examples, of that total weight, come to."""
