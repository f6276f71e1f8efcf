"""Findings of a study on a stream of examples with two classes: relative differences by method, over time and by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice._formatting import decimals_for, number
from traintwice._typed import typed
from traintwice.compare import compare_with_baseline, interval
from traintwice.errors import Undefined
from traintwice.losses import Decorrelation
from traintwice.metrics import Measurement, Metric
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.recipes import Recipe
from traintwice.study._findings import ratio
from traintwice.study._results import Results
from traintwice.tables import Column, Row, Table
from traintwice.tables._sheet import CellUnit
from traintwice.types import Estimate

BLOCKS = 40
"""Number of equally long parts of the stream in which the drift is measured."""

BASELINE_COLUMNS: dict[str, CellUnit] = {"examples": "text", "positive": "fraction", "accuracy": "fraction", "churn": "fraction"}
"""First columns of the tables by time and by slice."""

LEAST_EXAMPLES = 200
"""Slices with fewer test examples are left out."""


@dataclass(frozen=True)
class Drift:
    """Relative difference of two runs in one part of the stream.

    Attributes:
        row: name of the recipe.
        seen: examples of the stream before the middle of the part.
        counted: whether the part has test examples; the parts before are the warm-up and the examples for fitting temperatures.
        apart: relative difference of two replicas (`relative_pairwise`), mean over pairs.
    """

    row: str
    seen: int
    counted: bool
    apart: Estimate


@dataclass(frozen=True)
class ProgressiveFindings:
    """Tables of a study on a stream.

    Attributes:
        table: one line for each recipe, in the columns of AD Table 3.
        over_time: one line for each time; None if the data have no times.
        slices: one table for each group column.
        drift: of every recipe, in the order of the stream.
        sentences: the comparison of each recipe with the baseline.
    """

    table: Table
    over_time: Table | None
    slices: tuple[Table, ...]
    drift: tuple[Drift, ...]
    sentences: tuple[str, ...]

    @property
    def baseline_over_time(self) -> Table | None:
        """The columns of the baseline only, for narrow terminals."""
        found = self.over_time
        return None if found is None else replace(found, columns=found.columns[: len(BASELINE_COLUMNS) + 1])

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, the one by method first."""
        return (self.table, *(() if self.over_time is None else (self.over_time,)), *self.slices)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "table": self.table.to_dict(),
            "over_time": None if self.over_time is None else self.over_time.to_dict(),
            "slices": [table.to_dict() for table in self.slices],
            "findings": list(self.sentences),
            "drift": [{"row": d.row, "seen": d.seen, "counted": d.counted, **d.apart.to_dict()} for d in self.drift],
        }


@typed
def progressive_findings(results: Results, *, level: float = 0.95) -> ProgressiveFindings | None:
    """The tables of AD section 5 (click-through rates) for a study on a stream of examples with two classes.

    Args:
        results: of the study.
        level: nominal coverage of the intervals.
    Returns:
        See `ProgressiveFindings`; None for any other study.
    Source:
        AD Table 3: relative prediction difference, change of log loss and of rank loss against no anti-distillation, by loss, λ and s.
        Ours: the difference is the mean over pairs of replicas, which does not depend on M, next to Δ^{r1} of all M. It is also shown at
        matched temperature, because a method that shrinks logits lowers it although the models do not agree more.
    """
    data = results.data
    if data.places is None or data.classes != 2:
        return None
    times = [] if data.time is None else [_by(results, "time", data.time, level)]
    slices = [_by(results, name, values, level) for name, values in data.groups.items() if not _same(values, data.time)]
    return ProgressiveFindings(
        _by_method(results, level),
        times[0] if times else None,
        tuple(slices),
        tuple(_drift(results, level)),
        tuple(_sentences(results, level)),
    )


def _by_method(results: Results, level: float) -> Table:
    columns = (
        Column("coupling", "coupling", "text"),
        Column("weight", "λ", "text"),
        Column("s", "s", "text"),
        Column("log_loss_change", "log loss change", "fraction"),
        Column("rank_loss_change", "rank loss change", "fraction"),
        Column("relative_pairwise", "relative PD"),
        Column("relative_pairwise_matched", "relative PD (T)"),
        Column("relative_delta_positive", "Δʳ¹"),
        Column("churn", "churn", "fraction"),
        Column("accuracy", "accuracy", "fraction"),
    )
    rows = []
    for name, result in results.rows.items():
        cells: dict[str, Estimate | float | str | None] = {**_settings(result.recipe)}
        for metric in (metrics.log_loss, metrics.rank_loss):
            cells[f"{metric.__name__}_change"] = relative_change(results, metric, name, level=level)
        for metric in (metrics.relative_pairwise, metrics.relative_delta_positive, metrics.churn, metrics.accuracy):
            cells[metric.__name__] = results.estimate(metric, name, level=level)
        cells["relative_pairwise_matched"] = results.estimate(metrics.relative_pairwise, name, matched=True, level=level)
        rows.append(Row(name, cells))
    count, first = len(results.data.test), int((results.data.places or {})["test"][0])
    notes = (
        f"Changes are against {results.baseline.name}, paired by replica. relative PD: difference of the probabilities "
        f"of {_positive(results)!r} of two runs, divided by their mean (Δʳ¹ of AD for two models); (T): at each recipe's best temperature; "
        f"Δʳ¹ is of all {results.experiment.replicas} replicas.",
        f"Every example is predicted before it is trained on. The first {first:,} of {len(results.data.train):,} examples are left out "
        f"(warm-up, and those that temperatures are fitted to); {count:,} of the rest are reported.",
    )
    return Table("Relative differences, by method", columns, tuple(rows), notes)


def _settings(recipe: Recipe) -> dict[str, str]:
    """Loss between components, its weight, and the scale of the initial embeddings, as text."""
    coupling = [t for t in recipe.method.terms if getattr(t.loss, "couples", False)]
    named = [t.loss.matrix if isinstance(t.loss, Decorrelation) else type(t.loss).__name__.lower() for t in coupling]
    weights = [f"{t.weight:g}" if isinstance(t.weight, int | float) else repr(t.weight) for t in coupling]
    s = getattr(recipe.network, "embedding_scale", None)
    return {"coupling": ", ".join(named) or "none", "weight": ", ".join(weights) or "–", "s": "–" if s is None else f"{s:g}"}


@typed
def relative_change(results: Results, metric: Metric, row: str, *, level: float = 0.95) -> Estimate | None:
    """Relative change of a measure against the baseline, paired by replica.

        metric(row) / metric(baseline) − 1

    Args:
        results: of a study.
        metric: such as `traintwice.metrics.log_loss`.
        row: by name.
        level: nominal coverage of the interval.
    Returns:
        0.01 means one percent above the baseline. None for the baseline itself, for other replica numbers, or for a baseline of 0.
    Source:
        The columns "Log Loss change %" and "Rank Loss change %" of AD Table 3. Ours: the interval, by the jackknife of the quotient on
        shared replicas.
    """
    if row == results.baseline.name or results[row].numbers != results.baseline.numbers:
        return None
    try:
        return _relative(results.measure(metric, row), results.measure(metric, results.baseline.name), level)
    except Undefined:
        return None


def _sentences(results: Results, level: float) -> list[str]:
    """Changes of relative difference, relative difference at matched temperature, and log loss against the baseline."""
    baseline = results.baseline
    others = [name for name, row in results.rows.items() if row is not baseline and row.numbers == baseline.numbers]
    said: dict[str, list[str]] = {name: [] for name in others}
    for title, metric, matched in (
        ("relative PD", metrics.relative_pairwise, False),
        ("relative PD at matched temperature", metrics.relative_pairwise, True),
        ("log loss", metrics.log_loss, False),
    ):
        try:
            base = results.measure(metric, baseline.name, matched=matched)
            measured = [results.measure(metric, name, matched=matched) for name in others]
            changes = [_relative(one, base, level) for one in measured]
        except Undefined:
            continue
        judged = compare_with_baseline([(one, base) for one in measured], level=level)
        for name, found, change in zip(others, judged, changes, strict=True):
            clear = found.significant and change.excludes_zero
            word = "inconclusive" if not clear else "lower" if change.value < 0 else "higher"
            said[name].append(f"{title} {word} ({_signed_percent(change)})")
    if not others:
        return []
    terms = (
        f"Changes are relative to {baseline.name}, with {100 * level:g} % intervals. Lower and higher are significant at "
        f"{100 * level:g} % after Holm's adjustment over the recipes compared (here {len(others)}), for each measure alone, "
        "paired by replica."
    )
    return [*(f"{name}: {'; '.join(parts)}." for name, parts in said.items() if parts), terms]


def _relative(above: Measurement, below: Measurement, level: float) -> Estimate:
    """The quotient of two measurements minus one."""
    quotient = interval(ratio(above, below), level=level)
    return replace(quotient, value=quotient.value - 1.0, low=quotient.low - 1.0, high=quotient.high - 1.0)


def _signed_percent(estimate: Estimate) -> str:
    digits = decimals_for([estimate], "fraction")
    value, low, high = (number(x, "fraction", digits, sign=True) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} %" if np.isnan(estimate.low) else f"{value} %, {low} to {high}"


def _by(results: Results, name: str, values: np.ndarray, level: float) -> Table:
    """One line for each value: examples, labels, churn and accuracy of the baseline, and the difference of each recipe."""
    baseline = results.baseline.name
    titles = ("examples", _positive(results), f"accuracy, {baseline}", f"churn, {baseline}")
    columns = [Column(key, title, unit) for (key, unit), title in zip(BASELINE_COLUMNS.items(), titles, strict=True)]
    columns += [Column(f"of {row}", row) for row in results.rows]
    found, counts = np.unique(values, return_counts=True)
    rows = []
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        if count < LEAST_EXAMPLES:
            continue
        chosen = np.flatnonzero(values == value)
        parts = {row: results[row].test.where(chosen) for row in results.rows}
        cells: dict[str, Estimate | float | str | None] = {
            "examples": f"{count:,}",
            "positive": float(to_numpy(parts[baseline].labels).mean()),
            "accuracy": _estimate(metrics.accuracy, parts[baseline], level),
            "churn": _estimate(metrics.churn, parts[baseline], level),
        }
        rows.append(
            Row(str(value), {**cells, **{f"of {r}": _estimate(metrics.relative_pairwise, p, level) for r, p in parts.items()}})
        )
    few = sum(count < LEAST_EXAMPLES for count in counts.tolist())
    left_out = f" {few} with fewer than {LEAST_EXAMPLES} examples are left out." if few else ""
    note = f"Relative difference of the probabilities of {_positive(results)!r} of two runs, for each recipe.{left_out}"
    return Table(f"By {name}", tuple(columns), tuple(rows), (note,))


def _estimate(metric: Metric, predictions: Predictions, level: float) -> Estimate:
    return interval(metric.definition.measure(predictions), level=level)


def _drift(results: Results, level: float) -> list[Drift]:
    """Relative difference of two replicas in blocks of the whole stream, the warm-up included."""
    places = results.data.places or {}
    names = [name for name in ("warm_up", "validation", "test") if name in places]
    at = np.concatenate([places[name] for name in names])
    edges = np.searchsorted(at, np.linspace(0, len(results.data.train), BLOCKS + 1))
    blocks = [(start, stop) for start, stop in pairwise(edges.tolist()) if start < stop]
    points = []
    for row, result in results.rows.items():
        parts: Sequence[Predictions | None] = [getattr(result, name) for name in names]
        probs = np.concatenate([to_numpy(p.probs) for p in parts if p is not None], axis=1)
        for start, stop in blocks:
            apart = _estimate(metrics.relative_pairwise, Predictions.trusted(probs[:, start:stop]), level)
            points.append(Drift(row, int(at[(start + stop) // 2]), bool(at[start] >= places["test"][0]), apart))
    return points


def _positive(results: Results) -> str:
    return results.data.class_names[1] if results.data.class_names else "1"


def _same(values: np.ndarray, time: np.ndarray | None) -> bool:
    """Whether a group column has one value for each time."""
    if time is None:
        return False
    return len(set(zip(values.tolist(), time.tolist(), strict=True))) == len(set(values.tolist())) == len(set(time.tolist()))
