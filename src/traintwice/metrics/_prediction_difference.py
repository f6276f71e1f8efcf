"""Prediction difference: distance of the replicas from their mean (AD section 3)."""

from __future__ import annotations

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.predictions import Predictions
from traintwice.types import Array


def _deviation(predictions: Predictions, p: float, *, label_weighted: bool = False) -> Array:
    xp = predictions.xp
    distance = xp.abs(predictions.by_class - predictions.mean[None, ...])
    if p != 1:
        distance = distance**p
    if label_weighted:
        distance = predictions.mean[None, ...] * distance
    norm = xp.sum(distance, axis=1)
    return norm if p == 1 else norm ** (1.0 / p)


@mean_metric("Δ_p", "deviation", unit="number", soft=True, needs_probs=True)
def prediction_difference(predictions: Predictions, *, p: float = 1.0, label_weighted: bool = False) -> Array:
    r"""Distance of a replica's probabilities from the mean over replicas, in the L_p norm.

        Δ_p = mean over m and n of ‖P_mn − P̄_n‖_p      (norm first, then averages)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
        p: order of the norm, >= 1.
        label_weighted: each label is weighted by P̄_nk, so improbable labels count little:
            (Σ_k P̄_nk |P_mnk − P̄_nk|^p)^(1/p).
    Returns:
        A number in [0, 2] for p = 1, smaller for larger p; ``values`` gives the contributions ``M N``. 0.05 reads: a
        replica's probabilities differ from the average of all replicas by 0.05 summed over classes. Its expectation grows with M
        like sqrt((M − 1)/M): never compare it between different M, see `pairwise_l1`.
    Raises:
        TooFewReplicas: one replica is its own mean. BadInput: p < 1.
    Source:
        AD eq. (1); label weights in AD section 3. Ours: the weight is inside the sum of the norm. On logits or scores:
        `score_difference`.
    Example:
        >>> round(prediction_difference(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.3
    """
    if not p >= 1:
        raise BadInput(f"prediction_difference: got p={p}, expected a number of at least 1")
    return _deviation(predictions, p, label_weighted=label_weighted)


@mean_metric("Δ₁", "deviation", unit="number", soft=True, needs_probs=True)
def delta_1(predictions: Predictions) -> Array:
    r"""Prediction difference in the L1 norm: `prediction_difference` with p = 1.

        Δ_1 = mean over m and n of Σ_k |P_mnk − P̄_nk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, 2]. 0.05 reads: a replica moves 0.05 of probability, summed over classes, away from the
        average of all. With two replicas it is their mean total variation distance. Do not compare between different M.
    Raises:
        TooFewReplicas: one replica is its own mean.
    Source:
        AD eq. (1), p = 1.
    Example:
        >>> round(delta_1(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.3
    """
    return _deviation(predictions, 1)


@mean_metric("Δ₂", "deviation", unit="number", soft=True, needs_probs=True)
def delta_2(predictions: Predictions) -> Array:
    r"""Prediction difference in the L2 norm: `prediction_difference` with p = 2.

        Δ_2 = mean over m and n of sqrt(Σ_k (P_mnk − P̄_nk)²)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
    Returns:
        A number in [0, sqrt(2)]. 0.05 reads: a replica's probabilities are 0.05 away from the average of all, in Euclidean
        distance. Do not compare between different M.
    Raises:
        TooFewReplicas: one replica is its own mean.
    Source:
        AD eq. (1), p = 2.
    Example:
        >>> round(delta_2(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.212132034356
    """
    return _deviation(predictions, 2)


@mean_metric("Δᴸ", "deviation", unit="number", soft=True, needs_labels=True, needs_probs=True, or_top=True)
def delta_label(predictions: Predictions) -> Array:
    r"""Relative prediction difference of the true label's probability.

        Δ^L = mean over m and n of |P_mn(y_n) − P̄_n(y_n)| / P̄_n(y_n),   0/0 = 0

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 2(M − 1)/M]; ``values`` gives the contributions ``M N``. 0.05 reads: the probability given to the right
        answer moves by 5 % of itself around its mean. Do not compare between different M.
    Raises:
        TooFewReplicas: one replica is its own mean. BadInput: no labels.
    Source:
        AD section 3 (Δ^L).
    Example:
        >>> round(delta_label(np.array([[[0.9, 0.1]], [[0.6, 0.4]]]), np.array([0])), 12)
        0.2
    """
    xp = predictions.xp
    of_label = predictions.of_label
    mean = xp.mean(of_label, axis=0)[None, :]
    known = mean > 0
    return xp.where(known, xp.abs(of_label - mean) / xp.where(known, mean, xp.ones_like(mean)), xp.zeros_like(of_label))
