"""Errors of regressions against true values: mean absolute error, root mean squared error, mean error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._definition import Conclusion, Measurement, OnePass
from traintwice.metrics._functions import Metric, as_function, mean_metric
from traintwice.metrics._means import MeanOf
from traintwice.metrics._score_difference import one_score
from traintwice.predictions import Predictions
from traintwice.types import Array


def _errors(predictions: Predictions) -> Array:
    """Predicted minus true value, ``M N``."""
    xp, targets = predictions.xp, predictions.targets
    if targets is None:
        raise BadInput("this measure compares with true values and none were given; pass targets of shape (examples,)")
    if bool(xp.any(xp.isnan(targets))):
        raise BadInput(
            "targets: some examples have no true value (nan), expected one for each example; leave those examples out "
            "(predictions.where(~numpy.isnan(predictions.targets)))"
        )
    return one_score(predictions) - targets[None, :]


@mean_metric("mean absolute error", "replica", unit="number", needs_scores=True, needs_targets=True)
def mean_absolute_error(predictions: Predictions) -> Array:
    r"""Mean absolute difference between predicted and true value, mean over replicas.

        mean absolute error = mean over m and n of |f_mn − t_n|

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number >= 0 in units of the true value; ``values`` gives the contributions ``M N``. 0.05 reads: a prediction misses the true
        value by 0.05 on average.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition.
    Example:
        >>> mean_absolute_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 4.0]))
        1.5
    """
    return predictions.xp.abs(_errors(predictions))


@mean_metric("mean error", "replica", unit="number", scale="plain", needs_scores=True, needs_targets=True)
def mean_error(predictions: Predictions) -> Array:
    r"""Mean predicted minus mean true value, mean over replicas: the bias of a regression.

        mean error = mean over m and n of f_mn − t_n

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number of either sign in units of the true value; ``values`` gives the contributions ``M N``. 0.05 reads: predictions are 0.05
        too high on average. Errors of opposite sign cancel.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition.
    Example:
        >>> mean_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 4.0]))
        -0.5
    """
    return _errors(predictions)


def _squared_errors(predictions: Predictions) -> Array:
    return _errors(predictions) ** 2


@dataclass(frozen=True, kw_only=True)
class RootOfMean(OnePass):
    """The square root of a mean over replicas and examples."""

    mean: MeanOf

    @property
    def between_replicas(self) -> bool:
        return self.mean.between_replicas

    def bind(self, **options: Any) -> RootOfMean:
        return replace(self, mean=self.mean.bind(**options)) if options else self

    def values(self, predictions: Predictions) -> Array:
        raise BadInput(f"{self.title} is not a mean of contributions of single examples; `measure` gives its rows and influences")

    def value(self, predictions: Predictions) -> float:
        self.check(predictions)
        return float(np.sqrt(self.mean.value(predictions)))

    def measure(self, predictions: Predictions) -> Measurement:
        self.check(predictions)
        of_mean = self.mean.measure(predictions)
        value, slope = _root(of_mean.value)
        jackknife_values = None if of_mean.jackknife_values is None else np.sqrt(of_mean.jackknife_values)
        return Measurement.of(self, value, np.sqrt(of_mean.rows), jackknife_values, slope * of_mean.influence, predictions)

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[Any, ...], np.ndarray]:
        return self.mean.add(block, weight)

    def conclude(self, sums: tuple[Any, ...], replicas: int, weight: float) -> Conclusion:
        of_mean = self.mean.conclude(sums, replicas, weight)
        value, slope = _root(of_mean.value)
        jackknife_values = None if of_mean.jackknife_values is None else np.sqrt(of_mean.jackknife_values)
        return Conclusion(value, np.sqrt(of_mean.rows), jackknife_values, slope * of_mean.slopes, of_mean.centre)


def _root(mean: float) -> tuple[float, float]:
    """The square root and its slope; slope 0 at 0, where every contribution is 0."""
    value = float(np.sqrt(mean))
    return value, 0.5 / value if value > 0 else 0.0


def _root_of_mean(title: str, contributions: Callable[[Predictions], Array]) -> Callable[[Callable[..., None]], Metric]:
    """Decorate a function that only carries a docstring."""

    def decorate(described: Callable[..., None]) -> Metric:
        mean = MeanOf(contributions.__name__, title, needs_scores=True, needs_targets=True, contributions=contributions)
        definition = RootOfMean(
            name=described.__name__, title=title, unit="number", needs_scores=True, needs_targets=True, mean=mean
        )
        return as_function(definition, described)

    return decorate


@_root_of_mean("root mean squared error", _squared_errors)
def root_mean_squared_error() -> None:
    r"""Square root of the mean squared difference between predicted and true value, over all replicas.

        root mean squared error = sqrt(mean over m and n of (f_mn − t_n)²)

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number >= 0 in units of the true value, at least `mean_absolute_error`. 0.05 reads: a prediction misses the true value by
        about 0.05; large misses count more.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition. Ours: squared errors are averaged over replicas before the root, so the number is at least the mean of the
        replicas' own errors.
    Example:
        >>> root_mean_squared_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 3.0]))
        1.224744871391589
    """
