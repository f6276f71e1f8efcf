"""Upper bounds on churn from the L1 distance and the confidence of probabilities (CH Lemma 2)."""

from __future__ import annotations

from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import sum_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array

ROUNDING = 1e-12
"""With two classes a changed label meets the tighter bound with equality, which rounding must not undo."""


@mean_metric("Lemma 2 bound", "pair", scale="logit", counts_out_of=lambda replicas: replicas - 1, soft=True, needs_probs=True)
def lemma_2_bound(predictions: Predictions) -> Array:
    r"""Bound on churn: how often two replicas differ by more than the smaller of their margins.

        churn <= P(‖P_a − P_b‖₁ > min(γ_a, γ_b)),   γ = largest minus second largest probability

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [churn, 1]; ``values`` gives the contributions ``M N``. 0.05 reads: on 95 of 100 examples the probabilities
        moved too little to change a label.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        CH Lemma 2. Ours: the mean over all pairs of replicas.
    Example:
        >>> lemma_2_bound(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.8, 0.2], [0.5, 0.5]]]))
        0.5
    """
    xp, probs, margin = predictions.xp, predictions.by_class, predictions.confidence

    def between(a: int, b: int) -> Array:
        distance = xp.sum(xp.abs(probs[a, ...] - probs[b, ...]), axis=0)
        return xp.astype(distance > xp.minimum(margin[a, :], margin[b, :]), xp.int64)

    return sum_over_others(xp, predictions.replicas, between)


@mean_metric(
    "tight Lemma 2 bound", "pair", scale="logit", counts_out_of=lambda replicas: replicas - 1, soft=True, needs_probs=True
)
def tight_lemma_2_bound(predictions: Predictions) -> Array:
    r"""Tighter bound on churn: how often two replicas differ by at least the sum of their margins.

        churn <= P(‖P_a − P_b‖₁ >= γ_a + γ_b),   γ = largest minus second largest probability

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [churn, `lemma_2_bound`] but for examples where both margins are zero; ``values`` gives the contributions
        ``M N``. With two classes it is churn itself, ties apart.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        Ours, derived as CH Lemma 2: where i is on top for a and j for b, |P_ai − P_bi| + |P_aj − P_bj| >= γ_a + γ_b.
    Example:
        >>> tight_lemma_2_bound(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.8, 0.2], [0.4, 0.6]]]))
        0.5
    """
    xp, probs, margin = predictions.xp, predictions.by_class, predictions.confidence

    def between(a: int, b: int) -> Array:
        distance = xp.sum(xp.abs(probs[a, ...] - probs[b, ...]), axis=0)
        return xp.astype(distance >= margin[a, :] + margin[b, :] - ROUNDING, xp.int64)

    return sum_over_others(xp, predictions.replicas, between)
