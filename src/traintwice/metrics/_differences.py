"""Prediction difference: distance of the replicas from their mean (AD section 3); relative differences; differences of scores."""

from __future__ import annotations

import math
from typing import Any

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.metrics._pairwise import mean_absolute_difference, mean_over_others
from traintwice.predictions import Predictions
from traintwice.types import Array


def _deviation(predictions: Predictions, p: float, *, label_weighted: bool = False) -> Array:
    if not p >= 1:
        raise BadInput(f"prediction_difference: got p={p}, expected a number of at least 1")
    xp = predictions.xp
    distance = xp.abs(predictions.by_class - predictions.mean[None, ...])
    if p != 1:
        distance = distance**p
    if label_weighted:
        distance = predictions.mean[None, ...] * distance
    norm = xp.sum(distance, axis=1)
    return norm if p == 1 else norm ** (1.0 / p)


def _relative(xp: Any, distance: Array, size: Array) -> Array:
    """Distance over size; 0 where the size is 0."""
    known = size > 0
    return xp.where(known, distance / xp.where(known, size, xp.ones_like(size)), xp.zeros_like(distance))


@mean_metric("Δ_p", "deviation", unit="number", limit=2.0, soft=True, needs_probs=True)
def prediction_difference(predictions: Predictions, *, p: float = 1.0, label_weighted: bool = False) -> Array:
    r"""Distance of a replica's probabilities from the mean over replicas, in the L_p norm.

        Δ_p = mean over m and n of ‖P_mn − P̄_n‖_p      (norm first, then averages)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
    return _deviation(predictions, p, label_weighted=label_weighted)


@mean_metric("Δ₁", "deviation", unit="number", limit=2.0, soft=True, needs_probs=True)
def delta_1(predictions: Predictions) -> Array:
    r"""Prediction difference in the L1 norm: `prediction_difference` with p = 1.

        Δ_1 = mean over m and n of Σ_k |P_mnk − P̄_nk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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


@mean_metric("Δ₂", "deviation", unit="number", limit=math.sqrt(2), soft=True, needs_probs=True)
def delta_2(predictions: Predictions) -> Array:
    r"""Prediction difference in the L2 norm: `prediction_difference` with p = 2.

        Δ_2 = mean over m and n of sqrt(Σ_k (P_mnk − P̄_nk)²)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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


@mean_metric("Δᴸ", "deviation", unit="number", limit=2.0, soft=True, needs_labels=True, needs_probs=True, or_top=True)
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
    xp, of_label = predictions.xp, predictions.of_label
    mean = xp.mean(of_label, axis=0)[None, :]
    return _relative(xp, xp.abs(of_label - mean), mean)


@mean_metric("Δʳ₁", "deviation", unit="number", soft=True, needs_probs=True)
def relative_delta_1(predictions: Predictions) -> Array:
    r"""Prediction difference in which each label counts relative to its mean probability.

        Δ^r_1 = mean over m and n of Σ_k |P_mnk − P̄_nk| / P̄_nk,   0/0 = 0

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
    return xp.sum(_relative(xp, xp.abs(predictions.by_class - mean), mean), axis=1)


@mean_metric("Δʳ¹", "deviation", unit="number", limit=4.0, soft=True, needs_probs=True, binary=True)
def relative_delta_positive(predictions: Predictions) -> Array:
    r"""Prediction difference of a binary model relative to the mean probability of the positive label.

        Δ^{r1} = mean over m and n of Σ_k |P_mnk − P̄_nk| / P̄_n1,   0/0 = 0

    Args:
        predictions: probabilities ``M N 2``, the positive label second, or `Predictions`; M >= 2.
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
    return xp.where((positive > 0) | (distance == 0), _relative(xp, distance, positive), xp.full_like(distance, xp.inf))


@mean_metric("relative PD", "pair", unit="number", limit=2.0, soft=True, needs_probs=True, binary=True)
def relative_pairwise(predictions: Predictions) -> Array:
    r"""Difference of the probabilities that two replicas give to the positive label, relative to their mean; mean over pairs.

        mean over pairs a < b and n of |P_an1 − P_bn1| / ((P_an1 + P_bn1)/2),   0/0 = 0

    Args:
        predictions: probabilities ``M N 2``, the positive label second, or `Predictions`; M >= 2.
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
        one, other = positive[a, ...], positive[b, ...]
        return _relative(xp, 2 * xp.abs(one - other), one + other)

    return mean_over_others(xp, predictions.replicas, between)


def one_score(predictions: Predictions) -> Array:
    """Scores ``M N``; `BadInput` where an example has several."""
    scores = predictions.scores
    if scores.ndim != 2:
        raise BadInput(f"got scores of shape {tuple(scores.shape)}, expected one score for each example, (replicas, examples)")
    return scores


@mean_metric("score difference", "deviation", unit="number", soft=True, needs_scores=True)
def score_difference(predictions: Predictions, *, p: float = 1.0) -> Array:
    r"""Distance of a replica's scores or logits from the mean over replicas, in the L_p norm.

        Δ_p = mean over m and n of ‖Z_mn − Z̄_n‖_p

    Args:
        predictions: scores ``M N`` or logits ``M N K``, or `Predictions.from_scores`; M >= 2.
        p: order of the norm over K, >= 1.
    Returns:
        A number >= 0 in units of the scores; ``values`` gives the contributions ``M N``. Logits that differ by a constant give
        the same probabilities and still count here. Do not compare between different M, nor between recipes of different scale.
    Raises:
        TooFewReplicas: one replica is its own mean. BadInput: p < 1.
    Source:
        AD section 3: eq. (1) on scores instead of probabilities.
    Example:
        >>> score_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        0.5
    """
    if not p >= 1:
        raise BadInput(f"score_difference: got p={p}, expected a number of at least 1")
    xp, scores = predictions.xp, predictions.scores
    distance = xp.abs(scores - xp.mean(scores, axis=0)[None, ...])
    if scores.ndim == 2:
        return distance
    return xp.sum(distance, axis=2) if p == 1 else xp.sum(distance**p, axis=2) ** (1.0 / p)


@mean_metric("regression difference", "pair", unit="number", needs_scores=True)
def regression_difference(predictions: Predictions) -> Array:
    r"""Absolute difference of two replicas' regressions, mean over pairs and examples.

        mean over pairs a < b and n of |f_an − f_bn|

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores`; M >= 2.
    Returns:
        A number >= 0 in units of the target; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings differ by 0.05
        on average.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: more than one number for each example.
    Source:
        AD section 3, with two models. Ours: the mean over all pairs, whose expectation does not depend on M.
    Example:
        >>> regression_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        1.0
    """
    return mean_absolute_difference(predictions.xp, one_score(predictions)[:, None, :])


@mean_metric("relative regression difference", "pair", unit="number", limit=2.0, needs_scores=True)
def relative_regression_difference(predictions: Predictions) -> Array:
    r"""Absolute difference of two replicas' regressions relative to their mean size, mean over pairs and examples.

        mean over pairs a < b and n of |f_an − f_bn| / ((|f_an| + |f_bn|) / 2),   0/0 = 0

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores`; M >= 2.
    Returns:
        A number in [0, 2]; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings differ by 5 % of what they
        predict.
    Raises:
        TooFewReplicas: one replica has nothing to differ from. BadInput: more than one number for each example.
    Source:
        Ours, after AD's Δ^{r1} with two models: divided by the mean size of the two, so that signs cannot make it infinite.
    Example:
        >>> relative_regression_difference(np.array([[1.0, 2.0], [3.0, 2.0]]))
        0.5
    """
    xp, scores = predictions.xp, one_score(predictions)

    def between(a: int, b: int) -> Array:
        one, other = scores[a, :], scores[b, :]
        return _relative(xp, xp.abs(one - other), (xp.abs(one) + xp.abs(other)) / 2)

    return mean_over_others(xp, predictions.replicas, between)
