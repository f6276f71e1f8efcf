"""Disagreement of predicted labels: churn, its split by whether the first model was right, and flips from an old to a new model."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from traintwice.metrics._functions import mean_metric, ratio_metric
from traintwice.metrics._pairwise import sum_over_others
from traintwice.metrics._quality import accuracy, error
from traintwice.predictions import Predictions
from traintwice.types import Array

PAIRS_UP_TO = 20
"""Up to this many replicas, comparing pairs is faster than counting votes; both are exact and equal."""


def _total(predictions: Predictions) -> int:
    """How many ordered pairs of replicas disagree, over all examples."""
    votes = predictions.votes
    if predictions.replicas > PAIRS_UP_TO or not isinstance(votes, np.ndarray):
        return int(predictions.xp.sum(_others(predictions)))
    differs = np.empty(votes.shape[1], dtype=np.bool_)
    return 2 * sum(int(np.count_nonzero(np.not_equal(a, b, out=differs))) for a, b in combinations(votes, 2))


def _others(predictions: Predictions) -> Array:
    """How many of the other replicas disagree with replica m on example n; integers ``M N``."""
    votes = predictions.votes
    if predictions.replicas <= PAIRS_UP_TO and isinstance(votes, np.ndarray):  # no second array of that size
        return _count_others(votes, np.not_equal)
    return predictions.replicas - same_vote(predictions.xp, votes)


@mean_metric("churn", "pair", counts_out_of=lambda replicas: replicas - 1, total=_total)
def churn(predictions: Predictions) -> Array:
    r"""Fraction of examples whose predicted label differs between two trainings of the same recipe.

        churn = mean over pairs a < b and examples n of [ŷ_a,n ≠ ŷ_b,n] = mean_n 1 − Σ_c v_nc (v_nc − 1) / (M (M − 1))

    Args:
        predictions: probabilities ``M N K``, or predicted labels ``M N`` (integers), or `Predictions`; M >= 2.
    Returns:
        A number in [0, 1]; ``churn.values(probs)`` gives for each replica the fraction of the others that disagree
        with it, ``M N``. 0.05 reads: two trainings give 5 examples in 100 another label.
    Raises:
        TooFewReplicas: one replica has nothing to disagree with.
    Source:
        CH eq. (3); the Hamming prediction difference Δ^H of AD. Ours: the mean over all pairs of replicas.
    Example:
        >>> churn(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]))
        0.3333333333333333
    """
    return _others(predictions)


def same_vote(xp: Any, votes: Array) -> Array:
    """How many replicas, itself among them, vote as replica m does on example n; integers ``M N``."""
    replicas = int(votes.shape[0])
    if replicas <= PAIRS_UP_TO and isinstance(votes, np.ndarray):
        return _count_others(votes, np.equal) + np.uint8(1)
    if replicas <= PAIRS_UP_TO:
        return sum_over_others(xp, replicas, lambda a, b: xp.astype(votes[a, :] == votes[b, :], xp.uint8)) + 1
    counts = xp.zeros(votes.shape, dtype=xp.int64)
    for label in xp.unique_values(votes):
        voted = votes == label
        counts = xp.where(voted, xp.sum(xp.astype(voted, xp.int64), axis=0)[None, :], counts)
    return counts


def _count_others(votes: np.ndarray, compare: np.ufunc) -> np.ndarray:
    """For each replica and example the other replicas of which a comparison holds, added as bytes and in place."""
    rows = np.zeros(votes.shape, dtype=np.uint8)
    holds = np.empty(votes.shape[1], dtype=np.bool_)
    for a in range(len(votes)):
        for b in range(a + 1, len(votes)):
            compare(votes[a], votes[b], out=holds)
            rows[a] += holds.view(np.uint8)
            rows[b] += holds.view(np.uint8)
    return rows


def _split(predictions: Predictions, first_is: Array) -> Array:
    """How many ordered pairs with replica m disagree and have their first model in the set; integers ``M N``.

    Replicas with equal votes are in the set together, so counts of votes suffice: of the others that differ from m,
    all count where m is in the set, and those in the set count in the other order.
    """
    xp = predictions.xp
    same, in_set = xp.astype(same_vote(xp, predictions.votes), xp.int64), xp.astype(first_is, xp.int64)
    others_in_set = xp.sum(in_set, axis=0)[None, :] - in_set * same
    return in_set * (predictions.replicas - same) + others_in_set


@mean_metric("churn and first model right", "pair", counts_out_of=lambda replicas: 2 * (replicas - 1), needs_labels=True)
def _churn_and_correct(predictions: Predictions) -> Array:
    return _split(predictions, predictions.correct)


@mean_metric("churn and first model wrong", "pair", counts_out_of=lambda replicas: 2 * (replicas - 1), needs_labels=True)
def _churn_and_incorrect(predictions: Predictions) -> Array:
    return _split(predictions, ~predictions.correct)


@ratio_metric("churn correct", _churn_and_correct, accuracy, unit="fraction")
def churn_correct() -> None:
    r"""How often a second training changes a label that the first had right.

        churn correct = P(ŷ_b ≠ ŷ_a given ŷ_a = y), over ordered pairs (a, b)

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``M N``. 0.05 reads:
        of 100 right answers the second training changes 5. accuracy·(churn correct) + error·(churn incorrect) = churn.
    Raises:
        TooFewReplicas: fewer than two replicas. Undefined: no prediction is right.
    Source:
        CH Table 2. Ours: numerator and denominator are pooled over pairs before dividing.
    Example:
        >>> churn_correct(np.array([[0, 1, 2, 2], [0, 1, 1, 2]]), np.array([0, 1, 1, 1]))
        0.2
    """


@ratio_metric("churn incorrect", _churn_and_incorrect, error, unit="fraction", scale="logit")
def churn_incorrect() -> None:
    r"""How often a second training changes a label that the first had wrong.

        churn incorrect = P(ŷ_b ≠ ŷ_a given ŷ_a ≠ y), over ordered pairs (a, b)

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``M N``. 0.4 reads: of
        10 wrong answers the second training changes 4, whether to the right label or to another wrong one.
    Raises:
        TooFewReplicas: fewer than two replicas. Undefined: no prediction is wrong.
    Source:
        CH Table 2. Ours: numerator and denominator are pooled over pairs before dividing.
    Example:
        >>> churn_incorrect(np.array([[0, 1, 2, 2], [0, 1, 1, 2]]), np.array([0, 1, 1, 1]))
        0.3333333333333333
    """


@ratio_metric("churn / error", churn, error, unit="number", scale="logit", limit=2.0)
def churn_to_error() -> None:
    r"""Churn in units of the error rate.

        churn / error

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 2.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number >= 0, at most 2 (Lemma 1 of CH: churn of a pair is at most the sum of the two errors). 1 reads: as much
        disagreement as error, which is what replicas with calibrated votes show; over-confident and constant models lie
        below 1 too, so read it only against the baseline of the same table.
    Raises:
        TooFewReplicas: fewer than two replicas. Undefined: no prediction is wrong.
    Source:
        Jiang et al. 2022 (disagreement equals error where votes are calibrated).
    Example:
        >>> churn_to_error(np.array([[0, 1, 2, 2], [0, 1, 1, 2]]), np.array([0, 1, 1, 1]))
        0.6666666666666666
    """


def _both(predictions: Predictions, flipped: Array) -> Array:
    """The same contribution for the old and the new model, ``2 N``."""
    return predictions.xp.stack([flipped, flipped], axis=0)


def _changed(predictions: Predictions) -> Array:
    return predictions.votes[0, :] != predictions.votes[1, :]


@mean_metric("churn old to new", "pair", counts_out_of=lambda replicas: 1, old_vs_new=True)
def _flips(predictions: Predictions) -> Array:
    return _both(predictions, _changed(predictions))


@mean_metric("negative flips", "pair", counts_out_of=lambda replicas: 1, needs_labels=True, old_vs_new=True)
def negative_flips(predictions: Predictions) -> Array:
    r"""Fraction of examples that the old model had right and the new one has wrong.

        negative flips = mean_n [ŷ_old,n = y_n and ŷ_new,n ≠ y_n]

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives 0 or 1, ``2 N``. 0.05 reads: 5 of 100 examples regressed with the update.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels.
    Source:
        Yan et al. 2021 (positive-congruent training), negative flip rate.
    Example:
        >>> negative_flips(np.array([[0, 1, 1, 0], [0, 0, 1, 1]]), np.array([0, 1, 0, 1]))
        0.25
    """
    right = predictions.correct
    return _both(predictions, right[0, :] & ~right[1, :])


@mean_metric("positive flips", "pair", counts_out_of=lambda replicas: 1, needs_labels=True, old_vs_new=True)
def positive_flips(predictions: Predictions) -> Array:
    r"""Fraction of examples that the old model had wrong and the new one has right.

        positive flips = mean_n [ŷ_old,n ≠ y_n and ŷ_new,n = y_n]      (accuracy gained = positive − negative flips)

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives 0 or 1, ``2 N``. 0.05 reads: 5 of 100 examples improved with the update.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels.
    Source:
        Yan et al. 2021, the counterpart of the negative flip rate.
    Example:
        >>> positive_flips(np.array([[0, 1, 1, 0], [0, 0, 1, 1]]), np.array([0, 1, 0, 1]))
        0.25
    """
    right = predictions.correct
    return _both(predictions, ~right[0, :] & right[1, :])


@mean_metric("lateral flips", "pair", counts_out_of=lambda replicas: 1, needs_labels=True, old_vs_new=True)
def lateral_flips(predictions: Predictions) -> Array:
    r"""Fraction of examples that go from one wrong label to another wrong label.

        lateral flips = mean_n [ŷ_old,n ≠ ŷ_new,n and neither is y_n]      (churn = negative + positive + lateral flips)

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1], 0 with two classes; ``values`` gives 0 or 1, ``2 N``. 0.05 reads: 5 of 100 examples changed their
        label and gained nothing.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels.
    Source:
        Ours: churn without negative and positive flips.
    Example:
        >>> lateral_flips(np.array([[0, 1, 1, 0], [0, 0, 1, 2]]), np.array([0, 1, 0, 1]))
        0.25
    """
    right = predictions.correct
    return _both(predictions, _changed(predictions) & ~right[0, :] & ~right[1, :])


@ratio_metric("bad churn", negative_flips, _flips, unit="fraction", scale="logit")
def bad_churn() -> None:
    r"""Share of the changed labels that changed for the worse.

        bad churn = negative flips / churn      (bad + good + lateral churn = 1)

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``2 N``. 0.4 reads: of 10
        changed labels 4 were right before and are wrong now.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels. Undefined: no label changed.
    Source:
        Milani Fard et al. 2016. Ours: as a share of churn; as a share of all examples it is `negative_flips`.
    Example:
        >>> bad_churn(np.array([[0, 1, 1, 0], [0, 0, 1, 1]]), np.array([0, 1, 0, 1]))
        0.5
    """


@ratio_metric("good churn", positive_flips, _flips, unit="fraction", scale="logit")
def good_churn() -> None:
    r"""Share of the changed labels that changed for the better.

        good churn = positive flips / churn      (bad + good + lateral churn = 1)

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``2 N``. 0.4 reads: of 10
        changed labels 4 were wrong before and are right now.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels. Undefined: no label changed.
    Source:
        Milani Fard et al. 2016. Ours: as a share of churn; as a share of all examples it is `positive_flips`.
    Example:
        >>> good_churn(np.array([[0, 1, 1, 0], [0, 0, 1, 1]]), np.array([0, 1, 0, 1]))
        0.5
    """


@ratio_metric("lateral churn", lateral_flips, _flips, unit="fraction", scale="logit")
def lateral_churn() -> None:
    r"""Share of the changed labels that were wrong before and are wrong still.

        lateral churn = lateral flips / churn      (bad + good + lateral churn = 1)

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1], 0 with two classes; ``values`` gives the contributions to numerator and denominator, each ``2 N``. 0.4
        reads: of 10 changed labels 4 went from one error to another.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels. Undefined: no label changed.
    Source:
        Ours: churn without good and bad churn.
    Example:
        >>> lateral_churn(np.array([[0, 1, 1, 0], [0, 0, 1, 2]]), np.array([0, 1, 0, 1]))
        0.5
    """


@ratio_metric("wins / losses", positive_flips, negative_flips, unit="number")
def win_loss_ratio() -> None:
    r"""Improved examples for each regressed example.

        wins / losses = positive flips / negative flips

    Args:
        predictions: probabilities ``2 N K``, predicted labels ``2 N``, or `Predictions`; the old model first.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number >= 0; ``values`` gives the contributions to numerator and denominator, each ``2 N``. 1.5 reads: 3 improve for 2 that
        regress; 1 means equal accuracy.
    Raises:
        TooFewReplicas: one model. BadInput: more than two models, or no labels. Undefined: no example regressed.
    Source:
        Milani Fard et al. 2016.
    Example:
        >>> win_loss_ratio(np.array([[0, 1, 1, 0], [0, 0, 1, 1]]), np.array([0, 1, 0, 1]))
        1.0
    """
