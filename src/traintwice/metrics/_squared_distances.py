"""Squared L2 and Hellinger distances between the probabilities of two replicas."""

from __future__ import annotations

from typing import Any

from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import sum_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


def _mean_squared_distance(xp: Any, values: Array) -> Array:
    """Mean over the other replicas of Σ_k (x_mkn − x_bkn)², ``M N``, from values ``M K N``, without forming pairs.

    Summed over b it is M·‖x_m − x̄‖² + Σ_b ‖x_b − x̄‖².
    """
    replicas = int(values.shape[0])
    own = xp.sum((values - xp.mean(values, axis=0)[None, ...]) ** 2, axis=1)
    return (replicas * own + xp.sum(own, axis=0)[None, :]) / (replicas - 1)


@mean_metric("squared L2", "pair", unit="number", soft=True, needs_probs=True)
def squared_l2(predictions: Predictions) -> Array:
    r"""Squared Euclidean distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of Σ_k (P_ank − P_bnk)²

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2], twice the variance over replicas summed over classes; ``values`` gives the contributions ``M N``.
        0.005 reads: with two classes, two trainings typically differ by sqrt(0.005 / 2) = 0.05 in a probability.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        Ours: the pairwise form of AD's Δ with p = 2, squared; computed without forming pairs.
    Example:
        >>> round(squared_l2(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.18
    """
    return _mean_squared_distance(predictions.xp, predictions.by_class)


@mean_metric("Hellinger²", "pair", soft=True, needs_probs=True)
def squared_hellinger(predictions: Predictions) -> Array:
    r"""Squared Hellinger distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of ½ · Σ_k (√P_ank − √P_bnk)²

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions ``M N``. 0.05 reads: the total variation of two trainings lies
        between 0.05 and sqrt(2 · 0.05) = 0.32 on such an example.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        The usual definition. Ours: the mean over all pairs, computed without forming them.
    Example:
        >>> round(squared_hellinger(np.array([[[1.0, 0.0]], [[0.64, 0.36]]])), 12)
        0.2
    """
    return _mean_squared_distance(predictions.xp, predictions.xp.sqrt(predictions.by_class)) / 2


@mean_metric("Hellinger", "pair", soft=True, needs_probs=True)
def hellinger(predictions: Predictions) -> Array:
    r"""Hellinger distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of sqrt(½ · Σ_k (√P_ank − √P_bnk)²)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions ``M N``. 0.05 reads: the total variation of two trainings is at
        most sqrt(2) · 0.05 = 0.07 on such an example.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        The usual definition. Ours: the root is taken of each pair and example, before the means.
    Example:
        >>> round(hellinger(np.array([[[1.0, 0.0]], [[0.64, 0.36]]])), 12)
        0.4472135955
    """
    xp, roots = predictions.xp, predictions.xp.sqrt(predictions.by_class)

    def between(a: int, b: int) -> Array:
        return xp.sqrt(xp.sum((roots[a, ...] - roots[b, ...]) ** 2, axis=0) / 2)

    return sum_over_others(xp, predictions.replicas, between) / (predictions.replicas - 1)
