"""Means over pairs of replicas: L1 distance, total variation, surrogate churn, and the bounds on churn of CH Lemma 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._functions import mean_metric
from traintwice.predictions import Predictions
from traintwice.types import Array

PAIRS_UP_TO = 20
"""Up to this many replicas, adding pairs is faster than sorting, and a network of comparisons is faster than both."""


def mean_absolute_difference(xp: Any, values: Array) -> Array:
    """Mean over the other replicas of Σ_k |x_mkn − x_bkn|, shape ``M N``, from values ``M K N``.

    Ours: pairs up to 20 replicas; beyond, Σ_b |x_(r) − x_b| = (2r − M) x_(r) + total − 2·(sum of the r smallest), r from 1.
    """
    replicas = int(values.shape[0])
    if replicas <= PAIRS_UP_TO and isinstance(values, np.ndarray):
        return _pairs_in_numpy(values) / (replicas - 1)
    if replicas <= PAIRS_UP_TO:
        return mean_over_others(xp, replicas, lambda a, b: _l1(xp, values, a, b))
    order = xp.argsort(values, axis=0, stable=True)
    ordered = xp.take_along_axis(values, order, axis=0)
    below = xp.cumulative_sum(ordered, axis=0)
    rank = xp.reshape(xp.arange(1, replicas + 1, dtype=values.dtype), (replicas, 1, 1))
    distances = (2 * rank - replicas) * ordered + below[-1:, ...] - 2 * below
    place = xp.argsort(order, axis=0, stable=True)
    return xp.sum(xp.take_along_axis(distances, place, axis=0), axis=1) / (replicas - 1)


def _pairs_in_numpy(values: np.ndarray) -> np.ndarray:
    """Sum over the other replicas of Σ_k |x − y|, as 2·Σ_k max(x, y) − Σ_k x − Σ_k y: one pass less over all classes."""
    rows, sums = np.zeros((values.shape[0], values.shape[2])), values.sum(axis=1)
    larger, distances = np.empty(values.shape[1:]), np.empty_like(rows)
    for a in range(len(values)):
        for b in range(a + 1, len(values)):
            np.maximum(values[a], values[b], out=larger)
            np.add.reduce(larger, axis=0, out=distances[b])
        of_a = distances[a + 1 :]
        of_a *= 2
        of_a -= sums[a]
        of_a -= sums[a + 1 :]
        rows[a] += of_a.sum(axis=0)
        rows[a + 1 :] += of_a
    return rows


def total_absolute_difference(xp: Any, values: Array) -> float:
    """Sum of `mean_absolute_difference` over replicas and examples.

    Ours: Σ over pairs of |x_a − x_b| = Σ_r (2r − M − 1) x_(r), r from 1; up to 20 replicas a sorting network orders whole arrays, so
    that each pair is compared once and equal replicas give exactly 0.
    """
    replicas = int(values.shape[0])
    if replicas > PAIRS_UP_TO or not isinstance(values, np.ndarray):
        return float(xp.sum(mean_absolute_difference(xp, values)))
    rows = list(values.copy().reshape(replicas, -1))
    spare = np.empty_like(rows[0])
    for low, high in _network(replicas):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    sums = [float(row.sum()) for row in rows]
    pairs = sum((replicas - 1 - 2 * r) * (sums[-1 - r] - sums[r]) for r in range(replicas // 2))
    return 2 * pairs / (replicas - 1)


@cache
def _network(width: int) -> tuple[tuple[int, int], ...]:
    """The comparisons of Batcher's odd-even merge sort for any width: place the smaller of each two first, in this order.

    >>> _network(3)
    ((0, 1), (0, 2), (1, 2))
    """
    return tuple(_comparisons(width))


def _comparisons(width: int) -> Iterator[tuple[int, int]]:
    merged = 1
    while merged < width:
        apart = merged
        while apart:
            for start in range(apart % merged, width - apart, 2 * apart):
                for low in range(start, start + min(apart, width - start - apart)):
                    if low // (2 * merged) == (low + apart) // (2 * merged):
                        yield low, low + apart
            apart //= 2
        merged *= 2


def _total(predictions: Predictions) -> float:
    return total_absolute_difference(predictions.xp, predictions.by_class)


def sum_over_others(xp: Any, replicas: int, between: Callable[[int, int], Array]) -> Array:
    """Sum over the other replicas of a symmetric function of a pair, ``a, b -> N``; shape ``M N``."""
    rows: list[Array | None] = [None] * replicas
    for a in range(replicas):
        for b in range(a + 1, replicas):
            distance = between(a, b)
            for m in (a, b):
                rows[m] = distance if rows[m] is None else rows[m] + distance
    return xp.stack(rows, axis=0)


def mean_over_others(xp: Any, replicas: int, between: Callable[[int, int], Array]) -> Array:
    """Mean over the other replicas of a symmetric function of a pair."""
    return sum_over_others(xp, replicas, between) / (replicas - 1)


def _l1(xp: Any, values: Array, a: int, b: int) -> Array:
    """Σ_k |x_akn − x_bkn|, ``N``."""
    return xp.sum(xp.abs(values[a, ...] - values[b, ...]), axis=0)


@mean_metric("pairwise L1", "pair", unit="number", limit=2.0, soft=True, needs_probs=True, total=_total)
def pairwise_l1(predictions: Predictions) -> Array:
    r"""L1 distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of Σ_k |P_ank − P_bnk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
    return mean_absolute_difference(predictions.xp, predictions.by_class)


@mean_metric("total variation", "pair", soft=True, needs_probs=True, total=lambda predictions: _total(predictions) / 2)
def total_variation(predictions: Predictions) -> Array:
    r"""Total variation distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of ½ · Σ_k |P_ank − P_bnk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
    Returns:
        A number in [0, 1], half of `pairwise_l1`; ``values`` gives the contributions ``M N``. 0.05 reads: two trainings place 5
        hundredths of probability on other classes. Its expectation does not depend on M.
    Raises:
        TooFewReplicas: one replica has nothing to differ from.
    Source:
        The usual definition. Ours: the mean over all pairs; with two replicas it is Δ1 of AD.
    Example:
        >>> round(total_variation(np.array([[[0.9, 0.1]], [[0.6, 0.4]]])), 12)
        0.3
    """
    return mean_absolute_difference(predictions.xp, predictions.by_class) / 2


def _scaled(predictions: Predictions, alpha: float) -> Array:
    """(p / max p)^α of every replica, shape ``M K N``."""
    if not alpha > 0:
        raise BadInput(f"surrogate_churn: got alpha={alpha}, expected a number greater than 0")
    xp, probs = predictions.xp, predictions.by_class
    scaled = probs / xp.max(probs, axis=1, keepdims=True)
    if alpha == 1.0:
        return scaled
    positive = scaled > 0
    power = xp.exp(alpha * xp.log(xp.where(positive, scaled, xp.ones_like(scaled))))
    return xp.where(positive, power, xp.zeros_like(scaled))


def _total_surrogate(predictions: Predictions, *, alpha: float = 1.0) -> float:
    return 0.5 * total_absolute_difference(predictions.xp, _scaled(predictions, alpha))


@mean_metric("SChurn₁", "pair", limit=float("inf"), soft=True, needs_probs=True, total=_total_surrogate)
def surrogate_churn(predictions: Predictions, *, alpha: float = 1.0) -> Array:
    r"""Surrogate churn: distance between the probabilities of two replicas, each divided by its largest entry.

    For replicas a, b and example n, with each distribution divided by its largest entry,

        s_n = mean over pairs of ½ · Σ_k | (p_a,k / max p_a)^α − (p_b,k / max p_b)^α |

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        alpha: sharpness, > 0, an inverse temperature. Towards infinity the result becomes `churn`.
    Returns:
        A number in [0, K/2]; ``surrogate_churn.values(probs)`` gives the contributions ``M N``. 0.06 reads: on average two
        trainings differ by 6 hundredths of a changed label. Not comparable between methods of different confidence:
        see `traintwice.compare.at_temperature`.
    Raises:
        TooFewReplicas: one replica has nothing to disagree with. BadInput: alpha is not positive.
    Source:
        CH eq. (4). Ours: the mean over all pairs of replicas; the power is taken in logarithms, so that it does not underflow.
    Example:
        >>> surrogate_churn(np.array([[[0.9, 0.1]], [[0.6, 0.4]]]))
        0.2777777777777778
    """
    return 0.5 * mean_absolute_difference(predictions.xp, _scaled(predictions, alpha))


ROUNDING = 1e-12
"""With two classes a changed label meets the tighter bound with equality, which rounding must not undo."""


@mean_metric("Lemma 2 bound", "pair", scale="logit", counts_out_of=lambda replicas: replicas - 1, soft=True, needs_probs=True)
def lemma_2_bound(predictions: Predictions) -> Array:
    r"""Bound on churn: how often two replicas differ by more than the smaller of their margins.

        churn <= P(‖P_a − P_b‖₁ > min(γ_a, γ_b)),   γ = largest minus second largest probability

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
        return xp.astype(_l1(xp, probs, a, b) > xp.minimum(margin[a, :], margin[b, :]), xp.int64)

    return sum_over_others(xp, predictions.replicas, between)


@mean_metric(
    "tight Lemma 2 bound", "pair", scale="logit", counts_out_of=lambda replicas: replicas - 1, soft=True, needs_probs=True
)
def tight_lemma_2_bound(predictions: Predictions) -> Array:
    r"""Tighter bound on churn: how often two replicas differ by at least the sum of their margins.

        churn <= P(‖P_a − P_b‖₁ >= γ_a + γ_b),   γ = largest minus second largest probability

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
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
        return xp.astype(_l1(xp, probs, a, b) >= margin[a, :] + margin[b, :] - ROUNDING, xp.int64)

    return sum_over_others(xp, predictions.replicas, between)
