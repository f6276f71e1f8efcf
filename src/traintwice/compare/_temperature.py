"""One temperature for each recipe or model, and soft measures of models brought to it, so that those of different confidence compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare._estimates import interval
from traintwice.errors import BadInput, TraintwiceError, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.statistics._special import least_of
from traintwice.types import Estimate

EVERY = 5
"""Every fifth labelled row is held out."""

MOST_HELD_OUT = 100_000
"""Rows a temperature is fitted to at most: the temperature is then known to a fraction of a percent."""

MOST_KEPT = 40_000_000
"""Numbers of the other rows that are kept, evenly spread, until the temperature is known: 320 MB."""

SOFT: tuple[Metric, ...] = (metrics.total_variation, metrics.surrogate_churn, metrics.relative_delta_1)

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


@dataclass(frozen=True)
class Matched:
    """Soft measures of a recipe at its best temperature.

    Attributes:
        temperatures: one for all models, or one for each.
        held_out: rows used for fitting and left out of the measures.
        rows: rows on which the measures are.
        estimates: metric name to its number on those rows.
    """

    temperatures: tuple[float, ...]
    held_out: int
    rows: int
    estimates: dict[str, Estimate]


class MatchedTemperature:
    """Rows held out for temperatures, and at most `MOST_KEPT` numbers of the others to measure at those temperatures."""

    def __init__(self, rows: int, replicas: int) -> None:
        self._rows, self._replicas = rows, replicas
        self._held: list[Predictions] = []
        self._kept: list[Predictions] = []
        self._labelled = self._seen = 0

    def add(self, block: Predictions) -> None:
        """Add rows of all models."""
        out = np.zeros(block.examples, dtype=bool)
        if block.has_labels:
            place = self._labelled + np.arange(block.examples)
            out = (place % EVERY == EVERY - 1) & (place < EVERY * MOST_HELD_OUT)
            self._labelled += block.examples
        if out.any():
            self._held.append(block.where(out))
        stride = -(-self._rows * self._replicas * (block.classes or 1) // MOST_KEPT)
        keep = ~out & ((self._seen + np.arange(block.examples)) % stride == 0)
        self._seen += block.examples
        if keep.any():
            self._kept.append(block.where(keep))

    def result(self, which: Sequence[Metric], level: float, left_out: dict[str, str], *, one_for_all: bool) -> Matched | None:
        """Measures at matched temperatures, one for all models or one for each; None, and in ``left_out`` the reason, without."""
        if not self._held:
            said = f"temperatures are fitted to every {EVERY}th row that has a label, and there is none; pass --label"
            left_out["temperature_matched"] = said
            return None
        held = Predictions.joined(self._held)
        models = [(0, held.replicas)] if one_for_all else [(m, m + 1) for m in range(held.replicas)]
        accumulators = {m.__name__: Accumulator(m, clustered=held.clusters is not None) for m in which}
        try:
            temperatures = [fit_temperature(held.models(*span)) for span in models]
            for block in self._kept:
                parts = [to_numpy(at_temperature(block.models(*s), t).probs) for s, t in zip(models, temperatures, strict=True)]
                labels = to_numpy(block.labels) if block.has_labels else None
                brought = Predictions.trusted(np.concatenate(parts), labels, block.weights, clusters=block.clusters)
                for accumulator in accumulators.values():
                    accumulator.add(brought)
            estimates = {name: interval(a.compute(), level=level) for name, a in accumulators.items()}
        except TraintwiceError as reason:
            left_out["temperature_matched"] = str(reason)
            return None
        return Matched(tuple(temperatures), held.examples, sum(b.examples for b in self._kept), estimates)
