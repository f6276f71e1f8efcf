"""Measures of two models that do not follow from counts: losses, distances, and soft measures at matched temperatures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from traintwice import metrics
from traintwice._typed import typed
from traintwice.compare._estimates import interval, p_of_no_change, summed_estimate, whole_estimate
from traintwice.compare._expressions import Ratio
from traintwice.compare._inputs import distinct
from traintwice.compare._results import Calibration, Measured, Quality
from traintwice.errors import BadInput, TraintwiceError, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._calibration import CalibrationError
from traintwice.metrics._definition import Definition, to_numpy
from traintwice.metrics._means import weights_of
from traintwice.predictions import Predictions
from traintwice.statistics._special import least_of
from traintwice.types import Estimate

LOSSES: tuple[Metric, ...] = (metrics.log_loss, metrics.brier, metrics.calibration_error)
"""Measures of quality of probabilities."""

ERRORS: tuple[Metric, ...] = (metrics.mean_absolute_error, metrics.root_mean_squared_error, metrics.mean_error)
"""Measures of quality of a regression."""

DISTANCES = distinct(["total_variation", "surrogate_churn", "delta_label", "relative_delta_1", "relative_delta_positive"])
"""Measures between two models of probabilities."""

DISTANCES_OF_NUMBERS: tuple[Metric, ...] = (metrics.regression_difference, metrics.relative_regression_difference)

BOUNDS = {"lemma_2": metrics.lemma_2_bound, "tight_lemma_2": metrics.tight_lemma_2_bound}

HIGHER = ("accuracy", "mean_score", "auc", "recall", "precision", "self_consistency")
"""Measures of quality of which more is better."""

NEITHER = ("mean_error", "mean_bias", "prediction_entropy")

EVERY = 5
"""Every fifth labelled row is held out."""

MOST_HELD_OUT = 100_000
"""Rows a temperature is fitted to at most: the temperature is then known to a fraction of a percent."""

MOST_KEPT = 40_000_000
"""Numbers of the other rows that are kept, evenly spread, until the temperature is known: 320 MB."""

SOFT: tuple[Metric, ...] = (metrics.total_variation, metrics.surrogate_churn, metrics.relative_delta_1)

LOG_RANGE = (-3.0, 3.0)
"""Temperatures searched: exp(−3) = 0.05 to exp(3) = 20."""


def higher_is_better(name: str) -> bool | None:
    """Whether a larger value of a measure of quality is a better model; None where neither is.

    >>> higher_is_better("accuracy"), higher_is_better("log_loss"), higher_is_better("mean_bias")
    (True, False, None)
    """
    return None if name in NEITHER else name in HIGHER


class PairMeasures:
    """Measures between an old and a new model, of each, and bounds on churn; ``left_out`` is complete once they were read."""

    def __init__(
        self, between: Sequence[Metric], quality: Sequence[Metric], level: float, *, clustered: bool, bounds: bool = True
    ) -> None:
        self.level = level
        self.left_out: dict[str, str] = {}
        self._estimate = partial(summed_estimate, level=level, left_out=self.left_out)
        self._between = {m.__name__: Accumulator(m, clustered=clustered) for m in between}
        self._bounds = {name: Accumulator(m, clustered=clustered) for name, m in BOUNDS.items()} if bounds else {}
        self._quality = {m.__name__: PairedAccumulator(m, clustered=clustered) for m in quality}

    def add(self, pair: Predictions) -> None:
        old, new = pair.models(0, 1), pair.models(1, 2)
        for accumulator in (*self._between.values(), *self._bounds.values()):
            accumulator.add(pair)
        for both in self._quality.values():
            both.add(old, new)

    def measures(self) -> list[Measured]:
        estimates = {name: self._estimate(name, accumulator) for name, accumulator in self._between.items()}
        return [measured(self._between[name].definition, e) for name, e in estimates.items() if e is not None]

    def quality(self) -> list[Quality]:
        found = []
        for name, both in self._quality.items():
            old, new = self._estimate(name, both.first), self._estimate(name, both.second)
            if old is not None and new is not None:
                d = both.first.definition
                change = None if d.scale == "none" else interval(both.difference(), level=self.level)
                found.append(quality_of(d, old, new, change))
        return found

    def calibration(self) -> tuple[Calibration, ...]:
        """Calibration errors of both models next to what chance alone shows; empty without labels or probabilities."""
        both = self._quality.get("calibration_error")
        models = () if both is None else (("old", both.first), ("new", both.second))
        chances = [(model, of, chance_of(of)) for model, of in models]
        return tuple(Calibration(model, of.compute().value, *chance) for model, of, chance in chances if chance is not None)

    def bounds(self) -> dict[str, float]:
        estimates = {name: self._estimate(name, accumulator) for name, accumulator in self._bounds.items()}
        return {name: e.value for name, e in estimates.items() if e is not None}

    def infinite(self, *, name_rows: bool) -> dict[str, str]:
        """Name of a measure to where it becomes infinite, with the id of the row where wanted."""
        every = [(name, a, "both models") for name, a in self._between.items()]
        for name, both in self._quality.items():
            every += [(name, both.second, "the new model"), (name, both.first, "the old model")]
        found = {}
        for name, accumulator, model in every:
            at = accumulator.infinite
            if at is not None:
                row = f"row {at.row:,}{'' if at.id is None else f' (id {at.id})'}" if name_rows else "a row"
                found[name] = f"first at {row} of {model}"
        return found


def chance_of(of: Accumulator | None) -> tuple[float, float] | None:
    """What `CalibrationError.chance` finds; None without a calibration error."""
    if of is None or not of.examples or not isinstance(of.definition, CalibrationError):
        return None
    return of.definition.chance(of.sums, of.weight)


def measured(d: Definition | Ratio, estimate: Estimate) -> Measured:
    return Measured(d.name, d.title, d.unit, d.soft, estimate)


def quality_of(
    d: Definition | Ratio, old: Estimate, new: Estimate, change: Estimate | None = None, p_value: float | None = None
) -> Quality:
    """A measure of both models, as data; without a paired change the difference has no interval, and without a p-value t's is taken."""
    if change is None:
        change = replace(new, value=new.value - old.value, low=math.nan, high=math.nan, standard_error=math.nan, replicas=2)
    if p_value is None and not math.isnan(change.standard_error):
        p_value = p_of_no_change(change)
    return Quality(d.name, d.title, d.unit, old, new, change, p_value, higher_is_better(d.name))


def non_streaming(
    pair: Predictions, which: Sequence[Metric], level: float
) -> tuple[list[Quality], list[Measured], dict[str, str]]:
    """Metrics that need an order of all rows: of each model, or between the two; and why some have no value."""
    quality: list[Quality] = []
    between: list[Measured] = []
    left_out: dict[str, str] = {}
    for metric in which:
        parts = [pair] if metric.definition.between_replicas else [pair.models(0, 1), pair.models(1, 2)]
        estimates = [e for part in parts if (e := whole_estimate(metric, part, level, left_out)) is not None]
        if len(estimates) == len(parts) == 1:
            between.append(measured(metric.definition, estimates[0]))
        elif len(estimates) == 2:
            quality.append(quality_of(metric.definition, estimates[0], estimates[1]))
    return quality, between, left_out


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
    with np.errstate(divide="ignore"):
        log_probs = np.log(probs)
    of_label = np.take_along_axis(log_probs, np.broadcast_to(labels[None, :, None], (*probs.shape[:2], 1)), axis=2)[..., 0]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        scaled = scale * log_probs
        top = scaled.max(axis=2)
        normaliser = top + np.log(np.exp(scaled - top[..., None]).sum(axis=2))
        return float(np.average(np.mean(normaliser - scale * of_label, axis=0), weights=weights_of(validation)))

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
    return Predictions(scaled / scaled.sum(axis=2, keepdims=True), labels, weights_of(predictions))


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
