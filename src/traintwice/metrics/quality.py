"""How good single predictions are: accuracy, error, log loss."""

from __future__ import annotations

from traintwice.metrics.functions import mean_metric
from traintwice.predictions import Predictions
from traintwice.types import Array


@mean_metric("accuracy", "replica", needs_labels=True)
def accuracy(predictions: Predictions) -> Array:
    r"""Fraction of examples whose predicted label is the true one, mean over replicas.

        accuracy = mean over m and n of [ŷ_mn = y_n]

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives 0 or 1 for each prediction, ``M N``. 0.95 reads: 95 of 100 are right.
    Raises:
        BadInput: no labels.
    Source:
        The usual definition. Ours: ties go to the lowest class.
    Example:
        >>> accuracy(np.array([[0, 1, 2, 2], [0, 1, 1, 2]]), np.array([0, 1, 1, 1]))
        0.625
    """
    return predictions.correct


@mean_metric("error", "replica", needs_labels=True)
def error(predictions: Predictions) -> Array:
    r"""Fraction of examples whose predicted label is not the true one, mean over replicas.

        error = 1 − accuracy

    Args:
        predictions: probabilities ``M N K``, predicted labels ``M N``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 1]; ``values`` gives 0 or 1 for each prediction, ``M N``. 0.05 reads: 5 of 100 are wrong.
    Raises:
        BadInput: no labels.
    Source:
        The usual definition.
    Example:
        >>> error(np.array([[0, 1, 2, 2], [0, 1, 1, 2]]), np.array([0, 1, 1, 1]))
        0.375
    """
    return 1.0 - predictions.correct


@mean_metric("log loss", "replica", unit="number", needs_labels=True, needs_probs=True)
def log_loss(predictions: Predictions) -> Array:
    r"""Mean negative log probability of the true label, in nats, mean over replicas.

        log loss = mean over m and n of −log P_mn(y_n)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number >= 0; infinite where a model gives probability 0 to a true label. ``values`` gives the loss of each
        prediction, ``M N``. 0.05 reads: the true label typically gets probability exp(−0.05) = 0.95.
    Raises:
        BadInput: no labels, or predicted labels instead of probabilities.
    Source:
        The usual definition, natural logarithm. Ours: zeros are not clipped.
    Example:
        >>> round(log_loss(np.array([[[0.5, 0.5], [0.25, 0.75]]]), np.array([0, 1])), 12)
        0.490414626506
    """
    # The sign is taken of the difference so that a certain and right prediction costs 0.0, not -0.0.
    return 0.0 - _log(predictions, predictions.of_label)


def _log(predictions: Predictions, values: Array) -> Array:
    """Natural logarithm with log 0 = −inf and no warning."""
    xp = predictions.xp
    positive = values > 0
    return xp.where(positive, xp.log(xp.where(positive, values, xp.ones_like(values))), -xp.inf)
