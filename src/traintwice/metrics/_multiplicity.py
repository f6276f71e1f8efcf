"""Predictive multiplicity: how far equally good replicas disagree on single examples, and against the model that is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.metrics._calibration import weighted_quantiles
from traintwice.metrics._churn import same_vote
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._functions import mean_metric
from traintwice.metrics._means import each_weight, weights_of
from traintwice.metrics._quality import error, log_loss
from traintwice.predictions import Predictions
from traintwice.types import Array


class ShareAtLevel(NamedTuple):
    """The share of examples whose self-consistency is at least a level."""

    level: float
    share: float


class RangeAtQuantile(NamedTuple):
    """The viable range that a share of the examples, ``quantile``, does not exceed."""

    quantile: float
    range: float


@mean_metric("self-consistency", "pair", scale="logit", counts_out_of=lambda replicas: replicas - 1)
def self_consistency(predictions: Predictions) -> Array:
    r"""Chance that two replicas give an example the same label, mean over examples.

        self-consistency = mean_n 1 − u_n,   u_n = 1 − Σ_c v_nc (v_nc − 1) / (M (M − 1))

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
    Returns:
        A number in [0, 1], 1 − `churn`; ``values`` gives for each replica the fraction of the others that agree with it, ``M N``, and
        the mean of ``values`` over replicas is the self-consistency of each example. 0.95 reads: two trainings give 95 examples in 100
        the same label; 0.05 reads: 5 in 100.
    Raises:
        TooFewReplicas: fewer than two replicas.
    Source:
        Cooper et al. 2024, with equal costs of both errors. Ours: any number of classes.
    Example:
        >>> self_consistency(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]))
        0.6666666666666666
    """
    return same_vote(predictions.xp, predictions.votes) - 1


@typed
def self_consistency_distribution(
    predictions: Predictions | Array, *, levels: Sequence[float] = (1.0, 0.99, 0.95, 0.9, 0.75, 0.5)
) -> list[ShareAtLevel]:
    """Share of the examples that reach each level of self-consistency.

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
        levels: of self-consistency, from 0 to 1.
    Returns:
        (level, share of the examples whose self-consistency is at least the level), in the order of ``levels``. At level 1.0 it is the
        share of examples on which all replicas agree.
    Raises:
        TooFewReplicas: one replica.
    Source:
        Cooper et al. 2024 show the cumulative distribution. With M replicas a self-consistency is one of few numbers: with 10 replicas,
        the largest below 1 is 0.8.
    Example:
        >>> self_consistency_distribution(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]), levels=(1.0, 0.3))
        [ShareAtLevel(level=1.0, share=0.5), ShareAtLevel(level=0.3, share=1.0)]
    """
    p = Predictions.of(predictions)
    p.require_pairs("self-consistency")
    agree = (to_numpy(same_vote(p.xp, p.votes)).astype(np.int64) - 1).sum(axis=0)
    consistency, weights = agree / (p.replicas * (p.replicas - 1)), weights_of(p)
    return [ShareAtLevel(level, float(np.average(consistency >= level, weights=weights))) for level in levels]


def _of_predicted_class(predictions: Predictions) -> Array:
    """Probability of the class that the mean over replicas predicts, ``M N``; of class 1 where there are two."""
    xp = predictions.xp
    if predictions.classes == 2:
        return predictions.probs[:, :, 1]
    top = xp.argmax(predictions.mean, axis=0)
    index = xp.broadcast_to(top[None, None, :], (predictions.replicas, 1, predictions.examples))
    return xp.take_along_axis(predictions.by_class, index, axis=1)[:, 0, :]


def _range(predictions: Predictions) -> Array:
    """Largest minus smallest probability over replicas, ``N``."""
    xp, probs = predictions.xp, _of_predicted_class(predictions)
    return xp.max(probs, axis=0) - xp.min(probs, axis=0)


@mean_metric("viable range", "deviation", unit="number", limit=1.0, soft=True, needs_probs=True)
def viable_range(predictions: Predictions) -> Array:
    r"""Largest minus smallest probability that the replicas give an example, mean over examples.

        viable range = mean_n max_m P_mnk − min_m P_mnk,   k = 1 of two classes, else the class with the largest P̄_nk

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
    Returns:
        A number in [0, 1]; ``values`` gives the range of each example, the same for each replica, ``M N``. 0.05 reads: the probability of
        an example depends on the training by 0.05 from one extreme to the other. It grows with M: do not compare between different M.
    Raises:
        TooFewReplicas: one replica has no range. BadInput: predicted labels instead of probabilities.
    Source:
        Watson-Daniels et al. 2023 for binary models. Ours: with more than two classes the probability of the class that the mean over
        replicas predicts (ties to the lowest class). With two classes both have the same range.
    Example:
        >>> round(viable_range(np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.7, 0.3]]])), 12)
        0.3
    """
    found = _range(predictions)
    return predictions.xp.broadcast_to(found[None, :], (predictions.replicas, predictions.examples))


@mean_metric("percentile width", "deviation", unit="number", limit=1.0, soft=True, needs_probs=True)
def percentile_width(predictions: Predictions, *, low: float = 0.05, high: float = 0.95) -> Array:
    r"""Width between two percentiles over replicas of the probability of an example, mean over examples.

        percentile width = mean_n Q_high(P_·nk) − Q_low(P_·nk),   k = 1 of two classes, else the class with the largest P̄_nk

    Args:
        predictions: probabilities ``M N K``, the positive class second of two, or `Predictions`; M >= 2.
        low, high: which quantiles over replicas, from 0 to 1; with 0 and 1 it is `viable_range`.
    Returns:
        A number in [0, 1]; ``values`` gives the width of each example, the same for each replica, ``M N``. 0.05 reads: nine in ten
        trainings give an example a probability within an interval of length 0.05. Of few replicas (below about 20) the default quantiles
        are close to the extremes and the number still grows with M.
    Raises:
        TooFewReplicas: one replica has no width. BadInput: predicted labels instead of probabilities, or not 0 <= low < high <= 1.
    Source:
        Ours, a `viable_range` that single replicas move less. Quantiles are interpolated linearly between order statistics (Hyndman and
        Fan 1996, type 7).
    Example:
        >>> round(percentile_width(np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.7, 0.3]]]), low=0.25, high=0.75), 12)
        0.15
    """
    if not 0 <= low < high <= 1:
        raise BadInput(f"percentile_width: got low={low}, high={high}, expected 0 <= low < high <= 1")
    xp, replicas = predictions.xp, predictions.replicas
    ordered = xp.sort(_of_predicted_class(predictions), axis=0)
    width = _quantile(ordered, high) - _quantile(ordered, low)
    return xp.broadcast_to(width[None, :], (replicas, predictions.examples))


def _quantile(ordered: Array, share: float) -> Array:
    """Quantile along the first axis of sorted values, interpolated linearly."""
    last = int(ordered.shape[0]) - 1
    below = min(int(share * last), last - 1)
    return ordered[below, ...] + (share * last - below) * (ordered[below + 1, ...] - ordered[below, ...])


@typed
def viable_range_distribution(
    predictions: Predictions | Array, *, quantiles: Sequence[float] = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
) -> list[RangeAtQuantile]:
    """Quantiles over examples of the viable range.

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 2.
        quantiles: shares of the examples, above 0 and at most 1.
    Returns:
        (quantile, smallest range that this share of the examples does not exceed), in the order of ``quantiles``. At 1.0 it is the
        largest range.
    Raises:
        TooFewReplicas: one replica. BadInput: predicted labels instead of probabilities, or a quantile outside (0, 1].
    Source:
        Ours, over the range of `viable_range`.
    Example:
        >>> probs = np.array([[[0.75, 0.25], [0.5, 0.5]], [[0.25, 0.75], [0.5, 0.5]]])
        >>> viable_range_distribution(probs, quantiles=(0.5, 1.0))
        [RangeAtQuantile(quantile=0.5, range=0.0), RangeAtQuantile(quantile=1.0, range=0.5)]
    """
    p = Predictions.of(predictions)
    p.require_pairs("viable range")
    if not all(0 < quantile <= 1 for quantile in quantiles):
        raise BadInput(f"viable_range_distribution: got quantiles {tuple(quantiles)}, expected numbers above 0 and at most 1")
    ranges = np.concatenate([to_numpy(_range(block)) for _, _, block in p.blocks()])
    found = weighted_quantiles(ranges, each_weight(p), np.asarray(quantiles)).tolist()
    return [RangeAtQuantile(*pair) for pair in zip(quantiles, found, strict=True)]


def ambiguity_against(served: Predictions | Array, replicas: Predictions | Array) -> float:
    r"""Share of the examples on which at least one replica gives another label than the served model.

        ambiguity against served = mean_n max_m [ŷ_mn ≠ ŷ_served,n]

    Args:
        served: predictions of one model, ``1 N K`` or ``1 N``, or `Predictions`.
        replicas: predictions of its retrains, ``M N K`` or ``M N``, or `Predictions`; M >= 1. Their weights count.
    Returns:
        A number in [0, 1]. 0.05 reads: 5 examples in 100 would have another label after one of the retrains. It grows with M.
    Raises:
        BadInput: more than one served model, or other examples.
    Source:
        Marx et al. 2020, the replicas as the set of good models. Without a served model: `ambiguity`.
    Example:
        >>> votes = np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]])
        >>> ambiguity_against(votes[:1], votes[1:])
        0.5
    """
    differs, weights = _against(served, replicas)
    return float(np.average(differs.any(axis=0), weights=weights))


def discrepancy_against(served: Predictions | Array, replicas: Predictions | Array) -> float:
    r"""Largest churn of a replica against the served model.

        discrepancy against served = max_m mean_n [ŷ_mn ≠ ŷ_served,n]

    Args:
        served: predictions of one model, ``1 N K`` or ``1 N``, or `Predictions`.
        replicas: predictions of its retrains, ``M N K`` or ``M N``, or `Predictions`; M >= 1. Their weights count.
    Returns:
        A number in [0, `ambiguity_against`]. 0.05 reads: the retrain furthest from the served model changes 5 labels in 100. It grows
        with M.
    Raises:
        BadInput: more than one served model, or other examples.
    Source:
        Marx et al. 2020, the replicas as the set of good models. Without a served model: `discrepancy`.
    Example:
        >>> votes = np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]])
        >>> discrepancy_against(votes[:1], votes[1:])
        0.5
    """
    differs, weights = _against(served, replicas)
    return float(np.average(differs, axis=1, weights=weights).max())


def _against(served: Predictions | Array, replicas: Predictions | Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Where the label of a replica is not that of the served model, ``M N``, and the weights."""
    one, others = Predictions.of(served), Predictions.of(replicas)
    if one.replicas != 1:
        raise BadInput(f"served: got {one.replicas} models, expected 1, as in probs[:1]")
    if one.examples != others.examples:
        raise BadInput(f"served: got {one.examples:,} examples, expected the {others.examples:,} of the replicas")
    return to_numpy(one.votes) != to_numpy(others.votes), weights_of(others)


@typed
def replicas_within_loss(predictions: Predictions | Array, epsilon: float, labels: Array | None = None) -> np.ndarray:
    r"""Replicas that are nearly as good as the best one.

        { m : loss_m <= min over replicas of loss + ε }

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 1.
        epsilon: ε, how much worse than the best a replica may be, >= 0: in nats of log loss, or as a share of wrong labels where
            only predicted labels are known.
        labels: true labels, integers, shape ``N``.
    Returns:
        Indices of the replicas, ascending; the best one is among them. ``churn(probs[kept])`` measures those kept.
    Raises:
        BadInput: no labels, scores instead of probabilities, or epsilon is negative or not finite.
    Source:
        Marx et al. 2020 (the ε-level set of good models). Ours: relative to the best of these replicas, on these examples, so it should
        be chosen on other examples than those reported.
    Example:
        >>> replicas_within_loss(np.array([[0, 1, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]), 0.25, np.array([0, 1, 1, 0])).tolist()
        [0, 1]
    """
    if not 0 <= epsilon < float("inf"):
        raise BadInput(f"replicas_within_loss: got epsilon={epsilon}, expected a finite number of at least 0")
    p = Predictions.of(predictions, labels)
    losses = (log_loss if p.has_probs else error).measure(p).rows
    return np.flatnonzero(losses <= losses.min() + epsilon)
