"""Logarithms of probabilities that may be zero."""

from __future__ import annotations

from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions import Predictions
from traintwice.types import Array


def log(xp: Any, values: Array) -> Array:
    """Natural logarithm with log 0 = −inf and no warning."""
    positive = values > 0
    return xp.where(positive, xp.log(xp.where(positive, values, xp.ones_like(values))), -xp.inf)


def x_log_x(xp: Any, values: Array) -> Array:
    """x·log x with 0·log 0 = 0."""
    return values * xp.log(xp.where(values > 0, values, xp.ones_like(values)))


def clipped(predictions: Predictions, clip: float | None) -> Array:
    """Probabilities ``M K N``, none below ``clip`` before they are divided by their sum; as they are for None."""
    if clip is None:
        return predictions.by_class
    if not 0 < clip < 1:
        raise BadInput(f"clip: got {clip}, expected a small probability such as 1e-7, or None to leave zeros as they are")
    xp, probs = predictions.xp, predictions.by_class
    raised = xp.where(probs > clip, probs, xp.full_like(probs, clip))
    return raised / xp.sum(raised, axis=1, keepdims=True)
