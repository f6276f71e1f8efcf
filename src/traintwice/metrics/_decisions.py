"""Decisions of binary models: precision, recall, bias of the mean score, and how many decisions differ between replicas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._functions import as_function, mean_metric
from traintwice.metrics._means import MeanOf, RatioOf
from traintwice.metrics._ranking import positive_scores
from traintwice.predictions import Predictions
from traintwice.types import Array


def _at_threshold(predictions: Predictions, threshold: float) -> Array:
    """True where the score of the positive class is at least the threshold, ``M N``."""
    if not (math.isfinite(threshold) if predictions.has_scores else 0 <= threshold <= 1):
        expected = "a finite number" if predictions.has_scores else "a probability, from 0 to 1"
        raise BadInput(f"threshold: got {threshold}, expected {expected}")
    return reaches(positive_scores(predictions), threshold)


def in_single_precision(threshold: float) -> float:
    """The float32 nearest to a threshold, which a file of float32 holds for it; the threshold itself where float32 has none near it."""
    limits = np.finfo(np.float32)
    return float(np.float32(threshold)) if limits.tiny <= abs(threshold) <= limits.max else threshold


def reaches(scores: Array, threshold: float) -> Array:
    """True where a score is at least the threshold, or is the threshold in single precision: 0.7 in float32 is below 0.7 in float64."""
    return (scores >= threshold) | (scores == in_single_precision(threshold))


def _decided_positive(predictions: Predictions, *, threshold: float | None = None) -> Array:
    """True where a replica decides for class 1, ``M N``."""
    xp = predictions.xp
    _expect_two_classes("labels", int(xp.max(predictions.labels)))
    if threshold is not None:
        return _at_threshold(predictions, threshold)
    _expect_two_classes("predicted labels", int(xp.max(predictions.votes)))
    return predictions.votes == 1


def _expect_two_classes(what: str, largest: int) -> None:
    if largest > 1:
        raise BadInput(
            f"{what}: got class {largest}, expected 0 and 1; for class c against the rest pass (array == c) as integers"
        )


def _truly_positive(predictions: Predictions, **_: Any) -> Array:
    """True where the label is 1, for each replica, ``M N``."""
    shape = predictions.replicas, predictions.examples
    return predictions.xp.broadcast_to((predictions.labels == 1)[None, :], shape)


def _rightly_positive(predictions: Predictions, *, threshold: float | None = None) -> Array:
    return _decided_positive(predictions, threshold=threshold) & _truly_positive(predictions)


def _share(title: str, contributions: Callable[..., Array]) -> MeanOf:
    """The share of predictions of which ``contributions`` is true."""
    return MeanOf(contributions.__name__, title, needs_labels=True, contributions=contributions, counts_out_of=lambda replicas: 1)


@dataclass(frozen=True, kw_only=True)
class RatioOfDecisions(RatioOf):
    """A ratio of two counts of decisions: of predicted labels, or with the option ``threshold`` of probabilities or scores."""

    @property
    def options(self) -> tuple[tuple[str, Any], ...]:
        """Bound options, by name."""
        return self.numerator.options

    def bind(self, **options: Any) -> RatioOfDecisions:
        by_score = {**dict(self.options), **options}.get("threshold") is not None
        parts: Any = {
            "numerator": replace(self.numerator.bind(**options), needs_probs=by_score),
            "denominator": replace(self.denominator.bind(**options), needs_probs=by_score),
        }
        return replace(self, needs_probs=by_score, or_scores=by_score, **parts)


_OF_DECISIONS: dict[str, Any] = {"scale": "logit", "needs_labels": True, "binary": True}
_TRUE_POSITIVES, _PREDICTED_POSITIVES, _POSITIVES = (
    _share("true positives", _rightly_positive),
    _share("predicted positives", _decided_positive),
    _share("positives", _truly_positive),
)


@as_function(
    RatioOfDecisions("precision", "precision", **_OF_DECISIONS, numerator=_TRUE_POSITIVES, denominator=_PREDICTED_POSITIVES)
)
def precision() -> None:
    r"""Share of the examples predicted positive whose label is positive, over all replicas.

        precision = Σ_mn [ŷ_mn = 1 and y_n = 1] / Σ_mn [ŷ_mn = 1];   with a threshold t, [s_mn >= t] replaces [ŷ_mn = 1]

    Args:
        predictions: probabilities ``M N 2``, the positive class second, predicted labels 0 and 1 ``M N``, or `Predictions` (with a
            threshold of scores ``M N`` too); M >= 1.
        labels: 0 or 1, shape ``N``.
        threshold: an example is predicted positive where its score is at least this; None reads the predicted labels.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``M N``. 0.05 reads: of 100
        examples predicted positive 5 are positive.
    Raises:
        BadInput: no labels, more than two classes, or a threshold outside [0, 1] for probabilities. Undefined: no example is
            predicted positive.
    Source:
        The usual definition. Ours: predicted positives are pooled over replicas before dividing; without a threshold a probability of
        exactly 1/2 is predicted negative, as ties go to the lowest class.
    Example:
        >>> precision(np.array([[0, 1, 1, 1], [0, 1, 0, 0]]), np.array([0, 1, 1, 0]))
        0.75
        >>> precision(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]]), np.array([0, 0, 1]), threshold=0.4)
        0.5
    """


@as_function(RatioOfDecisions("recall", "recall", **_OF_DECISIONS, numerator=_TRUE_POSITIVES, denominator=_POSITIVES))
def recall() -> None:
    r"""Share of the positive examples that are predicted positive, mean over replicas.

        recall = Σ_mn [ŷ_mn = 1 and y_n = 1] / Σ_mn [y_n = 1];   with a threshold t, [s_mn >= t] replaces [ŷ_mn = 1]

    Args:
        predictions: probabilities ``M N 2``, the positive class second, predicted labels 0 and 1 ``M N``, or `Predictions` (with a
            threshold of scores ``M N`` too); M >= 1.
        labels: 0 or 1, shape ``N``.
        threshold: an example is predicted positive where its score is at least this; None reads the predicted labels.
    Returns:
        A number in [0, 1]; ``values`` gives the contributions to numerator and denominator, each ``M N``. 0.05 reads: of 100 positive
        examples 5 are found.
    Raises:
        BadInput: no labels, more than two classes, or a threshold outside [0, 1] for probabilities. Undefined: no label is positive.
    Source:
        The usual definition. Ours: without a threshold a probability of exactly 1/2 is predicted negative, as ties go to the lowest
        class.
    Example:
        >>> recall(np.array([[0, 1, 1, 1], [0, 1, 0, 0]]), np.array([0, 1, 1, 0]))
        0.75
        >>> recall(np.array([[[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]]), np.array([0, 1, 1]), threshold=0.5)
        0.5
    """


@mean_metric("mean bias", "replica", unit="number", scale="plain", needs_labels=True, needs_probs=True, binary=True)
def mean_bias(predictions: Predictions) -> Array:
    r"""Mean probability of the positive class minus the share of positive labels, mean over replicas.

        mean bias = mean over m and n of P_mn1 − y_n

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions`; M >= 1.
        labels: 0 or 1, shape ``N``.
    Returns:
        A number in [−1, 1]; ``values`` gives the contributions ``M N``. 0.05 reads: the models predict 5 more positives in 100 examples
        than there are. Replicas of opposite bias cancel.
    Raises:
        BadInput: no labels, more than two classes, or predicted labels instead of probabilities.
    Source:
        The usual definition (calibration in the large).
    Example:
        >>> round(mean_bias(np.array([[[0.9, 0.1], [0.2, 0.8]]]), np.array([0, 1])), 12)
        -0.05
    """
    xp = predictions.xp
    return positive_scores(predictions) - xp.astype(predictions.labels, xp.float64)[None, :]


@mean_metric("decision flips", "pair", counts_out_of=lambda replicas: replicas - 1, needs_probs=True, binary=True, or_scores=True)
def decision_flips(predictions: Predictions, *, threshold: float = 0.5) -> Array:
    r"""Share of examples whose decision "score at least the threshold" differs between two replicas, mean over pairs.

        decision flips = mean over pairs a < b and n of [ [s_an >= t] ≠ [s_bn >= t] ]

    Args:
        predictions: probabilities ``M N 2``, the positive class second, or `Predictions` (of scores ``M N`` too); M >= 2.
        threshold: t; for probabilities from 0 to 1.
    Returns:
        A number in [0, 1]; ``values`` gives for each replica the fraction of the others that decide otherwise, ``M N``. 0.05 reads:
        two trainings decide 5 examples in 100 differently. At 1/2 it is `churn`, except where a probability is exactly 1/2.
    Raises:
        TooFewReplicas: one replica. BadInput: more than two classes, predicted labels instead of probabilities, or a threshold
            outside [0, 1] for probabilities.
    Source:
        Ours: `churn` of decisions; Marx et al. 2020 count the same changes against one reference model.
    Example:
        >>> decision_flips(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.9, 0.1], [0.8, 0.2]]]), threshold=0.3)
        0.5
    """
    xp, decided = predictions.xp, _at_threshold(predictions, threshold)
    positive = xp.sum(xp.astype(decided, xp.int64), axis=0)[None, :]
    return xp.where(decided, predictions.replicas - positive, positive)
