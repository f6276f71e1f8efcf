"""Metrics: a number, the number of each replica, the number without each replica, the influence of each example.

Most metrics are means of contributions ``[M, N]``, or ratios of such means (`traintwice.metrics._means`): they need one pass
over the examples and can be summed in parts. The others read all examples together (`traintwice.metrics._functions`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from traintwice._arrays import to_numpy as to_numpy
from traintwice.errors import BadInput
from traintwice.metrics._summaries import MEAN, Estimator, Quotient, Summary, influence_variance, sums_of
from traintwice.predictions import Predictions
from traintwice.statistics._inference import Scale
from traintwice.types import Array

Kind = Literal["replica", "pair", "deviation"]
"""How a metric changes when a replica leaves. ``replica``: it is a mean over replicas. ``pair``: it is a mean over pairs of
replicas, and a row is the mean over the pairs with that replica. ``deviation``: it depends on all replicas together and is
computed again without the one that leaves."""

Unit = Literal["fraction", "number"]
"""``fraction``: in [0, 1] and shown as a percentage by reports. ``number``: shown as it is."""


@dataclass(frozen=True, kw_only=True)
class Measurement(Summary):
    """A metric of predictions in memory: its summary, and the influence of each example.

    Attributes:
        influence: first-order change of the number with each example, shape ``N``, mean zero; its variance / N is
            the example part of the interval. All nan where the metric has none, and says so.
        clusters: of the examples, shape ``N``; None where examples are units.
    """

    influence: np.ndarray
    clusters: np.ndarray | None = None

    @classmethod
    def of(cls, summary: Summary, influence: np.ndarray, clusters: np.ndarray | None = None) -> Measurement:
        """A summary with the influence of each example."""
        return cls(**vars(summary), influence=influence, clusters=clusters)

    def variance_of(self, influence: np.ndarray) -> tuple[float, int]:
        """The example part of the variance of a number with these influences on the same examples, and the number of units."""
        return influence_variance(influence, self.clusters, None if self.clustered else self.effective)

    @property
    def summary(self) -> Summary:
        """The number and what its interval needs: the measurement itself."""
        return self


def leave_one_out(kind: Kind, value: float, rows: np.ndarray) -> np.ndarray | None:
    """The value without each replica, where it follows from the rows of the replicas; None where it does not.

        mean over replicas: (Mθ − R_m)/(M − 1);   mean over pairs: (Mθ − 2R_m)/(M − 2), R_m the mean over the pairs with replica m

    >>> leave_one_out("pair", 0.5, np.array([0.5, 0.75, 0.25]))
    array([0.5, 0. , 1. ])
    """
    m, others = len(rows), {"replica": 1, "pair": 2, "deviation": 0}[kind]
    if not others or m <= others:
        return None
    with np.errstate(invalid="ignore"):
        return np.asarray((m * value - others * rows) / (m - others))


@dataclass(frozen=True)
class Definition(ABC):
    """Base class of a metric's definition.

    Attributes:
        name: as in Python and JSON.
        title: as in tables.
        unit: see `Unit`.
        scale: see `Scale`.
        limit: the largest value; None means 1 for a fraction, and none for a number.
        soft: it reads the size of probabilities, so it is never shown without churn and accuracy.
        needs_labels, needs_probs: what must be known of the predictions.
        or_top: the probabilities of the predicted and of the true label are enough.
        needs_scores: it reads scores (`Predictions.from_scores`) instead of probabilities.
        needs_outcomes: it reads the scores of answers (`Predictions.from_outcomes`).
        needs_targets: it compares scores with true values (``targets`` of `Predictions.from_scores`).
        or_scores: scores ``M N`` serve it as well as probabilities.
        binary: it reads the probability of one positive class, so there must be two classes.
        old_vs_new: it compares one old model (replica 0) with one new model (replica 1), so M is 2 and their order matters.
        kind: see `Kind`.
    """

    one_pass: ClassVar[bool]
    """True where sums over parts of the examples can be merged (`traintwice.metrics.Accumulator`)."""
    by_group: ClassVar[bool] = False
    """True where such sums give its value in every group of rows: a mean over rows, or a ratio of two such means."""

    name: str
    title: str
    unit: Unit = "fraction"
    scale: Scale = "log"
    limit: float | None = None
    soft: bool = False
    needs_labels: bool = False
    needs_probs: bool = False
    or_top: bool = False
    needs_scores: bool = False
    needs_outcomes: bool = False
    needs_targets: bool = False
    or_scores: bool = False
    binary: bool = False
    old_vs_new: bool = False
    kind: Kind = "replica"

    @property
    def most(self) -> float:
        """The largest value that the metric may have."""
        return self.limit if self.limit is not None else 1.0 if self.unit == "fraction" else math.inf

    @property
    def is_share(self) -> bool:
        """True where the number of two models or fewer is a share of rows."""
        return False

    @property
    def between_replicas(self) -> bool:
        """True where one replica is not enough."""
        return self.kind != "replica"

    @abstractmethod
    def value(self, predictions: Predictions) -> float:
        """The number alone: cheaper than `measure`."""

    @abstractmethod
    def measure(self, predictions: Predictions) -> Measurement:
        """The number with its rows, leave-one-out values and influences."""

    def values(self, predictions: Predictions) -> Array:
        """Contributions ``[M, N]``; for a ratio the pair (numerator, denominator)."""
        raise BadInput(
            f"{self.title} is not a mean of contributions of single examples; `measure` gives the rows of the replicas"
        )

    def bind(self, **options: Any) -> Self:
        """The same metric with options fixed."""
        if options:
            raise BadInput(f"{self.name} takes no options, got {', '.join(options)}")
        return self

    def estimator(self, *quotients: Quotient) -> Estimator:
        """The metric as quotients of sums."""
        return Estimator(quotients, self.scale, self.is_share, self.most)

    def of_influence(
        self,
        value: float,
        rows: np.ndarray,
        jackknife_values: np.ndarray | None,
        influence: np.ndarray,
        predictions: Predictions,
    ) -> Measurement:
        """The measurement of a number, its example part summed over the clusters of the predictions where they have some."""
        clusters = None if predictions.clusters is None else to_numpy(predictions.clusters)
        weights, each = None if predictions.weights is None else to_numpy(predictions.weights), influence
        if weights is not None:  # the influence of an example holds its weight
            each = np.divide(influence, weights, out=np.zeros(len(weights)), where=weights > 0) * weights.mean()
        (found,) = self.estimator(MEAN).summaries(sums_of(each[None], weights, clusters), len(rows))
        return Measurement.of(found.of_models(value, rows, jackknife_values), influence, clusters)

    def predictions_of(
        self, predictions: Predictions | Array, labels: Array | None = None, weights: Array | None = None
    ) -> Predictions:
        """Arrays as the predictions that the metric reads; `Predictions` as they are.

        Raises:
            BadInput: see `Predictions`; labels where the metric reads scores of answers.
        """
        if isinstance(predictions, Predictions) or not (self.needs_scores or self.needs_targets or self.needs_outcomes):
            return Predictions.of(predictions, labels, weights)
        if self.needs_targets:
            return Predictions.from_scores(predictions, None, weights, targets=labels)
        if self.needs_scores:
            return Predictions.from_scores(predictions, labels, weights)
        if labels is not None:
            raise BadInput(f"{self.title}: got labels; it reads the scores of answers alone")
        return Predictions.from_outcomes(predictions, None, weights)

    def missing(self, predictions: Predictions) -> str | None:
        """The reason why the metric has no value on these predictions; None if it has one."""
        if self.needs_labels and not predictions.has_labels:
            return "needs labels" if predictions.known.labels is None else "needs a label in every row"
        if self.needs_scores and not predictions.has_scores:
            return "needs scores"
        if self.needs_outcomes and not predictions.has_outcomes:
            return "needs outcomes (an evaluation log, or correct=)"
        if self.needs_outcomes and not predictions.has_labels:
            return "needs a score in every row"
        if self.needs_targets and predictions.targets is None:
            return "needs true values (label)"
        known = predictions.has_probs or (self.or_top and predictions.has_top) or (self.or_scores and predictions.has_scores)
        if self.needs_probs and not known:
            return "needs the probabilities of all classes" if predictions.has_top else "needs probabilities"
        if predictions.has_scores and not (self.needs_scores or self.or_scores):
            return "needs predicted labels"
        if self.binary and predictions.classes not in (None, 2):
            return f"needs two classes, there are {predictions.classes}"
        if self.old_vs_new and predictions.replicas != 2:
            return f"compares one old with one new model, there are {predictions.replicas}"
        return None

    def check(self, predictions: Predictions) -> None:
        """Raise where the metric cannot be computed on these predictions."""
        if self.between_replicas:
            predictions.require_pairs(self.title)
        if self.old_vs_new and predictions.replicas != 2:
            raise BadInput(
                f"{self.title}: got {predictions.replicas} replicas, expected 2: the old model first, the new one second "
                "(probs[[0, 3]] picks two)"
            )
        if self.binary and predictions.classes not in (None, 2):
            raise BadInput(
                f"{self.title}: got {predictions.classes} classes, expected 2; for one class against the rest pass the columns "
                "1 − p, p of that class"
            )
