"""Agreement of many replicas' labels: entropy of votes, ambiguity, Fleiss' kappa, the largest churn of a pair, unbiased variances."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics._churn import same_vote
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._functions import WholeResult, mean_metric, non_streaming_metric
from traintwice.metrics._means import each_weight, total_weight, weights_of
from traintwice.predictions import Predictions
from traintwice.types import Array


@mean_metric("vote entropy", "deviation", unit="number")
def vote_entropy(predictions: Predictions) -> Array:
    r"""Entropy of the replicas' votes on an example, in nats, mean over examples.

        vote entropy = mean_n −Σ_c (v_nc/M) log(v_nc/M)

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
    Returns:
        A number in [0, log min(M, K)]; ``values`` gives −log(share of the replicas that vote alike), ``M N``. 0.325 reads: as
        undecided as one vote in ten for another label. Its expectation grows with M: do not compare between different M.
    Raises:
        TooFewReplicas: fewer than two replicas.
    Source:
        Dagan & Engelson 1995 (committee disagreement), natural logarithm.
    Example:
        >>> round(vote_entropy(np.array([[0, 1], [0, 2]])), 12)
        0.34657359028
    """
    xp = predictions.xp
    same = xp.astype(same_vote(xp, predictions.votes), xp.float64)
    return math.log(predictions.replicas) - xp.log(same)


@mean_metric("ambiguity", "deviation", scale="logit")
def ambiguity(predictions: Predictions, *, of: int = 3) -> Array:
    r"""Fraction of examples on which a few replicas, drawn from those there are, do not all agree.

        ambiguity = 1 − mean_n Σ_c C(v_nc, m) / C(M, m),   m = ``of``

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= ``of``.
        of: how many replicas are drawn, m; with 2 it is `churn`.
    Returns:
        A number in [0, 1]; ``values`` gives, for each replica, the chance that m − 1 others do not all vote as it does, ``M N``.
        0.05 reads: with three trainings, 5 examples in 100 get more than one label. Its expectation does not depend on M, only on
        m.
    Raises:
        TooFewReplicas: fewer than m replicas. BadInput: m below 2.
    Source:
        Marx et al. 2020 (predictive multiplicity). Ours: rarefied to m replicas, so that studies of different M can be compared.
    Example:
        >>> ambiguity(np.array([[0, 1], [0, 1], [0, 2]]))
        0.5
    """
    if of < 2:
        raise BadInput(f"ambiguity: got of={of}, expected at least 2 replicas that may disagree")
    xp, replicas = predictions.xp, predictions.replicas
    if replicas < of:
        raise TooFewReplicas(f"ambiguity of {of} replicas: got {replicas}; train more, or pass of={max(replicas, 2)}")
    others = xp.astype(same_vote(xp, predictions.votes), xp.float64) - 1
    agree = xp.ones_like(others)
    for i in range(of - 1):  # C(v − 1, m − 1) / C(M − 1, m − 1), zero as soon as v − 1 < m − 1
        agree = agree * (others - i) / (replicas - 1 - i)
    return 1.0 - agree


@non_streaming_metric("Fleiss κ", "deviation", unit="number", scale="plain")
def fleiss_kappa(predictions: Predictions) -> WholeResult:
    r"""Agreement of the replicas' labels beyond what their class frequencies alone would give.

        κ = (A − A_e) / (1 − A_e),   A = 1 − churn,   A_e = Σ_c p_c²,   p_c = share of all votes that go to class c

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
    Returns:
        A number of at most 1; 1 is full agreement, 0 is chance agreement. 0.9 reads: a tenth of the disagreement that chance would
        give is left.
    Raises:
        TooFewReplicas: one replica. Undefined: all votes go to one class.
    Source:
        Fleiss 1971, replicas as raters. Ours: not one-pass here; the number without a replica is computed again.
    Example:
        >>> round(fleiss_kappa(np.array([[0, 1, 0, 1], [0, 1, 1, 1]])), 12)
        0.466666666667
    """
    votes, weights, replicas = to_numpy(predictions.votes), each_weight(predictions), predictions.replicas
    total = weights.sum()
    place = votes if votes.dtype == np.uint8 else np.unique(votes, return_inverse=True)[1].reshape(votes.shape)
    share = sum(np.bincount(of_replica, weights=weights, minlength=int(place.max()) + 1) for of_replica in place) / (
        replicas * total
    )
    by_chance = share @ share
    if np.count_nonzero(share) == 1:
        raise Undefined("Fleiss κ has no value here: all votes go to one class")
    differs = (replicas - to_numpy(same_vote(predictions.xp, predictions.votes)).astype(np.float64)) / (replicas - 1)
    rows = differs @ weights / total
    churn = rows.mean()
    of_churn = differs.mean(axis=0) - churn
    of_chance = 2 * (share[place].mean(axis=0) - by_chance)
    slope = -of_churn / (1 - by_chance) - churn * of_chance / (1 - by_chance) ** 2
    value = 1 - churn / (1 - by_chance)
    return WholeResult(float(value), 1 - rows / (1 - by_chance), weights * slope * (len(weights) / total))


def churn_matrix(predictions: Predictions | Array, labels: Array | None = None) -> np.ndarray:
    """Churn between each two replicas.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 1.
    Returns:
        A symmetric matrix ``M M`` with zeros on its diagonal; the mean off the diagonal is `churn`.
    Example:
        >>> churn_matrix(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]])).tolist()
        [[0.0, 0.25, 0.5], [0.25, 0.0, 0.25], [0.5, 0.25, 0.0]]
    """
    p = Predictions.of(predictions, labels)
    votes, weights = to_numpy(p.votes), weights_of(p)
    between = np.zeros((p.replicas, p.replicas))
    for a, b in combinations(range(p.replicas), 2):
        differs = votes[a] != votes[b]
        between[a, b] = between[b, a] = np.count_nonzero(differs) if weights is None else differs @ weights
    return between / total_weight(p, weights)


@non_streaming_metric("discrepancy", "deviation")
def discrepancy(predictions: Predictions) -> WholeResult:
    r"""Churn of the two replicas that differ most.

        discrepancy = max over pairs a < b of P(ŷ_a ≠ ŷ_b)

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
    Returns:
        A number in [churn, 1]. 0.05 reads: the two trainings furthest apart give 5 examples in 100 another label. It grows with
        M: do not compare between different M.
    Raises:
        TooFewReplicas: one replica.
    Source:
        Marx et al. 2020. Ours: over all pairs, not against one reference model. A largest value has no first-order influence of
        single examples, so there is no example part; not one-pass.
    Example:
        >>> discrepancy(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]))
        0.5
    """
    between = churn_matrix(predictions)
    rows = between.max(axis=1)
    return WholeResult(float(rows.max()), rows, None)


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
