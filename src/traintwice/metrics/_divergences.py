"""Divergences between the probabilities of two replicas: Kullback-Leibler, symmetric, Jensen-Shannon."""

from __future__ import annotations

from traintwice.metrics._functions import mean_metric
from traintwice.metrics._logarithms import clipped, x_log_x
from traintwice.metrics._pairwise import sum_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


def _symmetric(predictions: Predictions, clip: float | None) -> Array:
    """Mean over the other replicas of Σ_k (p_m − p_b)(log p_m − log p_b), ``M N``.

    Summed over b this is M·(dp·dl)_m + Σ_b (dp·dl)_b with dp, dl the deviations from the mean over replicas: no pairs are
    needed. A class to which some replicas give zero and others do not is infinitely far for each of them.
    """
    xp, replicas = predictions.xp, predictions.replicas
    probs = clipped(predictions, clip)
    positive = probs > 0
    logs = xp.log(xp.where(positive, probs, xp.ones_like(probs)))
    own = xp.sum((probs - xp.mean(probs, axis=0)[None, ...]) * (logs - xp.mean(logs, axis=0)[None, ...]), axis=1)
    rows = (replicas * own + xp.sum(own, axis=0)[None, :]) / (replicas - 1)
    torn = xp.any(xp.any(positive, axis=0) & ~xp.all(positive, axis=0), axis=0)
    return xp.where(torn[None, :], xp.full_like(rows, xp.inf), rows)


@mean_metric("KL", "pair", unit="number", soft=True, needs_probs=True)
def kl_divergence(predictions: Predictions, *, clip: float | None = None) -> Array:
    r"""Kullback-Leibler divergence from one replica's probabilities to another's, in nats.

        mean over ordered pairs (a, b) and n of Σ_k P_ank log(P_ank / P_bnk)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
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
        labels: not used.
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


@mean_metric("Jensen-Shannon", "pair", unit="number", soft=True, needs_probs=True)
def jensen_shannon(predictions: Predictions) -> Array:
    r"""Jensen-Shannon divergence between two replicas, in nats: finite even where probabilities are zero.

        mean over pairs a < b and n of H((P_an + P_bn)/2) − (H(P_an) + H(P_bn))/2,   H(p) = −Σ_k p_k log p_k

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
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

    return sum_over_others(xp, predictions.replicas, between) / (predictions.replicas - 1)
