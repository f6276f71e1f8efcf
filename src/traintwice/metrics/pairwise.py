"""Absolute differences between replicas, and the pairwise L1 distance."""

from __future__ import annotations

from typing import Any

from traintwice.metrics.functions import mean_metric
from traintwice.predictions import Predictions
from traintwice.types import Array

PAIRS_UP_TO = 20
"""Up to this many replicas, adding pairs is faster than sorting."""


def mean_absolute_difference(xp: Any, values: Array) -> Array:
    """Mean over the other replicas of Σ_k |x_mnk − x_bnk|, shape ``M N``, from values ``M N K``.

    Ours: pairs up to 20 replicas; beyond, Σ_b |x_(r) − x_b| = (2r − M) x_(r) + total − 2·(sum of the r smallest), r from 1.
    """
    replicas = int(values.shape[0])
    if replicas <= PAIRS_UP_TO:
        rows: list[Array] = [xp.zeros(values.shape[1], dtype=values.dtype) for _ in range(replicas)]
        for a in range(replicas):
            for b in range(a + 1, replicas):
                distance = xp.sum(xp.abs(values[a, ...] - values[b, ...]), axis=1)
                rows[a] = rows[a] + distance
                rows[b] = rows[b] + distance
        return xp.stack(rows, axis=0) / (replicas - 1)
    order = xp.argsort(values, axis=0)
    ordered = xp.take_along_axis(values, order, axis=0)
    below = xp.cumulative_sum(ordered, axis=0)
    rank = xp.reshape(xp.arange(1, replicas + 1, dtype=values.dtype), (replicas, 1, 1))
    distances = (2 * rank - replicas) * ordered + below[-1:, ...] - 2 * below
    place = xp.argsort(order, axis=0)
    return xp.sum(xp.take_along_axis(distances, place, axis=0), axis=2) / (replicas - 1)


@mean_metric("pairwise L1", "pair", unit="number", soft=True, needs_probs=True)
def pairwise_l1(predictions: Predictions) -> Array:
    r"""L1 distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of Σ_k |P_ank − P_bnk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2], twice the total variation distance; ``values`` gives the contributions ``M N``. 0.1 reads: two
        trainings move 5 hundredths of probability from some classes to others. Unlike Δ1 its expectation does not depend on
        M, so it is the one to compare between numbers of replicas.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        The distance inside CH eq. (4) and Lemma 2, without the scaling.
    Example:
        >>> round(pairwise_l1(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.6
    """
    return mean_absolute_difference(predictions.xp, predictions.probs)
