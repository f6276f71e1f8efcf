"""Whether confidence is honest: expected calibration error, in bins of equal width or of equal mass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics.definition import Conclusion, Measurement, OnePass, to_numpy
from traintwice.metrics.functions import Metric, as_function, whole_metric
from traintwice.metrics.means import total_weight, weights_of
from traintwice.metrics.whole import Whole
from traintwice.predictions import Predictions
from traintwice.types import Array


@dataclass(frozen=True)
class CalibrationError(OnePass):
    """Sums of correct − confidence in each bin of each replica, and the sum of their sizes."""

    bins: int = 15

    @property
    def options(self) -> tuple[tuple[str, Any], ...]:
        """Bound options, by name."""
        return (("bins", self.bins),)

    @property
    def between_replicas(self) -> bool:
        return False

    def bind(self, **options: Any) -> CalibrationError:
        return _checked(replace(self, **options))

    def values(self, predictions: Predictions) -> Array:
        raise BadInput(f"{self.title} is not a mean of contributions of single examples; `measure` gives its rows and influences")

    def value(self, predictions: Predictions) -> float:
        weights = weights_of(predictions)
        totals = self._totals(predictions, weights)
        return self.conclude((totals,), predictions.replicas, total_weight(predictions, weights)).value

    def measure(self, predictions: Predictions) -> Measurement:
        weights, influence = weights_of(predictions), np.empty(predictions.examples)
        totals, weight = self._totals(predictions, weights), total_weight(predictions, weights)
        done = self.conclude((totals,), predictions.replicas, weight)
        for start, stop, block in predictions.blocks():
            influence[start:stop] = _signed(totals, *self._gaps(block)) - done.value
        if weights is not None:
            influence *= weights * (len(weights) / weight)
        return Measurement(done.value, done.rows, done.dropped, influence)

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        bin_of, gap = self._gaps(block)
        of_example = np.zeros((block.replicas, self.bins, block.examples))
        np.put_along_axis(of_example, bin_of[:, None, :], gap[:, None, :], axis=1)
        return (_totals(bin_of, gap, weight, self.bins),), of_example.reshape(-1, block.examples)

    def conclude(self, sums: tuple[np.ndarray, ...], replicas: int, weight: float) -> Conclusion:
        rows = np.abs(sums[0]).sum(axis=1) / weight
        value = float(rows.mean())
        dropped = (replicas * value - rows) / (replicas - 1) if replicas > 1 else None
        return Conclusion(value, rows, dropped, np.sign(sums[0]).ravel() / replicas, sums[0].ravel() / weight)

    def _gaps(self, block: Predictions) -> tuple[np.ndarray, np.ndarray]:
        correct, confidence = _correct_and_confidence(block)
        edges = np.arange(1, self.bins) / self.bins
        return np.searchsorted(
            edges, confidence, side="left"
        ), correct - confidence  # an edge belongs to the bin below it: (l, u]

    def _totals(self, predictions: Predictions, weights: np.ndarray | None) -> np.ndarray:
        parts = []
        for start, stop, block in predictions.blocks():
            parts.append(_totals(*self._gaps(block), None if weights is None else weights[start:stop], self.bins))
        return np.asarray(reduce(add, parts))


def _correct_and_confidence(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    return to_numpy(predictions.correct), to_numpy(predictions.xp.max(predictions.by_class, axis=1))


def _totals(bin_of: np.ndarray, gap: np.ndarray, weight: np.ndarray | None, bins: int) -> np.ndarray:
    """Weighted sum of the gaps in each bin of each replica, ``M B``."""
    weighted = gap if weight is None else gap * weight
    return np.array([np.bincount(b, weights=g, minlength=bins) for b, g in zip(bin_of, weighted, strict=True)])


def _signed(totals: np.ndarray, bin_of: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Mean over replicas of each example's gap, counted as its bin counts, ``N``."""
    return np.asarray((np.take_along_axis(np.sign(totals), bin_of, axis=1) * gap).mean(axis=0))


def _checked(definition: CalibrationError) -> CalibrationError:
    if definition.bins < 1:
        raise BadInput(f"{definition.name}: got {definition.bins} bins, expected at least 1")
    return definition


def _binned(title: str) -> Callable[[Callable[..., None]], Metric]:
    """Decorate a function that only carries a docstring."""

    def decorate(described: Callable[..., None]) -> Metric:
        return as_function(CalibrationError(described.__name__, title, needs_labels=True, needs_probs=True), described)

    return decorate


@_binned("ECE")
def calibration_error() -> None:
    r"""Expected calibration error: how far confidence lies from accuracy, over bins of confidence, mean over replicas.

        ECE = Σ_b |B_b|/N · |accuracy(B_b) − confidence(B_b)|, bins (l, u] of the largest probability, of equal width

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
        bins: how many, over (0, 1].
    Returns:
        A number in [0, 1]. 0.05 reads: predictions made with confidence 0.9 are right about 85 or 95 times in 100. The estimate
        is biased upwards where bins hold few examples.
    Raises:
        BadInput: no labels, no probabilities, or fewer than one bin.
    Source:
        Guo et al. 2017; CH Table 4. Ours: 15 bins; the influence of an example holds the sign of each bin's gap fixed.
    Example:
        >>> round(calibration_error(np.array([[[0.9, 0.1], [0.8, 0.2]]]), np.array([0, 1])), 12)
        0.45
    """


@whole_metric("ECE, equal mass", "replica", needs_labels=True, needs_probs=True)
def calibration_error_equal_mass(predictions: Predictions, *, bins: int = 15) -> Whole:
    r"""Expected calibration error over bins that hold the same share of the examples, mean over replicas.

        ECE = Σ_b |B_b|/N · |accuracy(B_b) − confidence(B_b)|, bins (l, u] between quantiles of each replica's confidence

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
        bins: how many.
    Returns:
        A number in [0, 1], read as `calibration_error`; its bins are never nearly empty.
    Raises:
        BadInput: no labels, no probabilities, or fewer than one bin.
    Source:
        Guo et al. 2017 with bins of equal mass. Ours: equal confidences stay in one bin; the influence of an example holds the
        bins and the sign of each bin's gap fixed. Not one-pass: quantiles need an order.
    Example:
        >>> round(calibration_error_equal_mass(np.array([[[0.9, 0.1], [0.8, 0.2]]]), np.array([0, 1]), bins=2), 12)
        0.45
    """
    if bins < 1:
        raise BadInput(f"calibration_error_equal_mass: got {bins} bins, expected at least 1")
    weights, (correct, confidence) = weights_of(predictions), _correct_and_confidence(predictions)
    total = total_weight(predictions, weights)
    shares = np.arange(1, bins) / bins
    bin_of = np.array([np.searchsorted(weighted_quantiles(row, weights, shares), row, side="left") for row in confidence])
    totals = _totals(bin_of, correct - confidence, weights, bins)
    rows = np.abs(totals).sum(axis=1) / total
    influence = _signed(totals, bin_of, correct - confidence) - rows.mean()
    return Whole(float(rows.mean()), rows, influence if weights is None else influence * weights * (len(weights) / total))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray | None, shares: np.ndarray) -> np.ndarray:
    """Smallest value at or below which each share of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(np.ones(len(values)) if weights is None else weights[order])
    return np.asarray(values[order][np.searchsorted(below, shares * below[-1], side="left")])
