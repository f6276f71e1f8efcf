"""Expected calibration error, in bins of equal width or of equal mass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._definition import Conclusion, Measurement, OnePass, leave_one_out, to_numpy
from traintwice.metrics._functions import Metric, as_function, non_streaming_metric
from traintwice.metrics._means import total_weight, weights_of
from traintwice.metrics._non_streaming import WholeResult
from traintwice.predictions import Predictions
from traintwice.statistics._special import erf
from traintwice.types import Array


@dataclass(frozen=True)
class CalibrationError(OnePass):
    """Sums of correct − confidence in each bin of each replica, and of the variance that chance gives them."""

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
        raise BadInput(
            f"{self.title} is not a mean of contributions of single examples; `measure` gives the rows of the replicas"
        )

    def value(self, predictions: Predictions) -> float:
        return self.measure(predictions).value

    def measure(self, predictions: Predictions) -> Measurement:
        weights = weights_of(predictions)
        parts = (self.add(b, None if weights is None else weights[i:j])[0][0] for i, j, b in predictions.blocks())
        done = self.conclude((reduce(add, parts),), predictions.replicas, total_weight(predictions, weights))
        return Measurement.of(
            self, done.value, done.rows, done.jackknife_values, np.full(predictions.examples, np.nan), predictions
        )

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        correct, confidence = _correct_and_confidence(block)
        edges = np.arange(1, self.bins) / self.bins
        bin_of = np.searchsorted(edges, confidence, side="left")  # an edge belongs to the bin below it: (l, u]
        w = np.ones(block.examples) if weight is None else weight
        gaps = _totals(bin_of, correct - confidence, w, self.bins)
        by_chance = _totals(bin_of, confidence * (1 - confidence), w * w, self.bins)
        return (np.concatenate([gaps, by_chance], axis=1),), np.zeros((0, block.examples))

    def conclude(self, sums: tuple[np.ndarray, ...], replicas: int, weight: float) -> Conclusion:
        rows = np.abs(sums[0][:, : self.bins]).sum(axis=1) / weight
        value = float(rows.mean())
        return Conclusion(value, rows, leave_one_out("replica", value, rows), np.zeros(0), np.zeros(0))

    def chance(self, sums: tuple[np.ndarray, ...], weight: float) -> tuple[float, float]:
        r"""The error that perfect calibration would show on average, and the error less what chance adds to it.

            expected = Σ_b sqrt(2/π) s_b / N,   s_b² = Σ_{n in b} conf_n (1 − conf_n);   debiased = max(Σ_b 2|g_b| − E|g_b + s_b Z|, 0) / N,
            g_b the sum of correct − confidence in bin b, Z standard normal; each a mean over replicas

        Source:
            Kumar et al. 2019 (debiasing). Ours: a normal distribution replaces simulated labels.
        """
        gap, spread = np.abs(sums[0][:, : self.bins]), np.sqrt(sums[0][:, self.bins :])
        expected = math.sqrt(2 / math.pi) * spread
        ratio = np.divide(gap, spread, out=np.full(gap.shape, np.inf), where=spread > 0)
        with_chance = expected * np.exp(-(ratio**2) / 2) + gap * erf(ratio / math.sqrt(2))
        debiased = np.maximum((2 * gap - with_chance).sum(axis=1), 0.0)
        return float(expected.sum(axis=1).mean() / weight), float(debiased.mean() / weight)


def _correct_and_confidence(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    return to_numpy(predictions.correct), to_numpy(predictions.top)


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
        return as_function(
            CalibrationError(described.__name__, title, scale="none", needs_labels=True, needs_probs=True, or_top=True), described
        )

    return decorate


@_binned("ECE")
def calibration_error() -> None:
    r"""Expected calibration error: difference between confidence and accuracy, over bins of confidence, mean over replicas.

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
        Guo et al. 2017; CH Table 4. Ours: 15 bins; no example part and no interval, see `CalibrationError.chance` for what chance
        adds.
    Example:
        >>> round(calibration_error(np.array([[[0.9, 0.1], [0.8, 0.2]]]), np.array([0, 1])), 12)
        0.45
    """


@non_streaming_metric("ECE, equal mass", "replica", scale="none", needs_labels=True, needs_probs=True, or_top=True)
def calibration_error_equal_mass(predictions: Predictions, *, bins: int = 15) -> WholeResult:
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
    return WholeResult(float(rows.mean()), rows, influence if weights is None else influence * weights * (len(weights) / total))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray | None, shares: np.ndarray) -> np.ndarray:
    """Smallest value at or below which each share of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(np.ones(len(values)) if weights is None else weights[order])
    return np.asarray(values[order][np.searchsorted(below, shares * below[-1], side="left")])
