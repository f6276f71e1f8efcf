"""One old model against one new model: changed labels, for better and for worse."""

from __future__ import annotations

from traintwice.metrics._functions import mean_metric, ratio_metric
from traintwice.predictions import Predictions
from traintwice.types import Array


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


@ratio_metric("win-loss ratio", positive_flips, negative_flips, unit="number")
def win_loss_ratio() -> None:
    r"""Improved examples for each regressed example.

        win-loss ratio = positive flips / negative flips

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
