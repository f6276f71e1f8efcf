"""Unbiased variances of a churn: diagnostics, not used for intervals.

The jackknife is conservative and these are unbiased, but with few replicas they are often zero or negative.
"""

from __future__ import annotations

import math

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._agreement import churn_matrix
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Array

LEAST = 4
"""Fewest replicas with two pairs that share none."""


def unbiased_replica_variance(predictions: Predictions | Array) -> float:
    r"""Unbiased variance of a churn over new replicas, on this test set.

        V_U = D² − [S1² + S2 − Σ_m r_m²] / (C(M,2)·C(M−2,2))

    with d the churn of each pair, S1 = Σ_{a<b} d, S2 = Σ_{a<b} d², r_m the row sums of d and D the mean over pairs: the second
    term is the mean of d_ab·d_cd over pairs of pairs that share no replica.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`, without weights; M >= 4.
    Returns:
        A variance in squared units of churn; it may be negative, at M = 4 in a fifth of all draws. Diagnostic only.
    Raises:
        BadInput: fewer than four replicas, or weights.
    Source:
        The unbiased variance of a U-statistic of two arguments.
    Example:
        >>> votes = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
        >>> round(unbiased_replica_variance(votes), 4)
        0.0208
    """
    p = _checked(predictions)
    matrix = np.asarray(churn_matrix(p), dtype=np.float64)
    upper = matrix[np.triu_indices(p.replicas, 1)]
    first, second = float(upper.sum()), float((upper**2).sum())
    rows = matrix.sum(axis=1) - np.diag(matrix)
    apart = (first**2 + second - float((rows**2).sum())) / _pairs_of_pairs(p.replicas)
    return float(upper.mean() ** 2 - apart)


def unbiased_variance(predictions: Predictions | Array) -> float:
    r"""Unbiased variance of a churn over new replicas and new examples, from votes alone.

        V_B = D² − [N²·Q − Σ_n q_n] / (N(N − 1)),   Q = D² − V_U
        q_n = (s_n² + s_n − Σ_c v_c (M − v_c)²) / (C(M,2)·C(M−2,2)),   s_n the disagreeing pairs on example n

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`, without weights; M >= 4, N >= 2.
    Returns:
        A variance in squared units of churn; it may be negative. Diagnostic only.
    Raises:
        BadInput: fewer than four replicas or two examples, or weights.
    Source:
        Ours, the same over replicas and examples; docs/concepts/definitions.md, "Intervals".
    Example:
        >>> votes = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
        >>> round(unbiased_variance(votes), 4)
        0.0069
    """
    p = _checked(predictions)
    if p.examples < 2:
        raise BadInput("unbiased_variance: got 1 example, expected at least 2")
    votes, m, n = to_numpy(p.votes), p.replicas, p.examples
    total = np.zeros(n)
    cubes = np.zeros(n)
    for label in np.unique(votes):
        count = (votes == label).sum(axis=0).astype(np.float64)
        total += count * (m - count)
        cubes += count * (m - count) ** 2
    disagreeing = total / 2
    of_rows = (disagreeing**2 + disagreeing - cubes) / _pairs_of_pairs(m)
    mean = float(disagreeing.mean() / math.comb(m, 2))
    apart = mean**2 - unbiased_replica_variance(p)
    return float(mean**2 - (n**2 * apart - of_rows.sum()) / (n * (n - 1)))


def _checked(predictions: Predictions | Array) -> Predictions:
    p = Predictions.of(predictions)
    if p.replicas < LEAST:
        raise BadInput(
            f"unbiased variance: got {p.replicas} replicas, expected at least {LEAST}: it needs two pairs that share none"
        )
    if p.weights is not None:
        raise BadInput("unbiased variance: has no weighted form here; leave the weights out")
    return p


def _pairs_of_pairs(replicas: int) -> int:
    return math.comb(replicas, 2) * math.comb(replicas - 2, 2)
