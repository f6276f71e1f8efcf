"""Measures of the old and the new model that do not follow from counts: each model's losses, and distances between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traintwice import metrics
from traintwice.compare.estimates import interval
from traintwice.compare.results import Calibration, Measured, Quality
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics.calibration import CalibrationError
from traintwice.metrics.definition import Definition, Summary
from traintwice.metrics.functions import as_function
from traintwice.metrics.means import MeanOf, RatioOf, weights_of
from traintwice.metrics.moments import Moments
from traintwice.predictions import Predictions
from traintwice.statistics.significance import p_of_zero
from traintwice.types import Array, Estimate

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

HIGHER = ("accuracy", "auc", "recall", "precision", "self_consistency")
"""Measures of quality of which more is better."""

NEITHER = ("mean_error", "mean_bias", "prediction_entropy")


def higher_is_better(name: str) -> bool | None:
    """Whether a larger value of a measure of quality is a better model; None where neither is.

    >>> higher_is_better("accuracy"), higher_is_better("log_loss"), higher_is_better("mean_bias")
    (True, False, None)
    """
    return None if name in NEITHER else name in HIGHER


def change_of(metric: Metric) -> Metric:
    """New minus old of a metric that is a mean over rows, as a metric of two models.

    Raises:
        BadInput: the metric is not a mean over rows.
    """
    of = metric.definition
    if not isinstance(of, MeanOf):
        raise BadInput(f"{of.title} is not a mean over rows, so its change has no paired form")

    def change(predictions: Predictions) -> Array:
        values = of.values(predictions)
        values = predictions.xp.astype(values, predictions.xp.float64)
        with np.errstate(invalid="ignore"):  # infinite minus infinite has no value
            gained = values[1, :] - values[0, :]
        return predictions.xp.stack([gained, gained], axis=0)

    definition = MeanOf(
        f"change of {of.name}",
        f"change of {of.title}",
        unit=of.unit,
        scale="plain",
        needs_labels=of.needs_labels,
        needs_probs=of.needs_probs,
        needs_scores=of.needs_scores,
        needs_targets=of.needs_targets,
        or_scores=of.or_scores,
        binary=of.binary,
        ordered=True,
        kind="pair",
        contributions=change,
    )
    return as_function(definition, change)


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
        def new(metric: Metric) -> Accumulator:
            return Accumulator(metric, clustered=clustered)

        self.level = level
        self.left_out: dict[str, str] = {}
        self._between = {m.__name__: new(m) for m in between}
        self._bounds = {name: new(m) for name, m in BOUNDS.items()} if bounds else {}
        self._quality = {m.__name__: _of_quality(new(m), new(m), m, clustered=clustered) for m in quality}

    def add(self, pair: Predictions) -> None:
        """Add rows of the two models."""
        old, new = pair.models(0, 1), pair.models(1, 2)
        for accumulator in (*self._between.values(), *self._bounds.values()):
            accumulator.add(pair)
        for of_old, of_new, change in self._quality.values():
            parts = of_old.add(old), of_new.add(new)
            if isinstance(change, _PairedGap):
                change.add(parts, pair)
            elif change is not None:
                change.add(pair)

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
        for name, (of_old, of_new, change) in self._quality.items():
            old, new = self._estimate(name, of_old), self._estimate(name, of_new)
            if old is None or new is None:
                continue
            changed = None if change is None else self._estimate(name, change)
            p_value = None
            if change is not None and changed is not None and not math.isnan(changed.standard_error):
                p_value = p_of_zero(changed.value, changed.standard_error**2, max((changed.units or 2) - 1, 1))
            d = of_old.definition
            found.append(
                Quality(name, d.title, d.unit, old, new, changed or unpaired_change(old, new), p_value, higher_is_better(name))
            )
        return tuple(found)

    def calibration(self) -> tuple[Calibration, ...]:
        """Calibration errors of both models next to what chance alone shows; empty without labels or probabilities."""
        pair = self._quality.get("calibration_error")
        if pair is None or not pair[0].examples:
            return ()
        found = []
        for model, accumulator in zip(("old", "new"), pair[:2], strict=True):
            if isinstance(accumulator.definition, CalibrationError):
                found.append(
                    Calibration(
                        model, accumulator.compute().value, *accumulator.definition.chance(accumulator.sums, accumulator.weight)
                    )
                )
        return tuple(found)

    def bounds(self) -> dict[str, float]:
        """Upper bounds on churn by name."""
        estimates = {name: self._estimate(name, accumulator) for name, accumulator in self._bounds.items()}
        return {name: e.value for name, e in estimates.items() if e is not None}

    def infinite(self, *, name_rows: bool) -> dict[str, str]:
        """Name of a measure to where it becomes infinite, with the id of the row where wanted."""
        every = [(name, a, "both models") for name, a in self._between.items()]
        for name, (of_old, of_new, _) in self._quality.items():
            every += [(name, of_new, "the new model"), (name, of_old, "the old model")]
        found = {}
        for name, accumulator, model in every:
            at = accumulator.infinite
            if at is not None:
                row = f"row {at.row:,}{'' if at.id is None else f' (id {at.id})'}" if name_rows else "a row"
                found[name] = f"first at {row} of {model}"
        return found

    def _estimate(self, name: str, accumulator: Accumulator | _PairedGap) -> Estimate | None:
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
        lacks = next((reason for part in parts if (reason := d.missing(part)) is not None), None)
        if lacks is None:
            try:
                estimates = [interval(metric.measure(part), level=level) for part in parts]
            except (Undefined, TooFewReplicas) as reason:
                lacks = str(reason)
        if lacks is not None:
            left_out[d.name] = lacks
        elif d.between_replicas:
            between.append(measured(d, estimates[0]))
        else:
            old, new = estimates
            quality.append(Quality(d.name, d.title, d.unit, old, new, unpaired_change(old, new), None, higher_is_better(d.name)))
    return quality, between, left_out


class _PairedGap:
    """New minus old of a measure that is not a mean over rows, such as a root of one, with what each row brings to both."""

    def __init__(self, old: Accumulator, new: Accumulator) -> None:
        self._old, self._new = old, new
        self._moments: Moments | None = None

    @property
    def missing(self) -> str | None:
        return self._old.missing or self._new.missing

    def add(self, parts: tuple[np.ndarray | None, np.ndarray | None], block: Predictions) -> None:
        """Add what rows bring to each model."""
        if parts[0] is None or parts[1] is None:
            return
        means = np.concatenate([parts[0], parts[1]])
        if self._moments is None:
            self._moments = Moments(len(means), clustered=self._old.clustered)
        self._moments.add(means, weights_of(block), clusters=block.clusters if self._old.clustered else None)

    def compute(self) -> Summary:
        """The change and what its interval needs."""
        first, second = self._old.compute(), self._new.compute()
        value, variance, units = second.value - first.value, math.nan, first.units
        if self._moments is not None and math.isfinite(value):
            one, other = self._old.gradient(), self._new.gradient()
            form = np.concatenate([[other[0] - one[0]], -one[1:], other[1:]])
            variance, units = float(self._moments.variance(form)[0]), int(self._moments.units[0])
        return Summary(value, np.full(2, value), None, variance, first.examples, units=units, clustered=first.clustered)


def _of_quality(
    old: Accumulator, new: Accumulator, metric: Metric, *, clustered: bool
) -> tuple[Accumulator, Accumulator, Accumulator | _PairedGap | None]:
    """The sums of a measure of quality of each model, and of its change."""
    if isinstance(metric.definition, MeanOf):
        return old, new, Accumulator(change_of(metric), clustered=clustered)
    return old, new, None if metric.definition.scale == "none" else _PairedGap(old, new)


def check_sliceable(metric: Metric) -> None:
    """Refuse metrics that are neither a mean over rows nor a ratio of two."""
    if not isinstance(metric.definition, MeanOf | RatioOf):
        raise BadInput(f"{metric.__name__} has no value by slice: it is neither a mean over rows nor a ratio of two such means")
