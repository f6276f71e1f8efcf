"""Measures of the old and the new model that do not follow from counts: each model's losses, and distances between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from traintwice import metrics
from traintwice.compare._estimates import interval, p_of_no_change, summed_estimate, whole_estimate
from traintwice.compare._results import Calibration, Measured, Quality
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._calibration import CalibrationError
from traintwice.metrics._definition import Definition
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
    """Measures between an old and a new model, of each, and bounds on churn; ``left_out`` is complete once they were read."""

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

    def measures(self) -> list[Measured]:
        """Measures between the models."""
        found = [(a.definition, self._estimate(name, a)) for name, a in self._between.items()]
        return [measured(definition, estimate) for definition, estimate in found if estimate is not None]

    def quality(self) -> list[Quality]:
        """Measures of each model."""
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

    def _estimate(self, name: str, summed: Accumulator) -> Estimate | None:
        return summed_estimate(name, summed, self.level, self.left_out)


def measured(d: Definition, estimate: Estimate) -> Measured:
    """A measure between two models, as data."""
    return Measured(d.name, d.title, d.unit, d.soft, estimate)


def quality_of(d: Definition, old: Estimate, new: Estimate, change: Estimate | None = None) -> Quality:
    """A measure of both models, as data; without a paired change the difference has no interval."""
    if change is None:
        change = replace(new, value=new.value - old.value, low=math.nan, high=math.nan, standard_error=math.nan, replicas=2)
    p_value = None if math.isnan(change.standard_error) else p_of_no_change(change)
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
            quality.append(quality_of(metric.definition, *estimates))
    return quality, between, left_out
