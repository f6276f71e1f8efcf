"""Bins of confidence: expected calibration error, in bins of equal width or of equal mass, and churn by confidence (CH Fig. 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.metrics._churn import same_vote
from traintwice.metrics._definition import leave_one_out, to_numpy
from traintwice.metrics._functions import WholeResult, as_function, non_streaming_metric
from traintwice.metrics._means import Conclusion, OnePass, Sums, each_weight
from traintwice.metrics._summaries import Estimator
from traintwice.predictions import Predictions
from traintwice.statistics._special import erf
from traintwice.types import Array

MOST_BINS = 10**6
"""More bins than this say no more and take memory."""


@dataclass(frozen=True)
class CalibrationError(OnePass):
    """Sums of correct − confidence in each bin of each replica, and of the variance that chance gives them."""

    bins: int = 15

    @property
    def options(self) -> tuple[tuple[str, Any], ...]:
        """Bound options, by name."""
        return (("bins", self.bins),)

    def bind(self, **options: Any) -> CalibrationError:
        found = replace(self, **options)
        if found.bins < 1:
            raise BadInput(f"{self.name}: got {found.bins} bins, expected at least 1")
        return found

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[Sums, np.ndarray]:
        correct, confidence = to_numpy(block.correct), to_numpy(block.top)
        edges = np.arange(1, self.bins) / self.bins
        bin_of = np.searchsorted(edges, confidence, side="left")  # an edge belongs to the bin below it: (l, u]
        w = np.ones(block.examples) if weight is None else weight
        gaps = _totals(bin_of, (correct - confidence) * w, self.bins)
        by_chance = _totals(bin_of, confidence * (1 - confidence) * (w * w), self.bins)
        return (np.concatenate([gaps, by_chance], axis=1),), np.zeros((0, block.examples))

    def conclude(self, sums: Sums, replicas: int, weight: float) -> Conclusion:
        rows = np.abs(sums[0][:, : self.bins]).sum(axis=1) / weight
        value = float(rows.mean())
        return Conclusion(value, rows, leave_one_out("replica", value, rows))

    def of(self, value: float = 0.0) -> Estimator:
        return self.estimator((1.0, np.zeros(1), np.ones(1)))  # no quantities of single examples

    def chance(self, sums: Sums, weight: float) -> tuple[float, float]:
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


def _totals(bin_of: np.ndarray, weighted: np.ndarray, bins: int) -> np.ndarray:
    """Sum of weighted gaps in each bin of each replica, ``M B``."""
    return np.array([np.bincount(b, weights=g, minlength=bins) for b, g in zip(bin_of, weighted, strict=True)])


_READS: dict[str, Any] = {"scale": "none", "needs_labels": True, "needs_probs": True, "or_top": True}


@as_function(CalibrationError("calibration_error", "ECE", **_READS))
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


@non_streaming_metric("ECE, equal mass", "replica", **_READS)
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
    weights, confidence = each_weight(predictions), to_numpy(predictions.top)
    gap, total, shares = to_numpy(predictions.correct) - confidence, weights.sum(), np.arange(1, bins) / bins
    bin_of = np.array([np.searchsorted(weighted_quantiles(row, weights, shares), row, side="left") for row in confidence])
    totals = _totals(bin_of, gap * weights, bins)
    rows = np.abs(totals).sum(axis=1) / total
    value = float(rows.mean())
    of_example = (np.take_along_axis(np.sign(totals), bin_of, axis=1) * gap).mean(axis=0) - value  # each gap counts as its bin
    return WholeResult(value, rows, of_example * weights * (len(weights) / total))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Smallest value at or below which each share of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(below, shares * below[-1], side="left")])


@dataclass(frozen=True)
class ConfidenceBins:
    """Predictions by confidence γ, in bins (l, u]; γ = 0 belongs to the first.

    Attributes:
        edges: of the bins, shape ``B + 1``.
        share: share of all predictions in each bin, shape ``B``; they sum to 1.
        churn: how often another replica gives another label than a prediction in the bin; nan where the bin is empty.
    """

    edges: np.ndarray
    share: np.ndarray
    churn: np.ndarray


@typed
def confidence_bins(predictions: Predictions | Array, *, bins: int = 10) -> ConfidenceBins:
    r"""Distribution of the confidence γ over predictions, and churn within each bin of it.

        γ_mn = largest minus second largest of P_mn;   churn of a bin = mean over its (m, n) of the share of others that disagree

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        bins: how many, of equal width over [0, 1].
    Returns:
        `ConfidenceBins`; share · churn summed over bins is `churn`.
    Raises:
        TooFewReplicas: one replica. BadInput: fewer than one bin or more than a million, or predicted labels instead of probabilities.
    Source:
        CH eq. (5) and Fig. 2 left. Ours: churn by bin.
    Example:
        >>> by_confidence = confidence_bins(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.9, 0.1], [0.4, 0.6]]]), bins=2)
        >>> by_confidence.share.tolist(), by_confidence.churn.tolist()
        ([0.5, 0.5], [1.0, 0.0])
    """
    p = Predictions.of(predictions)
    p.require_pairs("confidence bins")
    if not 1 <= bins <= MOST_BINS:
        raise BadInput(f"confidence_bins: got {bins} bins, expected 1 to {MOST_BINS:,}")
    edges, weights = np.arange(bins + 1) / bins, each_weight(p)
    count, changed = np.zeros(bins), np.zeros(bins)
    for start, stop, block in p.blocks():
        bin_of = np.searchsorted(edges[1:-1], to_numpy(block.confidence), side="left").ravel()
        weight = np.broadcast_to(weights[start:stop], (p.replicas, stop - start)).ravel()
        differs = (p.replicas - to_numpy(same_vote(block.xp, block.votes)).astype(np.float64).ravel()) / (p.replicas - 1)
        count += np.bincount(bin_of, weights=weight, minlength=bins)
        changed += np.bincount(bin_of, weights=weight * differs, minlength=bins)
    churn = np.divide(changed, count, out=np.full(bins, np.nan), where=count > 0)
    return ConfidenceBins(edges, count / count.sum(), churn)
