"""Absolute differences between replicas, and the pairwise L1 distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

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
        distances = sum_over_others(xp, replicas, lambda a, b: xp.sum(xp.abs(values[a, ...] - values[b, ...]), axis=0))
        return distances / (replicas - 1)
    order = xp.argsort(values, axis=0)
    ordered = xp.take_along_axis(values, order, axis=0)
    below = xp.cumulative_sum(ordered, axis=0)
    rank = xp.reshape(xp.arange(1, replicas + 1, dtype=values.dtype), (replicas, 1, 1))
    distances = (2 * rank - replicas) * ordered + below[-1:, ...] - 2 * below
    place = xp.argsort(order, axis=0)
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


@mean_metric("pairwise L1", "pair", unit="number", soft=True, needs_probs=True, total=_total)
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
    return mean_absolute_difference(predictions.xp, predictions.by_class)


@mean_metric("total variation", "pair", soft=True, needs_probs=True, total=lambda predictions: _total(predictions) / 2)
def total_variation(predictions: Predictions) -> Array:
    r"""Total variation distance between the probabilities of two replicas, mean over pairs and examples.

        mean over pairs a < b and n of ½ · Σ_k |P_ank − P_bnk|

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        labels: not used.
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
