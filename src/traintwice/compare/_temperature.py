"""One temperature per recipe, so that soft measures of recipes of different confidence can be compared."""

from __future__ import annotations

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput, Undefined
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.statistics._special import least_of

LOG_RANGE = (-3.0, 3.0)
"""Temperatures searched: exp(−3) = 0.05 to exp(3) = 20."""


@typed
def fit_temperature(validation: Predictions) -> float:
    """The temperature that minimises log loss on validation examples, pooled over replicas.

        T = argmin over T of mean over m and n of −log softmax(log P_mn / T)(y_n)

    Args:
        validation: predictions on examples that are *not* the ones reported, with labels; M >= 1.
    Returns:
        A temperature in [0.05, 20]: above 1 the recipe is over-confident, below 1 under-confident.
    Raises:
        Undefined: a true label has probability 0, so temperature scaling is undefined.
    Source:
        Guo et al. 2017. Ours: one temperature for all replicas of a recipe, applied to log P of the output kept.
    Example:
        >>> probs = np.array([[[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.01, 0.99]]])
        >>> round(fit_temperature(Predictions(probs, np.array([0, 0, 1, 1]))), 2)
        4.18
    """
    if float(validation.xp.min(validation.of_label)) <= 0:
        raise Undefined(
            "temperature: a true label of the validation set has probability 0, so that temperature scaling is undefined here"
        )
    probs, labels = to_numpy(validation.probs), to_numpy(validation.labels)
    weights = None if validation.weights is None else to_numpy(validation.weights)
    with np.errstate(divide="ignore"):
        log_probs = np.log(probs)
    of_label = np.take_along_axis(log_probs, np.broadcast_to(labels[None, :, None], (*probs.shape[:2], 1)), axis=2)[..., 0]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        scaled = scale * log_probs
        top = scaled.max(axis=2)
        normaliser = top + np.log(np.exp(scaled - top[..., None]).sum(axis=2))
        return float(np.average(np.mean(normaliser - scale * of_label, axis=0), weights=weights))

    return float(np.exp(least_of(loss, *LOG_RANGE, 1e-6)))


@typed
def at_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """The same predictions with every distribution raised to the power 1/T and renormalised; labels do not change.

    Args:
        predictions: probabilities ``M N K``.
        temperature: > 0.
    Returns:
        New `Predictions` with the same labels and weights.
    Raises:
        BadInput: the temperature is not positive.
    Example:
        >>> at_temperature(Predictions(np.array([[[0.8, 0.2]]])), 0.5).probs.round(4).tolist()
        [[[0.9412, 0.0588]]]
    """
    if not temperature > 0:
        raise BadInput(f"at_temperature: got a temperature of {temperature}, expected a number greater than 0")
    probs = to_numpy(predictions.probs)
    scaled = (probs / probs.max(axis=2, keepdims=True)) ** (1.0 / temperature)
    labels = to_numpy(predictions.labels) if predictions.has_labels else None
    weights = None if predictions.weights is None else to_numpy(predictions.weights)
    return Predictions(scaled / scaled.sum(axis=2, keepdims=True), labels, weights)
