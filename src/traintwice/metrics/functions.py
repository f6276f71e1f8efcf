"""Decorators that turn a function of `Predictions` into a metric that is called on arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from traintwice.metrics.definition import Definition, Kind, MeanOf, Measurement, RatioOf, Unit
from traintwice.predictions import Predictions
from traintwice.types import Array


class Metric(Protocol):
    """A metric as its user sees it: ``churn(probs)`` is a float, ``churn.values(probs)`` the contributions."""

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
    unit: Unit = "fraction",
    soft: bool = False,
    needs_labels: bool = False,
    needs_probs: bool = False,
) -> Callable[[Callable[..., Array]], Metric]:
    """Decorate a function ``Predictions -> [M, N]`` whose mean is the metric."""

    def decorate(contributions: Callable[..., Array]) -> Metric:
        definition = MeanOf(
            contributions.__name__, title, unit, soft, needs_labels, needs_probs, kind=kind, contributions=contributions
        )
        return _as_function(definition, contributions)

    return decorate


def ratio_metric(title: str, numerator: Metric, denominator: Metric, *, unit: Unit) -> Callable[[Callable[..., None]], Metric]:
    """Decorate a function that only carries a docstring: the metric is the quotient of the two given."""

    def decorate(described: Callable[..., None]) -> Metric:
        top, bottom = numerator.definition, denominator.definition
        definition = RatioOf(
            name=described.__name__,
            title=title,
            unit=unit,
            needs_labels=top.needs_labels or bottom.needs_labels,
            needs_probs=top.needs_probs or bottom.needs_probs,
            numerator=top,
            denominator=bottom,
        )
        return _as_function(definition, described)

    return decorate


def _as_function(definition: Definition, described_by: Callable[..., Any]) -> Metric:
    def measure(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Measurement:
        return definition.bind(**options).measure(Predictions.of(predictions, labels))

    def values(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Array:
        return definition.bind(**options).values(Predictions.of(predictions, labels))

    @wraps(described_by)
    def call(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> float:
        return measure(predictions, labels, **options).value

    function: Any = call
    function.definition, function.values, function.measure = definition, values, measure
    return function  # type: ignore[no-any-return]
