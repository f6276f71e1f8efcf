"""Prediction difference relative to the mean prediction (AD section 3), for rare labels such as clicks."""

from __future__ import annotations

from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import sum_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


@mean_metric("Δʳ₁", "deviation", unit="number", soft=True, needs_probs=True)
def relative_delta_1(predictions: Predictions) -> Array:
    r"""Prediction difference in which each label counts relative to its mean probability.

        Δ^r_1 = mean over m and n of Σ_k |P_mnk − P̄_nk| / P̄_nk,   0/0 = 0

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2K(M − 1)/M]; ``values`` gives the contributions ``M N``. 0.1 with two classes reads: the relative moves
        of the two probabilities around their means add up to 10 %. Do not compare between different M.
    Raises:
        TooFewReplicas: one replica is its own mean.
    Source:
        AD section 3 (Δ^r_1).
    Example:
        >>> round(relative_delta_1(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.8
    """
    xp, mean = predictions.xp, predictions.mean[None, ...]
    distance = xp.abs(predictions.by_class - mean)
    return xp.sum(xp.where(mean > 0, distance / xp.where(mean > 0, mean, xp.ones_like(mean)), xp.zeros_like(mean)), axis=1)


@mean_metric("Δʳ¹", "deviation", unit="number", soft=True, needs_probs=True, binary=True)
def relative_delta_positive(predictions: Predictions) -> Array:
    r"""Prediction difference of a binary model relative to the mean probability of the positive label.

        Δ^{r1} = mean over m and n of Σ_k |P_mnk − P̄_nk| / P̄_n1,   0/0 = 0

    Args:
        predictions: probabilities ``M N 2``, the positive label second, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 4(M − 1)/M]; ``values`` gives the contributions ``M N``. With two replicas it is |p1 − p2| over their
        mean, and 0.05 reads: two trainings predict click rates 5 % apart. Do not compare between different M.
    Raises:
        TooFewReplicas: one replica is its own mean. BadInput: more than two classes.
    Source:
        AD section 3 (Δ^{r1}), the column of AD Table 3.
    Example:
        >>> round(relative_delta_positive(np.array([[[0.98, 0.02]], [[0.97, 0.03]]])), 12)
        0.4
    """
    xp = predictions.xp
    distance = xp.sum(xp.abs(predictions.by_class - predictions.mean[None, ...]), axis=1)
    positive = predictions.mean[None, 1, :]
    relative = distance / xp.where(positive > 0, positive, xp.ones_like(positive))
    return xp.where(positive > 0, relative, xp.where(distance > 0, xp.full_like(relative, xp.inf), xp.zeros_like(relative)))


@mean_metric("relative PD", "pair", unit="number", soft=True, needs_probs=True, binary=True)
def relative_pairwise(predictions: Predictions) -> Array:
    r"""Difference of the probabilities that two replicas give to the positive label, relative to their mean; mean over pairs.

        mean over pairs a < b and n of |P_an1 − P_bn1| / ((P_an1 + P_bn1)/2),   0/0 = 0

    Args:
        predictions: probabilities ``M N 2``, the positive label second, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2]; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings predict click rates 5 % apart. Unlike
        `relative_delta_positive`, which it equals at M = 2, its expectation does not depend on M.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: more than two classes.
    Source:
        AD section 3 (Δ^{r1}) at M = 2. Ours: the mean over pairs.
    Example:
        >>> round(relative_pairwise(np.array([[[0.98, 0.02]], [[0.97, 0.03]]])), 12)
        0.4
    """
    xp, positive = predictions.xp, predictions.by_class[:, 1, :]

    def between(a: int, b: int) -> Array:
        total = positive[a, ...] + positive[b, ...]
        known = total > 0
        return xp.where(
            known, 2 * xp.abs(positive[a, ...] - positive[b, ...]) / xp.where(known, total, xp.ones_like(total)), 0 * total
        )

    return sum_over_others(xp, predictions.replicas, between) / (predictions.replicas - 1)
