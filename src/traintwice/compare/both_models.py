"""Quality of both models and disagreement between them, summed block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traintwice import metrics
from traintwice.compare.results import Measured, Quality
from traintwice.compare.streams import Stream
from traintwice.errors import BadInput
from traintwice.metrics import Metric
from traintwice.metrics.functions import as_function
from traintwice.metrics.means import MeanOf
from traintwice.predictions import Predictions
from traintwice.types import Array, Estimate

QUALITY: tuple[Metric, ...] = (metrics.accuracy, metrics.log_loss, metrics.brier, metrics.calibration_error)
"""Measures of quality that `diff` gives for both models."""

BETWEEN: tuple[Metric, ...] = (
    metrics.churn,
    metrics.negative_flips,
    metrics.positive_flips,
    metrics.lateral_flips,
    metrics.win_loss_ratio,
    metrics.churn_to_error,
    metrics.churn_correct,
    metrics.churn_incorrect,
    metrics.total_variation,
    metrics.surrogate_churn,
    metrics.delta_label,
    metrics.relative_delta_1,
    metrics.relative_delta_positive,
)
"""Measures between the old and the new model that `diff` gives unless told otherwise; all need one pass."""

BETWEEN_NUMBERS: tuple[Metric, ...] = (metrics.regression_difference, metrics.relative_regression_difference)
"""The same for a regression."""

BOUNDS = {"lemma_2": metrics.lemma_2_bound, "tight_lemma_2": metrics.tight_lemma_2_bound}


def change_of(metric: Metric) -> Metric:
    """New minus old of a metric that is a mean over rows, as a metric of two models."""
    of = metric.definition
    if not isinstance(of, MeanOf):
        raise BadInput(f"{of.title} is no mean over rows, so its change has no paired form")

    def change(predictions: Predictions) -> Array:
        values = of.values(predictions)
        values = predictions.xp.astype(values, predictions.xp.float64)
        with np.errstate(invalid="ignore"):  # infinite minus infinite has no value, and says so later
            gained = values[1, :] - values[0, :]
        return predictions.xp.stack([gained, gained], axis=0)

    definition = MeanOf(
        f"change of {of.name}",
        f"change of {of.title}",
        unit=of.unit,
        needs_labels=of.needs_labels,
        needs_probs=of.needs_probs,
        needs_scores=of.needs_scores,
        needs_targets=of.needs_targets,
        ordered=True,
        kind="pair",
        contributions=change,
    )
    return as_function(definition, change)


class BothModels:
    """Every measure of the old and the new model.

    Args:
        which: measures between the two.
        quality: measures of each.
        level: of the intervals.

    Attributes:
        left_out: name of a measure to the reason why it has no value; complete after the results were asked for.
    """

    def __init__(self, which: Sequence[Metric], quality: Sequence[Metric], level: float) -> None:
        self.level = level
        self.left_out: dict[str, str] = {}
        self._between = {m.__name__: Stream(m) for m in which}
        self._bounds = {name: Stream(m) for name, m in BOUNDS.items()}
        self._quality = {m.__name__: (Stream(m), Stream(m), _change(m)) for m in quality}

    def add(self, block: Predictions) -> None:
        """Add rows: the old model is replica 0, the new one replica 1, others do not count here."""
        pair = block.models(0, 2)
        old, new = pair.models(0, 1), pair.models(1, 2)
        for stream in (*self._between.values(), *self._bounds.values()):
            stream.add(pair)
        for of_old, of_new, change in self._quality.values():
            of_old.add(old)
            of_new.add(new)
            if change is not None:
                change.add(pair)

    def measures(self) -> tuple[Measured, ...]:
        """Measures between the models."""
        found = []
        for name, stream in self._between.items():
            estimate = self._estimate(name, stream)
            if estimate is not None:
                d = stream.metric.definition
                found.append(Measured(name, d.title, d.unit, d.soft, estimate))
        return tuple(found)

    def quality(self) -> tuple[Quality, ...]:
        """Measures of each model."""
        found = []
        for name, (of_old, of_new, change) in self._quality.items():
            old, new = self._estimate(name, of_old), self._estimate(name, of_new)
            if old is None or new is None:
                continue
            changed = None if change is None else self._estimate(name, change)
            if changed is None:
                with np.errstate(invalid="ignore"):
                    value = float(np.float64(new.value) - np.float64(old.value))
                changed = replace(new, value=value, low=math.nan, high=math.nan, standard_error=math.nan, replicas=2)
            d = of_old.metric.definition
            found.append(Quality(name, d.title, d.unit, old, new, changed))
        return tuple(found)

    def bounds(self) -> dict[str, float]:
        """Upper bounds on churn by name."""
        found = {}
        errors = self._quality.get("accuracy")
        if errors is not None and errors[0].examples:
            found["lemma_1"] = 2.0 - errors[0].compute().value - errors[1].compute().value
        for name, stream in self._bounds.items():
            estimate = self._estimate(name, stream)
            if estimate is not None:
                found[name] = estimate.value
        return found

    def infinite(self, *, name_rows: bool) -> dict[str, str]:
        """Name of a measure to where it becomes infinite, with the id of the row where wanted."""
        streams = [(name, stream, "both models") for name, stream in self._between.items()]
        for name, (of_old, of_new, _) in self._quality.items():
            streams += [(name, of_new, "the new model"), (name, of_old, "the old model")]
        found = {}
        for name, stream, model in streams:
            at = stream.infinite
            if at is not None:
                row = f"row {at.row:,}{'' if at.id is None else f' (id {at.id})'}" if name_rows else "a row"
                found[name] = f"first at {row} of {model}"
        return found

    def _estimate(self, name: str, stream: Stream) -> Estimate | None:
        estimate, reason = stream.estimate(self.level)
        if estimate is None:
            self.left_out[name] = reason
        return estimate


def _change(metric: Metric) -> Stream | None:
    return Stream(change_of(metric)) if isinstance(metric.definition, MeanOf) else None
