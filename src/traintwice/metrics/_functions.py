"""Decorators that turn a function of `Predictions` into a metric that is called on arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from traintwice.errors import BadInput
from traintwice.metrics._definition import Definition, Kind, Measurement, Scale, Unit
from traintwice.metrics._means import MeanOf, RatioOf
from traintwice.metrics._non_streaming import NonStreaming, WholeResult
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
        definition = MeanOf(
            contributions.__name__,
            title,
            **needs,
            kind=kind,
            contributions=contributions,
            counts_out_of=counts_out_of,
            total=total,
        )
        return as_function(definition, contributions)

    return decorate


def non_streaming_metric(
    title: str, kind: Kind, *, weighted: bool = True, **needs: Any
) -> Callable[[Callable[..., WholeResult]], Metric]:
    """Decorate a function ``Predictions -> WholeResult`` that reads all examples together."""

    def decorate(compute: Callable[..., WholeResult]) -> Metric:
        return as_function(NonStreaming(compute.__name__, title, **needs, kind=kind, compute=compute, weighted=weighted), compute)

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
        definition = RatioOf(
            name=described.__name__,
            title=title,
            unit=unit,
            scale=scale,
            limit=limit,
            needs_labels=top.needs_labels or bottom.needs_labels,
            needs_probs=top.needs_probs or bottom.needs_probs,
            old_vs_new=top.old_vs_new or bottom.old_vs_new,
            numerator=top,
            denominator=bottom,
        )
        return as_function(definition, described)

    return decorate


def as_function(definition: Definition, described_by: Callable[..., Any]) -> Metric:
    """The metric as its user calls it, with the name and docstring of ``described_by``."""

    def measure(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Measurement:
        return definition.bind(**options).measure(definition.predictions_of(predictions, labels))

    def values(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> Array:
        return definition.bind(**options).values(definition.predictions_of(predictions, labels))

    @wraps(described_by)
    def call(predictions: Predictions | Array, labels: Array | None = None, **options: Any) -> float:
        return definition.bind(**options).value(definition.predictions_of(predictions, labels))

    function: Any = call
    function.definition, function.values, function.measure = definition, values, measure
    return function  # type: ignore[no-any-return]
