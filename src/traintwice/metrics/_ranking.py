"""Measures of order: rank loss and AUC against labels, agreement of two replicas' rankings."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np

from traintwice.errors import BadInput, Undefined
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._differences import one_score
from traintwice.metrics._functions import WholeResult, non_streaming_metric
from traintwice.metrics._means import each_weight
from traintwice.predictions import Predictions
from traintwice.types import Array


def positive_scores(predictions: Predictions) -> Array:
    """Score of the positive class, ``M N``: the second probability of two, or the scores themselves."""
    return one_score(predictions) if predictions.has_scores else predictions.probs[:, :, 1]


@non_streaming_metric(
    "rank loss", "replica", unit="number", limit=1.0, needs_labels=True, needs_probs=True, binary=True, or_scores=True
)
def rank_loss(predictions: Predictions) -> WholeResult:
    r"""How often a negative example is ranked above a positive one: 1 − AUC, mean over replicas.

        rank loss = mean over m, positive i and negative j of [s_mi < s_mj] + ½ [s_mi = s_mj]

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions` (of scores ``M N`` too); M >= 1.
        labels: 0 or 1, shape ``N``.
    Returns:
        A number in [0, 1]; 0.5 is a coin. 0.05 reads: of 100 pairs of a positive and a negative example 5 are in wrong order.
    Raises:
        BadInput: no labels, or more than two classes. Undefined: all labels are alike.
    Source:
        AD Table 3 shows its relative change without defining it. Ours: 1 − AUC, ties count one half; the influence of an example
        is DeLong's. Not one-pass: it needs an order.
    Example:
        >>> rank_loss(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]]), np.array([0, 1, 0]))
        0.5
    """
    wrong, influence = _pairs_in_wrong_order(predictions, "rank loss")
    return WholeResult(float(wrong.mean()), wrong, influence)


@non_streaming_metric(
    "AUC", "replica", unit="number", scale="logit", needs_labels=True, needs_probs=True, binary=True, or_scores=True
)
def auc(predictions: Predictions) -> WholeResult:
    r"""How often a positive example is ranked above a negative one: the area under the ROC curve, mean over replicas.

        AUC = mean over m, positive i and negative j of [s_mi > s_mj] + ½ [s_mi = s_mj] = 1 − rank loss

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions` (of scores ``M N`` too); M >= 1.
        labels: 0 or 1, shape ``N``.
    Returns:
        A number in [0, 1]; 0.5 is a coin, and below 0.5 the classes may be in the wrong order. 0.95 reads: of 100 pairs of a positive and
        a negative example 95 are in the right order; 0.05 reads: 5 are.
    Raises:
        BadInput: no labels, or more than two classes. Undefined: all labels are alike.
    Source:
        The usual definition, as `rank_loss`. Ours: ties count one half; the influence of an example is DeLong's. Not one-pass: it
        needs an order.
    Example:
        >>> auc(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]]), np.array([0, 1, 0]))
        0.5
    """
    wrong, influence = _pairs_in_wrong_order(predictions, "AUC")
    return WholeResult(float(1 - wrong.mean()), 1 - wrong, -influence)


def _pairs_in_wrong_order(predictions: Predictions, title: str) -> tuple[np.ndarray, np.ndarray]:
    """The rank loss of each replica, ``M``, and the influence of each example, ``N``; ``title`` names the metric in errors."""
    scores, labels, weights = to_numpy(positive_scores(predictions)), to_numpy(predictions.labels), each_weight(predictions)
    positive, negative = weights * (labels == 1), weights * (labels == 0)
    if positive.sum() == 0 or negative.sum() == 0:
        raise Undefined(f"{title} has no value here: it needs examples of both labels")
    rows, influence = np.zeros(predictions.replicas), np.zeros(predictions.examples)
    for m, of_replica in enumerate(scores):
        _, place = np.unique(of_replica, return_inverse=True)
        positive_at, negative_at = np.bincount(place, weights=positive), np.bincount(place, weights=negative)
        negative_above = (negative.sum() - np.cumsum(negative_at) + negative_at / 2)[place] / negative.sum()
        positive_below = (np.cumsum(positive_at) - positive_at / 2)[place] / positive.sum()
        rows[m] = positive @ negative_above / positive.sum()
        influence += positive / positive.sum() * (negative_above - rows[m]) + negative / negative.sum() * (
            positive_below - rows[m]
        )
    return rows, influence * (len(weights) / predictions.replicas)


def _over_pairs(of_replicas: np.ndarray, between: Callable[[np.ndarray, np.ndarray], float]) -> WholeResult:
    """Mean and rows of a symmetric function of two replicas."""
    replicas = len(of_replicas)
    found = np.zeros((replicas, replicas))
    for a, b in combinations(range(replicas), 2):
        found[a, b] = found[b, a] = between(of_replicas[a], of_replicas[b])
    rows = found.sum(axis=1) / (replicas - 1)
    return WholeResult(float(rows.mean()), rows, None)


@non_streaming_metric(
    "Kendall τ", "pair", unit="number", scale="plain", weighted=False, needs_probs=True, binary=True, or_scores=True
)
def kendall_tau(predictions: Predictions) -> WholeResult:
    r"""Agreement of two replicas' order of the examples by the score of the positive class, mean over pairs of replicas.

        τ_b = (concordant − discordant) / sqrt((pairs not tied in a)(pairs not tied in b)), over pairs of examples

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions` (of scores ``M N`` too); M >= 2.
    Returns:
        A number in [−1, 1]; 1 is the same order. 0.95 reads: without ties, two trainings put 25 in 1,000 pairs of examples in
        opposite order.
    Raises:
        TooFewReplicas: one replica. BadInput: more than two classes, or weights. Undefined: a replica scores all examples alike.
    Source:
        Kendall 1945, variant b. Ours: the mean over all pairs of replicas. It has no example part of an interval here, and is
        not one-pass: it needs an order.
    Example:
        >>> round(kendall_tau(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]], [[0.6, 0.4], [0.9, 0.1], [0.3, 0.7]]])), 12)
        0.333333333333
    """
    scores = to_numpy(positive_scores(predictions))
    for m, of_replica in enumerate(scores):
        if (of_replica == of_replica[0]).all():
            raise Undefined(f"Kendall τ has no value here: replica {m} gives every example the same score")
    return _over_pairs(scores, _tau_b)


def _tau_b(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ-b of two vectors, in n log n steps."""
    x, y = (np.unique(v, return_inverse=True)[1].astype(np.int64) for v in (first, second))
    pairs = len(x) * (len(x) - 1) // 2
    tied_x, tied_y, tied_both = _pairs_of(x), _pairs_of(y), _pairs_of(x * (int(y.max()) + 1) + y)
    discordant = _inversions(y[np.lexsort((y, x))])
    concordant_less_discordant = pairs - tied_x - tied_y + tied_both - 2 * discordant
    return float(concordant_less_discordant / math.sqrt(pairs - tied_x) / math.sqrt(pairs - tied_y))


def _pairs_of(codes: np.ndarray) -> int:
    """Pairs of equal entries."""
    counts = np.unique(codes, return_counts=True)[1].astype(object)  # Python integers: a product may not fit 64 bits
    return int((counts * (counts - 1) // 2).sum())


def _inversions(ranks: np.ndarray) -> int:
    """Pairs i < j with ranks[i] > ranks[j], bit by bit: two ranks part at their highest different bit."""
    found = 0
    for bit in reversed(range(int(ranks.max()).bit_length())):
        high = (ranks >> bit) & 1
        block = ranks >> (bit + 1)  # equal higher bits; entries of a block are next to each other, in their first order
        before = np.cumsum(high) - high
        starts = np.flatnonzero(np.r_[True, block[1:] != block[:-1]])
        at_start = np.repeat(before[starts], np.diff(np.r_[starts, len(ranks)]))
        found += int(((before - at_start) * (1 - high)).sum())
        ranks = ranks[np.argsort(ranks >> bit, kind="stable")]
    return found


@non_streaming_metric("top-k overlap", "pair", scale="logit", weighted=False, needs_probs=True, binary=True, or_scores=True)
def top_k_overlap(predictions: Predictions, *, k: int = 10) -> WholeResult:
    r"""Share of the k highest-ranked examples that two replicas have in common, mean over pairs of replicas.

        overlap = |top-k of a ∩ top-k of b| / k

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions` (of scores ``M N`` too); M >= 2.
        k: how many examples count as top, at most N.
    Returns:
        A number in [0, 1]; 1 is the same set. 0.8 reads: of the 10 best, two trainings share 8.
    Raises:
        TooFewReplicas: one replica. BadInput: more than two classes, weights, or k below 1. Undefined: fewer than k examples.
    Source:
        The usual definition. Ours: examples tied at the last place share it, each in part, so that their order in the file does
        not matter. It has no example part of an interval, and is not one-pass: it needs an order.
    Example:
        >>> top_k_overlap(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]], [[0.6, 0.4], [0.9, 0.1], [0.3, 0.7]]]), k=2)
        0.5
    """
    if k < 1:
        raise BadInput(f"top_k_overlap: got k={k}, expected at least 1")
    if k > predictions.examples:
        raise Undefined(f"top-{k} overlap has no value here: there are {predictions.examples} examples")
    scores = to_numpy(positive_scores(predictions))
    last = np.sort(scores, axis=1)[:, -k][:, None]
    above, tied = scores > last, scores == last
    member = above + tied * ((k - above.sum(axis=1)) / tied.sum(axis=1))[:, None]
    return _over_pairs(member, lambda a, b: float(np.minimum(a, b).sum() / k))
