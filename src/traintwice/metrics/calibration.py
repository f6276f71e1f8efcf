"""Whether confidence is honest: expected calibration error."""

from __future__ import annotations

from typing import Literal

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics.definition import to_numpy
from traintwice.metrics.functions import whole_metric
from traintwice.metrics.means import weights_of
from traintwice.metrics.whole import Whole
from traintwice.predictions import Predictions


@whole_metric("ECE", "replica", needs_labels=True, needs_probs=True)
def calibration_error(
    predictions: Predictions, *, bins: int = 15, edges: Literal["equal-width", "equal-mass"] = "equal-width"
) -> Whole:
    r"""Expected calibration error: how far confidence lies from accuracy, over bins of confidence, mean over replicas.

        ECE = Σ_b |B_b|/N · |accuracy(B_b) − confidence(B_b)|, bins (l, u] of the largest probability

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
        bins: how many.
        edges: "equal-width" divides (0, 1]; "equal-mass" puts the same share of examples in each bin, of each replica.
    Returns:
        A number in [0, 1]. 0.05 reads: predictions made with confidence 0.9 are right about 85 or 95 times in 100. The estimate
        is biased upwards where bins hold few examples.
    Raises:
        BadInput: no labels, no probabilities, fewer than one bin, unknown edges.
    Source:
        Guo et al. 2017; CH Table 4. Ours: 15 bins of equal width; with equal mass, equal confidences stay in one bin; the
        influence of an example holds the bins and the sign of each bin's gap fixed. Not one-pass: equal-mass edges need an order.
    Example:
        >>> round(calibration_error(np.array([[[0.9, 0.1], [0.8, 0.2]]]), np.array([0, 1])), 12)
        0.45
    """
    if bins < 1 or edges not in ("equal-width", "equal-mass"):
        raise BadInput(
            f'calibration_error: got {bins} bins and edges "{edges}", expected bins >= 1, "equal-width" or "equal-mass"'
        )
    weights = weights_of(predictions)
    weights = np.ones(predictions.examples) if weights is None else weights
    correct, confidence = to_numpy(predictions.correct), to_numpy(predictions.xp.max(predictions.probs, axis=2))
    rows, influence = np.zeros(predictions.replicas), np.zeros(predictions.examples)
    for m in range(predictions.replicas):
        inner = np.arange(1, bins) / bins
        if edges == "equal-mass":
            inner = _quantiles(confidence[m], weights, inner)
        bin_of = np.searchsorted(inner, confidence[m], side="left")  # an edge belongs to the bin below it: (l, u]
        gap = correct[m] - confidence[m]
        total = np.bincount(bin_of, weights=weights * gap, minlength=bins)
        rows[m] = np.abs(total).sum() / weights.sum()
        influence += (np.sign(total)[bin_of] * gap - rows[m]) / predictions.replicas
    return Whole(float(rows.mean()), rows, weights * influence * (len(weights) / weights.sum()))


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Smallest value at or below which each share of the weight lies."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(below, shares * below[-1], side="left")])
