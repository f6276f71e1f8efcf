"""Soft measures after each model, or each recipe, was brought to its best temperature, which is fitted on rows held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice.compare.intervals import interval
from traintwice.compare.results import Measured, TemperatureMatched
from traintwice.compare.temperature import at_temperature, fit_temperature
from traintwice.errors import BadInput
from traintwice.metrics import Accumulator, Metric
from traintwice.predictions import Predictions, Rows
from traintwice.types import Estimate

EVERY = 5
"""Every fifth labelled row is held out."""

MOST_HELD_OUT = 100_000
"""Rows a temperature is fitted to at most: by then it is known to a fraction of a percent."""

SOFT = (metrics.total_variation, metrics.surrogate_churn, metrics.relative_delta_1)


def temperature_matched(rows: Rows, level: float) -> TemperatureMatched:
    """Two passes over the rows: one gathers those held out, one measures the others at the temperatures fitted.

    Raises:
        BadInput: no labels, or too few. Undefined: a true label has probability 0.
    """
    chosen = _held_out(block.models(0, 2) for block in rows.blocks())
    temperatures = [fit_temperature(chosen.models(m, m + 1)) for m in (0, 1)]
    streams = [Accumulator(metric) for metric in SOFT]
    for rest in _not_held_out(rows.blocks()):
        models = [at_temperature(rest.models(m, m + 1), temperature) for m, temperature in enumerate(temperatures)]
        pair = Predictions.trusted(np.concatenate([models[0].probs, models[1].probs]), None, rest.weights)
        for stream in streams:
            stream.update(pair)
    measures = []
    for metric, stream in zip(SOFT, streams, strict=True):
        d = metric.definition
        measures.append(Measured(d.name, d.title, d.unit, d.soft, interval(stream.compute(), level=level)))
    return TemperatureMatched(temperatures[0], temperatures[1], chosen.examples, tuple(measures))


@dataclass(frozen=True)
class Matched:
    """Soft measures of a recipe at its best temperature.

    Attributes:
        temperature: one for all replicas, fitted to log loss on ``held_out`` rows.
        held_out: rows used for fitting and left out of the measures.
        estimates: metric name to its number on the other rows.
    """

    temperature: float
    held_out: int
    estimates: dict[str, Estimate]


def recipe_matched(blocks: Callable[[], Iterable[Predictions]], which: Sequence[Metric], level: float) -> Matched:
    """One temperature for all replicas, fitted on the rows held out; then the measures on the others. Two passes.

    Args:
        blocks: gives all rows, block by block, each time that it is called.
        which: metrics of one pass over probabilities.
        level: nominal coverage of the intervals.
    Raises:
        BadInput: no labels, or too few. Undefined: a true label has probability 0, or a metric has no value.
    """
    chosen = _held_out(blocks())
    temperature = fit_temperature(chosen)
    streams = [Accumulator(metric) for metric in which]
    for rest in _not_held_out(blocks()):
        matched = at_temperature(rest, temperature)
        for stream in streams:
            stream.update(matched)
    estimates = {m.__name__: interval(stream.compute(), level=level) for m, stream in zip(which, streams, strict=True)}
    return Matched(temperature, chosen.examples, estimates)


def _held_out(blocks: Iterable[Predictions]) -> Predictions:
    parts, labelled = [], 0
    for block in blocks:
        out, labelled = _is_held_out(block, labelled)
        if out.any():
            parts.append(block.where(out))
    if not parts:
        raise BadInput(f"temperatures are fitted to every {EVERY}th row that has a label, and there is none; pass --label")
    return Predictions.joined(parts)


def _not_held_out(blocks: Iterable[Predictions]) -> Iterator[Predictions]:
    labelled = 0
    for block in blocks:
        out, labelled = _is_held_out(block, labelled)
        if not out.all():
            yield block.where(~out)


def _is_held_out(block: Predictions, labelled: int) -> tuple[np.ndarray, int]:
    """Which rows are held out, given how many labelled rows came before; and how many there are with these."""
    if not block.has_labels:
        return np.zeros(block.examples, dtype=bool), labelled
    place = labelled + np.arange(block.examples)
    out = (place % EVERY == EVERY - 1) & (place < EVERY * MOST_HELD_OUT)
    return out, labelled + block.examples
