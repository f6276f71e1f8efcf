"""Divergences and distances between the probabilities of two replicas: Kullback-Leibler, Jensen-Shannon, squared L2, Hellinger."""

from __future__ import annotations

import math
from typing import Any

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import mean_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


def x_log_x(xp: Any, values: Array) -> Array:
    """x·log x with 0·log 0 = 0."""
    return values * xp.log(xp.where(values > 0, values, xp.ones_like(values)))


def clipped(predictions: Predictions, clip: float | None) -> Array:
    """Probabilities ``M K N``, none below ``clip`` before they are divided by their sum; as they are for None."""
    if clip is None:
        return predictions.by_class
    if not 0 < clip < 1:
        raise BadInput(f"clip: got {clip}, expected a small probability such as 1e-7, or None to leave zeros as they are")
    xp, probs = predictions.xp, predictions.by_class
    raised = xp.where(probs > clip, probs, xp.full_like(probs, clip))
    return raised / xp.sum(raised, axis=1, keepdims=True)


def _over_others(xp: Any, own: Array) -> Array:
    """Mean over the other replicas of Σ_k (x_mk − x_bk)(y_mk − y_bk), ``M N``, without forming pairs.

    ``own`` is the same about the means over replicas, (x_m − x̄)·(y_m − ȳ): summed over b it is M·own_m + Σ_b own_b.
    """
    replicas = int(own.shape[0])
    return (replicas * own + xp.sum(own, axis=0)[None, :]) / (replicas - 1)


def _symmetric(predictions: Predictions, clip: float | None) -> Array:
    """Mean over the other replicas of Σ_k (p_m − p_b)(log p_m − log p_b), ``M N``.

    A class to which some replicas give zero and others do not is infinitely far for each of them.
    """
    xp, probs = predictions.xp, clipped(predictions, clip)
    positive = probs > 0
    logs = xp.log(xp.where(positive, probs, xp.ones_like(probs)))
    own = xp.sum((probs - xp.mean(probs, axis=0)[None, ...]) * (logs - xp.mean(logs, axis=0)[None, ...]), axis=1)
    rows = _over_others(xp, own)
    torn = xp.any(xp.any(positive, axis=0) & ~xp.all(positive, axis=0), axis=0)
    return xp.where(torn[None, :], xp.full_like(rows, xp.inf), rows)


@mean_metric("KL", "pair", unit="number", soft=True, needs_probs=True)
def kl_divergence(predictions: Predictions, *, clip: float | None = None) -> Array:
    r"""Kullback-Leibler divergence from one replica's probabilities to another's, in nats.

        mean over ordered pairs (a, b) and n of Σ_k P_ank log(P_ank / P_bnk)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        clip: smallest probability; smaller ones are raised to it and the distribution is divided by its sum. None clips nothing.
    Returns:
        A number >= 0; infinite where one replica gives probability zero to a class and another does not. ``values`` gives the
        contributions ``M N``, each the mean of both directions. 0.005 reads: by Pinsker's inequality the probabilities of two
        trainings differ by at most sqrt(2 · 0.005) = 0.1 in L1.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: clip outside (0, 1).
    Source:
        AD section 3 names it. Ours: the mean over ordered pairs, half of `symmetric_kl`; zeros are not clipped unless asked.
    Example:
        >>> round(kl_divergence(np.array([[[0.5, 0.5]], [[0.25, 0.75]]])), 12)
        0.137326536084
    """
    return _symmetric(predictions, clip) / 2


@mean_metric("symmetric KL", "pair", unit="number", soft=True, needs_probs=True)
def symmetric_kl(predictions: Predictions, *, clip: float | None = None) -> Array:
    r"""Symmetric Kullback-Leibler divergence between two replicas, in nats: both directions added.

        mean over pairs a < b and n of Σ_k (P_ank − P_bnk)(log P_ank − log P_bnk)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        clip: smallest probability; smaller ones are raised to it and the distribution is divided by its sum. None clips nothing.
    Returns:
        A number >= 0; infinite where one replica gives probability zero to a class and another does not. ``values`` gives the
        contributions ``M N``. 0.01 reads: the probabilities of two trainings differ by at most 0.1 in L1.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: clip outside (0, 1).
    Source:
        The distance of CH eq. (9). Ours: the mean over all pairs, computed without forming them.
    Example:
        >>> round(symmetric_kl(np.array([[[0.5, 0.5]], [[0.25, 0.75]]])), 12)
        0.274653072167
    """
    return _symmetric(predictions, clip)


@mean_metric("Jensen-Shannon", "pair", unit="number", limit=math.log(2), soft=True, needs_probs=True)
def jensen_shannon(predictions: Predictions) -> Array:
    r"""Jensen-Shannon divergence between two replicas, in nats: finite even where probabilities are zero.

        mean over pairs a < b and n of H((P_an + P_bn)/2) − (H(P_an) + H(P_bn))/2,   H(p) = −Σ_k p_k log p_k

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
    Returns:
        A number in [0, log 2]; ``values`` gives the contributions ``M N``. 0.005 reads: the probabilities of two trainings
        differ by at most sqrt(8 · 0.005) = 0.2 in L1.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        AD section 3 names it (Gutman 1989). Ours: equal weights, the mean over all pairs; the divergence, not its square root.
    Example:
        >>> round(jensen_shannon(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])), 12)
        0.69314718056
    """
    xp, probs = predictions.xp, predictions.by_class
    negative_entropy = xp.sum(x_log_x(xp, probs), axis=1)

    def between(a: int, b: int) -> Array:
        middle = xp.sum(x_log_x(xp, (probs[a, ...] + probs[b, ...]) / 2), axis=0)
        return (negative_entropy[a, :] + negative_entropy[b, :]) / 2 - middle

    return mean_over_others(xp, predictions.replicas, between)


def _squared_distance(xp: Any, values: Array) -> Array:
    """Mean over the other replicas of Σ_k (x_mkn − x_bkn)², ``M N``, from values ``M K N``."""
    return _over_others(xp, xp.sum((values - xp.mean(values, axis=0)[None, ...]) ** 2, axis=1))


@mean_metric("squared L2", "pair", unit="number", limit=2.0, soft=True, needs_probs=True)
def squared_l2(predictions: Predictions) -> Array:
    r"""Squared Euclidean distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of Σ_k (P_ank − P_bnk)²

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
    return _squared_distance(predictions.xp, predictions.by_class)


@mean_metric("Hellinger²", "pair", soft=True, needs_probs=True)
def squared_hellinger(predictions: Predictions) -> Array:
    r"""Squared Hellinger distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of ½ · Σ_k (√P_ank − √P_bnk)²

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
    return _squared_distance(predictions.xp, predictions.xp.sqrt(predictions.by_class)) / 2


@mean_metric("Hellinger", "pair", soft=True, needs_probs=True)
def hellinger(predictions: Predictions) -> Array:
    r"""Hellinger distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of sqrt(½ · Σ_k (√P_ank − √P_bnk)²)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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

    return mean_over_others(xp, predictions.replicas, between)
