"""Quality of both models and disagreement between them, summed block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traintwice import metrics
from traintwice.compare.intervals import interval
from traintwice.compare.results import Measured, Quality
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics.definition import to_numpy
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
    metrics.regression_difference,
    metrics.relative_regression_difference,
)
"""Measures between the old and the new model that `diff` gives unless told otherwise; all need one pass."""

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
        ordered=True,
        kind="pair",
        contributions=change,
    )
    return as_function(definition, change)


class BothModels:
    """Accumulators of every measure of the old and the new model.

    Args:
        which: measures between the two.
        quality: measures of each.
        level: of the intervals.
    """

    def __init__(self, which: Sequence[Metric], quality: Sequence[Metric], level: float) -> None:
        self.level = level
        self.left_out: dict[str, str] = {}
        self.infinite: dict[str, str] = {}
        self._position = 0
        self._infinite_at: dict[str, tuple[int, str]] = {}
        self._between = {m.__name__: _Stream(m) for m in which}
        self._bounds = {name: _Stream(m) for name, m in BOUNDS.items()}
        self._quality = {m.__name__: (_Stream(m), _Stream(m), _change(m), _Stream(m)) for m in quality}

    def add(self, block: Predictions) -> None:
        """Add rows: the old model is replica 0, the new one replica 1, others do not count here."""
        pair = block.models(0, 2)
        old, new = pair.models(0, 1), pair.models(1, 2)
        for name, stream in [*self._between.items(), *self._bounds.items()]:
            stream.add(pair)
            self._watch(name, stream, pair)
        for name, (of_old, of_new, change, both) in self._quality.items():
            of_old.add(old)
            of_new.add(new)
            both.add(pair)
            if change is not None:
                change.add(pair)
            self._watch(name, both, pair)
        self._position += block.examples

    def measures(self) -> tuple[Measured, ...]:
        """Measures between the models; those without value are put into ``left_out``."""
        found = []
        for name, stream in self._between.items():
            estimate = self._estimate(name, stream)
            if estimate is not None:
                d = stream.metric.definition
                found.append(Measured(name, d.title, d.unit, d.soft, estimate))
        return tuple(found)

    def quality(self) -> tuple[Quality, ...]:
        """Measures of each model; those without value are put into ``left_out``."""
        found = []
        for name, (of_old, of_new, change, _) in self._quality.items():
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
        if errors is not None and errors[0].accumulator.examples:
            of_old, of_new = errors[0].accumulator.compute().value, errors[1].accumulator.compute().value
            found["lemma_1"] = 2.0 - of_old - of_new
        for name, stream in self._bounds.items():
            estimate = self._estimate(name, stream)
            if estimate is not None:
                found[name] = estimate.value
        return found

    def _estimate(self, name: str, stream: _Stream) -> Estimate | None:
        if not stream.accumulator.examples:
            self.left_out[name] = stream.missing or "no rows"
            return None
        try:
            with np.errstate(invalid="ignore"):
                return interval(stream.accumulator.compute(), level=self.level)
        except (Undefined, TooFewReplicas) as reason:
            self.left_out[name] = str(reason)
            return None

    def _watch(self, name: str, stream: _Stream, pair: Predictions) -> None:
        """Note the first row at which a measure becomes infinite."""
        if name in self.infinite or not stream.accumulator.examples or stream.missing_in(pair):
            return
        rows = stream.sums()
        if rows is None or np.isfinite(rows).all():
            return
        definition = stream.metric.definition
        if isinstance(definition, MeanOf):
            model, row = np.nonzero(~np.isfinite(to_numpy(definition.values(pair))))
            first = int(row.argmin())
            which = "both models" if definition.between_replicas else ("the old model", "the new model")[int(model[first])]
            place = int(row[first])
            self.infinite[name] = f"first at row {self._position + place} of {which}"
            if pair.ids is not None:
                self._infinite_at[name] = (place, str(pair.ids[place]))

    def name_rows(self) -> None:
        """Add the id of the first infinite row to what is said of it."""
        for name, (_, id_of) in self._infinite_at.items():
            self.infinite[name] += f", id {id_of}"


class _Stream:
    """An accumulator that is fed what its metric can be computed on."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.accumulator = Accumulator(metric)
        self.missing: str | None = None

    def missing_in(self, block: Predictions) -> str | None:
        return self.metric.definition.missing(block)

    def add(self, block: Predictions) -> None:
        lacks = self.missing_in(block)
        if lacks is None:
            with np.errstate(invalid="ignore"):
                self.accumulator.update(block)
        else:
            self.missing = lacks

    def sums(self) -> np.ndarray | None:
        return self.accumulator.first_sums()


def _change(metric: Metric) -> _Stream | None:
    return _Stream(change_of(metric)) if isinstance(metric.definition, MeanOf) else None
