"""Soft measures after each model, or each recipe, was brought to its best temperature, which is fitted on rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice.compare._estimates import interval
from traintwice.compare._temperature import at_temperature, fit_temperature
from traintwice.errors import BadInput
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Estimate

EVERY = 5
"""Every fifth labelled row is held out."""

MOST_HELD_OUT = 100_000
"""Rows a temperature is fitted to at most: the temperature is then known to a fraction of a percent."""

MOST_KEPT = 40_000_000
"""Numbers of the other rows that are kept, evenly spread, until the temperature is known: 320 MB."""

SOFT: tuple[Metric, ...] = (metrics.total_variation, metrics.surrogate_churn, metrics.relative_delta_1)


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
    """Rows held out for temperatures, and rows to measure at those temperatures, gathered in the pass over all rows.

    Args:
        rows: how many rows there are at most.
        replicas: how many models.
    """

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

    def result(self, which: Sequence[Metric], level: float, *, one_for_all: bool) -> Matched:
        """The measures at matched temperatures.

        Args:
            which: metrics of one pass over probabilities.
            level: nominal coverage of the intervals.
            one_for_all: one temperature for all models, or one for each.
        Raises:
            BadInput: no labels, or too few. Undefined: a true label has probability 0, or a metric has no value.
        """
        if not self._held:
            raise BadInput(f"temperatures are fitted to every {EVERY}th row that has a label, and there is none; pass --label")
        held = Predictions.joined(self._held)
        models = [(0, held.replicas)] if one_for_all else [(m, m + 1) for m in range(held.replicas)]
        temperatures = [fit_temperature(held.models(*span)) for span in models]
        clustered = held.clusters is not None
        accumulators = [Accumulator(metric, clustered=clustered) for metric in which]
        for block in self._kept:
            parts = [to_numpy(at_temperature(block.models(*span), t).probs) for span, t in zip(models, temperatures, strict=True)]
            labels = to_numpy(block.labels) if block.has_labels else None
            brought = Predictions.trusted(np.concatenate(parts), labels, block.weights, clusters=block.clusters)
            for accumulator in accumulators:
                accumulator.add(brought)
        estimates = {m.__name__: interval(a.compute(), level=level) for m, a in zip(which, accumulators, strict=True)}
        return Matched(tuple(temperatures), held.examples, sum(b.examples for b in self._kept), estimates)
