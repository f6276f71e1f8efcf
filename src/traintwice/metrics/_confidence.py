"""Margin between the two most probable classes: its distribution, and churn as a function of it (CH Fig. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.metrics._churn import same_vote
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._means import weights_of
from traintwice.predictions import Predictions
from traintwice.types import Array

MOST_BINS = 10**6
"""More bins than this say no more and take memory."""


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
    edges = np.arange(bins + 1) / bins
    weights = weights_of(p)
    weights = np.ones(p.examples) if weights is None else weights
    count, changed = np.zeros(bins), np.zeros(bins)
    for start, stop, block in p.blocks():
        bin_of = np.searchsorted(edges[1:-1], to_numpy(block.confidence), side="left").ravel()
        weight = np.broadcast_to(weights[start:stop], (p.replicas, stop - start)).ravel()
        differs = (p.replicas - to_numpy(same_vote(block.xp, block.votes)).astype(np.float64).ravel()) / (p.replicas - 1)
        count += np.bincount(bin_of, weights=weight, minlength=bins)
        changed += np.bincount(bin_of, weights=weight * differs, minlength=bins)
    churn = np.divide(changed, count, out=np.full(bins, np.nan), where=count > 0)
    return ConfidenceBins(edges, count / count.sum(), churn)
