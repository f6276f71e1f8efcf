"""Measures of the old and the new model that do not follow from counts: each model's losses, and distances between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traintwice import metrics
from traintwice.compare._estimates import interval, p_of_no_change, whole_estimate
from traintwice.compare._results import Calibration, Measured, Quality
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._calibration import CalibrationError
from traintwice.metrics._definition import Definition
from traintwice.metrics._paired import PairedAccumulator
from traintwice.predictions import Predictions
from traintwice.types import Estimate

LOSSES: tuple[Metric, ...] = (metrics.log_loss, metrics.brier, metrics.calibration_error)
"""Measures of quality of probabilities."""

ERRORS: tuple[Metric, ...] = (metrics.mean_absolute_error, metrics.root_mean_squared_error, metrics.mean_error)
"""Measures of quality of a regression."""

DISTANCES: tuple[Metric, ...] = (
    metrics.total_variation,
    metrics.surrogate_churn,
    metrics.delta_label,
    metrics.relative_delta_1,
    metrics.relative_delta_positive,
)
"""Measures between two models of probabilities."""

DISTANCES_OF_NUMBERS: tuple[Metric, ...] = (metrics.regression_difference, metrics.relative_regression_difference)

BOUNDS = {"lemma_2": metrics.lemma_2_bound, "tight_lemma_2": metrics.tight_lemma_2_bound}

HIGHER = ("accuracy", "mean_score", "auc", "recall", "precision", "self_consistency")
"""Measures of quality of which more is better."""

NEITHER = ("mean_error", "mean_bias", "prediction_entropy")


def higher_is_better(name: str) -> bool | None:
    """Whether a larger value of a measure of quality is a better model; None where neither is.

    >>> higher_is_better("accuracy"), higher_is_better("log_loss"), higher_is_better("mean_bias")
    (True, False, None)
    """
    return None if name in NEITHER else name in HIGHER


class PairMeasures:
    """Measures of an old and a new model, summed block by block.

    Args:
        between: measures between the two.
        quality: measures of each.
        level: of the intervals.
        clustered: units are clusters of rows.
        bounds: also the upper bounds on churn.

    Attributes:
        left_out: name of a measure to the reason why it has no value; complete after the results were read.
    """

    def __init__(
        self, between: Sequence[Metric], quality: Sequence[Metric], level: float, *, clustered: bool, bounds: bool = True
    ) -> None:
        self.level = level
        self.left_out: dict[str, str] = {}
        self._between = {m.__name__: Accumulator(m, clustered=clustered) for m in between}
        self._bounds = {name: Accumulator(m, clustered=clustered) for name, m in BOUNDS.items()} if bounds else {}
        self._quality = {m.__name__: PairedAccumulator(m, clustered=clustered) for m in quality}

    def add(self, pair: Predictions) -> None:
        """Add rows of the two models."""
        old, new = pair.models(0, 1), pair.models(1, 2)
        for accumulator in (*self._between.values(), *self._bounds.values()):
            accumulator.add(pair)
        for both in self._quality.values():
            both.add(old, new)

    def measures(self) -> tuple[Measured, ...]:
        """Measures between the models."""
        found = []
        for name, accumulator in self._between.items():
            estimate = self._estimate(name, accumulator)
            if estimate is not None:
                found.append(measured(accumulator.definition, estimate))
        return tuple(found)

    def quality(self) -> tuple[Quality, ...]:
        """Measures of each model."""
        found = []
        for name, both in self._quality.items():
            old, new = self._estimate(name, both.first), self._estimate(name, both.second)
            if old is None or new is None:
                continue
            d, change, p_value = both.first.definition, unpaired_change(old, new), None
            if d.scale != "none":
                change = interval(both.difference(), level=self.level)
            if not math.isnan(change.standard_error):
                p_value = p_of_no_change(change)
            found.append(Quality(name, d.title, d.unit, old, new, change, p_value, higher_is_better(name)))
        return tuple(found)

    def calibration(self) -> tuple[Calibration, ...]:
        """Calibration errors of both models next to what chance alone shows; empty without labels or probabilities."""
        both = self._quality.get("calibration_error")
        if both is None or not both.first.examples:
            return ()
        found = []
        for model, of in (("old", both.first), ("new", both.second)):
            if isinstance(of.definition, CalibrationError):
                found.append(Calibration(model, of.compute().value, *of.definition.chance(of.sums, of.weight)))
        return tuple(found)

    def bounds(self) -> dict[str, float]:
        """Upper bounds on churn by name."""
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

    def _estimate(self, name: str, accumulator: Accumulator) -> Estimate | None:
        try:
            return interval(accumulator.compute(), level=self.level)
        except (Undefined, TooFewReplicas, BadInput) as reason:
            self.left_out[name] = accumulator.missing or str(reason)
            return None


def measured(d: Definition, estimate: Estimate) -> Measured:
    """A measure between two models, as data."""
    return Measured(d.name, d.title, d.unit, d.soft, estimate)


def unpaired_change(old: Estimate, new: Estimate) -> Estimate:
    """New minus old without an interval."""
    with np.errstate(invalid="ignore"):
        value = float(np.float64(new.value) - np.float64(old.value))
    return replace(new, value=value, low=math.nan, high=math.nan, standard_error=math.nan, replicas=2)


def non_streaming(
    pair: Predictions, which: Sequence[Metric], level: float
) -> tuple[list[Quality], list[Measured], dict[str, str]]:
    """Metrics that need an order of all rows: of each model, or between the two; and why some have no value."""
    quality: list[Quality] = []
    between: list[Measured] = []
    left_out = {}
    for metric in which:
        d = metric.definition
        parts = [pair] if d.between_replicas else [pair.models(0, 1), pair.models(1, 2)]
        try:
            estimates = [whole_estimate(metric, part, level) for part in parts]
        except (Undefined, TooFewReplicas) as reason:
            left_out[d.name] = str(reason)
            continue
        if d.between_replicas:
            between.append(measured(d, estimates[0]))
        else:
            old, new = estimates
            quality.append(Quality(d.name, d.title, d.unit, old, new, unpaired_change(old, new), None, higher_is_better(d.name)))
    return quality, between, left_out
