"""Decorators that turn a function of `Predictions` into a metric that is called on arrays; metrics of all examples together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, NamedTuple, Protocol

import numpy as np

from traintwice._typed import check_arguments
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics._definition import Definition, Kind, Measurement, Unit, leave_one_out
from traintwice.metrics._means import MeanOf, RatioOf
from traintwice.predictions import Predictions
from traintwice.statistics._inference import Scale
from traintwice.types import Array


class WholeResult(NamedTuple):
    """Result of a metric that reads all examples together.

    Attributes:
        value: the number.
        rows: of each replica, shape ``M``.
        influence: of each example, shape ``N``; None where no first-order influence exists or is known.
    """

    value: float
    rows: np.ndarray
    influence: np.ndarray | None


@dataclass(frozen=True)
class NonStreaming(Definition):
    """A metric computed from all examples at once; its sums over parts do not merge.

    Attributes:
        compute: a function from `Predictions` to `WholeResult`.
        weighted: False where weights of examples have no meaning for it.
        options: bound keyword arguments of ``compute``.
    """

    one_pass = False

    compute: Callable[..., WholeResult] = lambda predictions: WholeResult(0.0, np.zeros(predictions.replicas), None)
    weighted: bool = True
    options: tuple[tuple[str, Any], ...] = ()

    def bind(self, **options: Any) -> NonStreaming:
        check_arguments(self.compute, options)
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items()))) if options else self

    def missing(self, predictions: Predictions) -> str | None:
        if predictions.weights is not None and not self.weighted:
            return "has no weighted form"
        return super().missing(predictions)

    def value(self, predictions: Predictions) -> float:
        return self._whole(predictions).value

    def measure(self, predictions: Predictions) -> Measurement:
        if not self.needs_probs:
            predictions = predictions.without_probs()
        value, rows, influence = self._whole(predictions)
        if influence is None:
            influence = np.full(predictions.examples, np.nan)
        return self.of_influence(value, rows, self._jackknife_values(predictions, value, rows), influence, predictions)

    def _whole(self, predictions: Predictions) -> WholeResult:
        self.check(predictions)
        if predictions.weights is not None and not self.weighted:
            raise BadInput(f"{self.title} has no weighted form here; leave the weights out")
        return self.compute(predictions, **dict(self.options))

    def _jackknife_values(self, predictions: Predictions, value: float, rows: np.ndarray) -> np.ndarray | None:
        replicas = len(rows)
        if self.kind != "deviation" or replicas < 3:
            return leave_one_out(self.kind, value, rows)
        try:
            return np.array([self.value(predictions.without(m)) for m in range(replicas)])
        except TooFewReplicas:
            return None


class Metric(Protocol):
    """A metric as its user sees it: ``churn(probs)`` is a float, ``churn.values(probs)`` the contributions.

    All metrics may be called with labels; those that do not name them among their arguments ignore them.
    """

    definition: Definition
    __name__: str

    def __call__(self, predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> float:
        """The number."""

    def values(self, predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Array:
        """Contributions ``[M, N]`` whose mean is the number (two such arrays for a ratio)."""

    def measure(self, predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Measurement:
        """The number with its rows, leave-one-replica-out values and influences."""


def mean_metric(
    title: str,
    kind: Kind,
    *,
    counts_out_of: Callable[[int], int] | None = None,
    total: Callable[..., float] | None = None,
    **needs: Any,
) -> Callable[[Callable[..., Array]], Metric]:
    """Decorate a function ``Predictions -> [M, N]`` whose mean is the metric.

    Args:
        title: as in tables.
        kind: see `Kind`.
        counts_out_of: where the function returns counts, what divides them, from the number of replicas.
        total: a faster way to the sum of all contributions, with the same arguments.
        needs: ``unit``, ``soft`` and what the predictions must have, see `Definition`.
    """

    def decorate(contributions: Callable[..., Array]) -> Metric:
        how: Any = {"kind": kind, "contributions": contributions, "counts_out_of": counts_out_of, "total": total}
        return as_function(MeanOf(contributions.__name__, title, **needs, **how))(contributions)

    return decorate


def non_streaming_metric(
    title: str, kind: Kind, *, weighted: bool = True, **needs: Any
) -> Callable[[Callable[..., WholeResult]], Metric]:
    """Decorate a function ``Predictions -> WholeResult`` that reads all examples together."""

    def decorate(compute: Callable[..., WholeResult]) -> Metric:
        return as_function(NonStreaming(compute.__name__, title, **needs, kind=kind, compute=compute, weighted=weighted))(compute)

    return decorate


def ratio_metric(
    title: str, numerator: Metric, denominator: Metric, *, unit: Unit, scale: Scale = "log", limit: float | None = None
) -> Callable[[Callable[..., None]], Metric]:
    """Decorate a function that only carries a docstring: the metric is the quotient of the two given."""

    def decorate(described: Callable[..., None]) -> Metric:
        top, bottom = numerator.definition, denominator.definition
        if not (isinstance(top, MeanOf) and isinstance(bottom, MeanOf)):
            raise BadInput(
                f"{described.__name__}: a ratio is made of two means, got {numerator.__name__}, {denominator.__name__}"
            )
        needs: Any = {name: getattr(top, name) or getattr(bottom, name) for name in ("needs_labels", "needs_probs", "old_vs_new")}
        ratio = RatioOf(described.__name__, title, unit, scale, limit, **needs, numerator=top, denominator=bottom)
        return as_function(ratio)(described)

    return decorate


def as_function(definition: Definition) -> Callable[[Callable[..., Any]], Metric]:
    """Decorate a function: the metric of this definition as its user calls it, with the name and docstring of the function."""

    def measure(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Measurement:
        return definition.bind(**options).measure(definition.predictions_of(predictions, labels))

    def values(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Array:
        return definition.bind(**options).values(definition.predictions_of(predictions, labels))

    def decorate(described: Callable[..., Any]) -> Metric:
        @wraps(described)
        def call(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> float:
            return definition.bind(**options).value(definition.predictions_of(predictions, labels))

        function: Any = call
        function.definition, function.values, function.measure = definition, values, measure
        return function  # type: ignore[no-any-return]

    return decorate
