"""Where churn happens: by group columns and by predicted class, with false discoveries kept in check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from traintwice.compare.flow import name_of
from traintwice.compare.intervals import p_value_of, t_two_sided
from traintwice.compare.moments import GroupedMeans, example_estimate
from traintwice.compare.noise_floor import Pairs, excess_estimate
from traintwice.compare.results import PREDICTED, Slice
from traintwice.errors import BadInput
from traintwice.metrics import Metric
from traintwice.metrics.definition import to_numpy
from traintwice.metrics.means import MeanOf, RatioOf, weights_of
from traintwice.predictions import Predictions
from traintwice.types import Estimate


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that of the findings below q at most the share q is false, on average.

        the i-th smallest of n becomes min over j >= i of min(1, n/j · p_(j))

    Source:
        Benjamini & Hochberg 1995.
    Example:
        >>> [round(q, 6) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
        [0.04, 0.053333, 0.053333, 0.5]
    """
    order = sorted(range(len(p_values)), key=lambda i: -p_values[i])
    adjusted = [1.0] * len(p_values)
    running, n = 1.0, len(p_values)
    for above, i in enumerate(order):
        running = min(running, p_values[i] * n / (n - above))
        adjusted[i] = running
    return adjusted


def check_sliceable(metric: Metric) -> None:
    """Refuse metrics that are neither a mean over rows nor a ratio of two."""
    if not isinstance(metric.definition, MeanOf | RatioOf):
        raise BadInput(f"{metric.__name__} has no value by slice: it is neither a mean over rows nor a ratio of two such means")


class Slices:
    """Sums of the rows of every slice.

    Args:
        columns: the group columns; the predicted class is added.
        pairs: of models, where there are retrains.
        which: further measures wanted for every slice.
    """

    def __init__(self, columns: Sequence[str], pairs: Pairs | None, which: Sequence[Metric] = ()) -> None:
        for metric in which:
            check_sliceable(metric)
        self._columns = {name: _Column(pairs, which) for name in (*columns, PREDICTED)}

    def add(self, block: Predictions) -> None:
        """Add rows of all models: old, new, retrains of old, retrains of new."""
        for name, column in self._columns.items():
            column.add(block, to_numpy(block.votes[0] if name == PREDICTED else block.groups[name]).tolist())

    def add_cells(self, column: str, values: Sequence[object], block: Predictions, counts: np.ndarray) -> None:
        """Add rows that come counted: ``counts[i]`` of them are like row i of the block and have the value ``values[i]``."""
        self._columns[column].add(block, values, counts)

    def result(self, min_support: int, level: float, names: Sequence[str] | None) -> tuple[tuple[Slice, ...], int]:
        """Slices of at least ``min_support`` rows, smallest q-value first, and how many have fewer rows."""
        found: list[Slice] = []
        few = 0
        for name, column in self._columns.items():
            shown, left = column.slices(name, min_support, level, names)
            found += shown
            few += left
        q_values = benjamini_hochberg([s.p_value for s in found])
        judged = [replace(s, q_value=q) for s, q in zip(found, q_values, strict=True)]
        return tuple(sorted(judged, key=lambda s: (s.q_value, -s.churn.value, s.column, s.value or ""))), few


class _Column:
    def __init__(self, pairs: Pairs | None, which: Sequence[Metric]) -> None:
        self._numbers: dict[object, int] = {}
        self._churn, self._gain, self._pairs = GroupedMeans(1), GroupedMeans(1), pairs
        self._excess = GroupedMeans(1)
        self._of_pairs = [GroupedMeans(1) for _ in (pairs.pairs if pairs else ())]
        self._which = {m.__name__: (m.definition, GroupedMeans(_parts(m))) for m in which}

    def add(self, block: Predictions, values: Sequence[object], counts: np.ndarray | None = None) -> None:
        number = np.array([self._numbers.setdefault(v, len(self._numbers)) for v in values], dtype=np.int64)
        weights = weights_of(block)

        def put(into: GroupedMeans, quantities: np.ndarray) -> None:
            if counts is None:
                into.add(number, quantities, weights)
            else:
                into.add_cells(number, quantities, counts)

        put(self._churn, (to_numpy(block.votes[0]) != to_numpy(block.votes[1]))[None])
        if block.has_labels:
            right = to_numpy(block.correct[:2]).astype(np.int64)
            put(self._gain, (right[1] - right[0])[None])
        if self._pairs is not None:
            differ = self._pairs.of(block)
            put(self._excess, (self._pairs.excess() @ differ)[None])
            for of_pair, row in zip(self._of_pairs, differ, strict=True):
                put(of_pair, row[None])
        pair = block.models(0, 2)
        for definition, means in self._which.values():
            if definition.missing(pair) is None and isinstance(definition, MeanOf | RatioOf):
                put(means, definition.add(pair, weights)[1])

    def slices(self, name: str, min_support: int, level: float, names: Sequence[str] | None) -> tuple[list[Slice], int]:
        churn, variance = self._churn.value((1,)), self._churn.variance((1,))
        gain, gain_variance = self._gain.value((1,)), self._gain.variance((1,))
        total = float(self._churn.weight.sum())
        further = {key: _estimates(definition, means, level) for key, (definition, means) in self._which.items()}
        found, few = [], 0
        for value, g in self._numbers.items():
            rows = int(self._churn.rows[g])
            if rows < min_support or not self._churn.weight[g] > 0:
                few += 1
                continue
            labelled = int(self._gain.rows[g]) if g < len(self._gain.rows) else 0
            excess = self._excess_of(g, level)
            p_value = self._against_rest(g) if excess is None or math.isnan(excess.low) else p_value_of(excess)
            found.append(
                Slice(
                    column=name,
                    value=name_of(int(str(value)), names) if name == PREDICTED else _text(value),
                    rows=rows,
                    share=float(self._churn.weight[g] / total),
                    churn=example_estimate(float(churn[g]), float(variance[g]), replicas=2, rows=rows, level=level),
                    accuracy_change=None
                    if not labelled
                    else example_estimate(float(gain[g]), float(gain_variance[g]), replicas=2, rows=labelled, level=level),
                    excess=excess,
                    p_value=p_value,
                    q_value=1.0,
                    measures={key: of[g] for key, of in further.items() if g < len(of) and not math.isnan(of[g].value)},
                )
            )
        return found, few

    def _excess_of(self, g: int, level: float) -> Estimate | None:
        if self._pairs is None:
            return None
        churn = np.array([of_pair.value((1,))[g] for of_pair in self._of_pairs])
        return excess_estimate(self._pairs, churn, float(self._excess.variance((1,))[g]), int(self._excess.rows[g]), level)

    def _against_rest(self, g: int) -> float:
        """p-value of the slice's churn being that of all other rows, with the variance of both pooled."""
        c = self._churn
        inside, outside = float(c.weight[g]), float(c.weight.sum() - c.weight[g])
        if not outside > 0:
            return 1.0
        overall = float(c.sums[0].sum() / c.weight.sum())
        spread = overall * (1 - overall)
        gap = float(c.sums[0, g] / inside - (c.sums[0].sum() - c.sums[0, g]) / outside)
        variance = spread * float(c.squares[g] / inside**2 + (c.squares.sum() - c.squares[g]) / outside**2)
        return t_two_sided(gap / math.sqrt(variance), math.inf) if variance > 0 else 1.0


def _parts(metric: Metric) -> int:
    return 2 if isinstance(metric.definition, RatioOf) else 1


def _estimates(definition: object, means: GroupedMeans, level: float) -> list[Estimate]:
    """The measure in every slice; nan where it has no value."""
    if not isinstance(definition, RatioOf):
        pairs = zip(means.value((1,)), means.variance((1,)), strict=True)
    else:
        top, bottom = means.value((1, 0)), means.value((0, 1))
        share = np.where(bottom > 0, bottom, np.nan)
        values = top / share
        pairs = zip(values, means.variance(np.stack([1 / share, -values / share])), strict=True)
    return [
        example_estimate(float(value), float(variance), replicas=2, rows=int(rows), level=level)
        for (value, variance), rows in zip(pairs, means.rows, strict=True)
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
