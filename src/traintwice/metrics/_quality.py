"""Quality and entropy of single predictions, and errors of regressions against true values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._differences import one_score
from traintwice.metrics._divergences import clipped, x_log_x
from traintwice.metrics._functions import as_function, mean_metric
from traintwice.metrics._means import Conclusion, MeanOf, OnePass, Sums
from traintwice.metrics._summaries import MEAN, Estimator
from traintwice.predictions import Predictions
from traintwice.types import Array


@mean_metric("accuracy", "replica", scale="logit", counts_out_of=lambda replicas: 1, needs_labels=True)
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


@mean_metric("error", "replica", counts_out_of=lambda replicas: 1, needs_labels=True)
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
    return ~predictions.correct


@mean_metric("mean score", "replica", scale="logit", needs_outcomes=True)
def mean_score(predictions: Predictions) -> Array:
    """Mean score of the answers; the accuracy where every answer is right or wrong.

        mean score = mean over m and n of s_mn

    Args:
        predictions: made by `Predictions.from_outcomes`; M >= 1.
    Returns:
        A number in [0, 1]; ``values`` gives the score of each answer, ``M N``. 0.95 reads: an answer scores 0.95 on average.
    Raises:
        BadInput: no outcomes.
    Source:
        The usual definition.
    Example:
        >>> mean_score(Predictions.from_outcomes(np.array([[1.0, 0.5, 0.0]])))
        0.5
    """
    return predictions.outcomes


@mean_metric("log loss", "replica", unit="number", needs_labels=True, needs_probs=True, or_top=True)
def log_loss(predictions: Predictions, *, clip: float | None = None) -> Array:
    r"""Mean negative log probability of the true label, in nats, mean over replicas.

        log loss = mean over m and n of −log P_mn(y_n)

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
        clip: smallest probability; smaller ones are raised to it and the distribution is divided by its sum. None clips nothing.
    Returns:
        A number >= 0; infinite where a model gives probability 0 to a true label. ``values`` gives the loss of each
        prediction, ``M N``. 0.05 reads: the true label typically gets probability exp(−0.05) = 0.95.
    Raises:
        BadInput: no labels, or predicted labels instead of probabilities.
    Source:
        The usual definition, natural logarithm. Ours: zeros are not clipped unless asked.
    Example:
        >>> round(log_loss(np.array([[[0.5, 0.5], [0.25, 0.75]]]), np.array([0, 1])), 12)
        0.490414626506
    """
    xp = predictions.xp
    if clip is None:
        of_label = predictions.of_label
    else:
        index = xp.broadcast_to(predictions.labels[None, None, :], (predictions.replicas, 1, predictions.examples))
        of_label = xp.take_along_axis(clipped(predictions, clip), index, axis=1)[:, 0, :]
    positive = of_label > 0
    logs = xp.where(positive, xp.log(xp.where(positive, of_label, xp.ones_like(of_label))), -xp.inf)  # log 0 without a warning
    return 0.0 - logs  # a difference, so that a certain and right prediction costs 0.0, not -0.0


@mean_metric("Brier score", "replica", unit="number", limit=2.0, needs_labels=True, needs_probs=True)
def brier(predictions: Predictions) -> Array:
    r"""Squared distance between the probabilities and the true label, mean over replicas.

        Brier = mean over m and n of Σ_k (P_mnk − [k = y_n])²

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
        labels: true labels, integers, shape ``N``.
    Returns:
        A number in [0, 2]; ``values`` gives the contributions ``M N``. With two classes 0.05 reads: the true label is
        typically missed by sqrt(0.05 / 2) = 0.16.
    Raises:
        BadInput: no labels, or predicted labels instead of probabilities.
    Source:
        Brier 1950. Ours: summed over classes, so that for two classes it is twice the squared error of one probability.
    Example:
        >>> round(brier(np.array([[[0.9, 0.1], [0.6, 0.4]]]), np.array([0, 1])), 12)
        0.37
    """
    xp = predictions.xp
    # The sum of squares about the label's corner: Σ p² − 2 p_y + 1, without writing the corner out.
    return xp.sum(predictions.by_class**2, axis=1) - 2 * predictions.of_label + 1


@mean_metric("prediction entropy", "replica", unit="number", needs_probs=True)
def prediction_entropy(predictions: Predictions) -> Array:
    r"""Entropy of the probabilities in nats, mean over replicas: how undecided the models are.

        entropy = mean over m and n of −Σ_k P_mnk log P_mnk,   0 log 0 = 0

    Args:
        predictions: probabilities ``M N K``, or `Predictions`; M >= 1.
    Returns:
        A number in [0, log K]; ``values`` gives the entropy of each prediction, ``M N``. 0.05 reads: nearly certain; two classes
        at 0.99 and 0.01 have 0.056.
    Raises:
        BadInput: predicted labels instead of probabilities.
    Source:
        CH section 3 (Fig. 1 shows it); the usual definition, natural logarithm.
    Example:
        >>> round(prediction_entropy(np.array([[[0.5, 0.5], [1.0, 0.0]]])), 12)
        0.34657359028
    """
    xp = predictions.xp
    return 0.0 - xp.sum(x_log_x(xp, predictions.by_class), axis=1)


def _errors(predictions: Predictions) -> Array:
    """Predicted minus true value, ``M N``."""
    xp, targets = predictions.xp, predictions.targets
    if targets is None:
        raise BadInput("this measure compares with true values and none were given; pass targets of shape (examples,)")
    if bool(xp.any(xp.isnan(targets))):
        raise BadInput(
            "targets: some examples have no true value (nan), expected one for each example; leave those examples out "
            "(predictions.where(~numpy.isnan(predictions.targets)))"
        )
    return one_score(predictions) - targets[None, :]


@mean_metric("mean absolute error", "replica", unit="number", needs_scores=True, needs_targets=True)
def mean_absolute_error(predictions: Predictions) -> Array:
    r"""Mean absolute difference between predicted and true value, mean over replicas.

        mean absolute error = mean over m and n of |f_mn − t_n|

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number >= 0 in units of the true value; ``values`` gives the contributions ``M N``. 0.05 reads: a prediction misses the true
        value by 0.05 on average.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition.
    Example:
        >>> mean_absolute_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 4.0]))
        1.5
    """
    return predictions.xp.abs(_errors(predictions))


@mean_metric("mean error", "replica", unit="number", scale="plain", needs_scores=True, needs_targets=True)
def mean_error(predictions: Predictions) -> Array:
    r"""Mean predicted minus mean true value, mean over replicas: the bias of a regression.

        mean error = mean over m and n of f_mn − t_n

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number of either sign in units of the true value; ``values`` gives the contributions ``M N``. 0.05 reads: predictions are 0.05
        too high on average. Errors of opposite sign cancel.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition.
    Example:
        >>> mean_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 4.0]))
        -0.5
    """
    return _errors(predictions)


@dataclass(frozen=True, kw_only=True)
class RootOfMean(OnePass):
    """The square root of a mean over replicas and examples."""

    mean: MeanOf

    def add(self, block: Predictions, weight: np.ndarray | None) -> tuple[Sums, np.ndarray]:
        return self.mean.add(block, weight)

    def conclude(self, sums: Sums, replicas: int, weight: float) -> Conclusion:
        of_mean = self.mean.conclude(sums, replicas, weight)
        value = float(np.sqrt(of_mean.value))
        jackknife_values = None if of_mean.jackknife_values is None else np.sqrt(of_mean.jackknife_values)
        return Conclusion(value, np.sqrt(of_mean.rows), jackknife_values)

    def of(self, value: float = 0.0) -> Estimator:
        return self.estimator((0.5 / value if value > 0 else 0.0, *MEAN[1:]))  # at 0 every contribution is 0


_OF_REGRESSIONS: dict[str, Any] = {"unit": "number", "needs_scores": True, "needs_targets": True}
_SQUARED = MeanOf(
    "_squared_errors", "mean squared error", **_OF_REGRESSIONS, contributions=lambda predictions: _errors(predictions) ** 2
)


@as_function(RootOfMean("root_mean_squared_error", "root mean squared error", **_OF_REGRESSIONS, mean=_SQUARED))
def root_mean_squared_error() -> None:
    r"""Square root of the mean squared difference between predicted and true value, over all replicas.

        root mean squared error = sqrt(mean over m and n of (f_mn − t_n)²)

    Args:
        predictions: predicted numbers ``M N``, or `Predictions.from_scores` with targets; M >= 1.
        labels: true values, shape ``N``, where ``predictions`` is an array.
    Returns:
        A number >= 0 in units of the true value, at least `mean_absolute_error`. 0.05 reads: a prediction misses the true value by
        about 0.05; large misses count more.
    Raises:
        BadInput: no true values, a true value that is nan, or more than one number for each example.
    Source:
        The usual definition. Ours: squared errors are averaged over replicas before the root, so the number is at least the mean of the
        replicas' own errors.
    Example:
        >>> root_mean_squared_error(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([1.0, 3.0]))
        1.224744871391589
    """
