"""Two recipes, each trained several times: which of them disagrees less with itself, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from traintwice import metrics
from traintwice.compare.diff import named
from traintwice.compare.intervals import interval, p_value_of, replica_variance
from traintwice.compare.moments import estimate_of
from traintwice.compare.paired import Difference, replicas_to_settle
from traintwice.compare.recipe_types import RecipeComparison, RecipeMeasure
from traintwice.compare.streams import Stream
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Metric, Summary
from traintwice.metrics.definition import Definition, OnePass
from traintwice.metrics.means import total_weight, weights_of
from traintwice.metrics.streaming import Moments
from traintwice.predictions import Predictions, Reading, open_rows, replicas_of
from traintwice.tables.format import points

DEFAULT: tuple[Metric, ...] = (
    metrics.churn,
    metrics.accuracy,
    metrics.log_loss,
    metrics.churn_to_error,
    metrics.surrogate_churn,
    metrics.pairwise_l1,
)
"""What `compare_recipes` compares unless told otherwise."""


def compare_recipes(
    first: Any,
    second: Any,
    *,
    names: tuple[str, str] = ("A", "B"),
    paired: bool = False,
    which: Sequence[Metric | str] = DEFAULT,
    level: float = 0.95,
    **reading: Unpack[Reading],
) -> RecipeComparison:
    r"""Compare two recipes by replicas of each on the same rows.

        variance of the difference = V_J(first) + V_J(second) + var_n(z_n)/N,   z_n = influence in second − influence in first

    Paired, replica m of both leaves together: V_J is the jackknife of the difference.

    Args:
        first, second: replicas of each recipe: files or tables (a glob, a directory, a list), `Predictions`, or arrays ``M N K`` or
            ``M N``; at least three of each for an interval over new replicas.
        names: of the recipes, for sentences.
        paired: replica m of both recipes was trained with the same streams (the studies of this package do so). For files of
            unknown origin leave it off.
        which: the measures, or their names; one-pass measures of at least one replica.
        level: nominal coverage.
        reading: see `traintwice.compare.diff`.
    Returns:
        A `RecipeComparison`; differences are second minus first. A difference in churn of −0.05 reads: of 100 rows two trainings
        of the second recipe disagree on 5 fewer.
    Raises:
        BadInput: see `open_predictions`; paired with different numbers of replicas. TooFewReplicas: fewer than two of a recipe.
    Source:
        Spec section 2. Ours: Welch-Satterthwaite degrees of freedom over all parts.
    Example:
        >>> a, b = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 0]]), np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1]])
        >>> c = compare_recipes(a, b)
        >>> round(c["churn"].first.value, 3), round(c["churn"].second.value, 3), round(c["churn"].difference.estimate.value, 3)
        (0.5, 0.167, -0.333)
    """
    models = [replicas_of(first), replicas_of(second)]
    sizes = (len(models[0]), len(models[1]))
    for name, size in zip(names, sizes, strict=True):
        if size < 2:
            raise TooFewReplicas(
                f"recipe {name}: got {size} replica, expected at least 2: one model has nothing to disagree with"
            )
    if paired and sizes[0] != sizes[1]:
        raise BadInput(f"paired: got {sizes[0]} replicas of {names[0]} and {sizes[1]} of {names[1]}, expected equally many")
    comparisons = [_Comparison(metric) for metric in dict.fromkeys(named(metric) for metric in which)]
    labels = [f"{name} {m + 1}" for name, size in zip(names, sizes, strict=True) for m in range(size)]
    total = 0
    with open_rows([*models[0], *models[1]], labels, **reading) as rows:
        for block in rows.blocks():
            total += block.examples
            for comparison in comparisons:
                comparison.add(block.models(0, sizes[0]), block.models(sizes[0], sum(sizes)))
    found, left_out = [], {}
    for comparison in comparisons:
        try:
            found.append(comparison.result(paired, level, names))
        except (Undefined, TooFewReplicas) as reason:
            left_out[comparison.definition.name] = str(reason)
    spoken = next((m.sentence for m in found if m.name == "churn"), found[0].sentence if found else "nothing could be compared")
    return RecipeComparison(names, sizes, total, paired, level, tuple(found), left_out, spoken)


@dataclass
class _Influences:
    """Moments of what each row brings to both recipes together, for the variance of the difference over rows."""

    moments: Moments | None = None
    rows: int = 0
    weight: float = 0.0

    def add(self, means: np.ndarray, block: Predictions) -> None:
        weights = weights_of(block)
        part = Moments.of(means, weights)
        self.moments = part if self.moments is None else self.moments + part
        self.rows += block.examples
        self.weight += total_weight(block, weights)


class _Comparison:
    """One measure of both recipes."""

    def __init__(self, metric: Metric) -> None:
        self.definition: Definition = metric.definition
        if not isinstance(self.definition, OnePass):
            raise BadInput(f"{self.definition.title} needs all rows together and is not compared between recipes")
        self._one_pass: OnePass = self.definition
        self._streams = (Stream(metric), Stream(metric))
        self._together = _Influences()
        self._sums: list[tuple[Any, ...] | None] = [None, None]

    def add(self, first: Predictions, second: Predictions) -> None:
        recipes = (first, second)
        for stream, block in zip(self._streams, recipes, strict=True):
            stream.add(block)
        if any(self.definition.missing(block) is not None for block in recipes):
            return
        means = []
        for i, block in enumerate(recipes):
            with np.errstate(invalid="ignore"):
                sums, of_rows = self._one_pass.add(block, weights_of(block))
            known = self._sums[i]
            self._sums[i] = sums if known is None else tuple(a + b for a, b in zip(known, sums, strict=True))
            means.append(of_rows)
        self._together.add(np.concatenate(means), first)

    def result(self, paired: bool, level: float, names: tuple[str, str]) -> RecipeMeasure:
        first, second = (stream.compute() for stream in self._streams)
        of_rows = self._variance_of_rows(first, second)
        value = second.value - first.value
        rows = self._together.rows
        parts: list[tuple[float, float]]
        difference = Summary(value, second.rows[:1], None, of_rows, rows)
        if paired:
            dropped = None if first.dropped is None or second.dropped is None else second.dropped - first.dropped
            difference = Summary(value, second.rows - first.rows, dropped, of_rows, rows)
            parts = [(replica_variance(difference), first.replicas - 1)]
        else:
            parts = [(replica_variance(s), s.replicas - 1) for s in (first, second)]
        replicas = min(first.replicas, second.replicas)
        finite = all(not math.isnan(v) for v, _ in parts)
        every = [*(parts if finite else []), (of_rows, max(rows - 1, 1))]
        estimate = estimate_of(value, every, replicas=replicas, rows=rows, level=level, target="both" if finite else "examples")
        p = p_value_of(estimate)
        settled = Difference(estimate, p, p, 0)
        if not settled.settled:
            more = replicas_to_settle(_balanced(parts, value, of_rows, replicas, rows), 1 - level) if finite else None
            settled = replace(settled, more_replicas=more)
        d = self.definition
        both = tuple(interval(s, level=level) for s in (first, second))
        said = _sentence(d, settled, names, first.replicas, second.replicas, rows)
        return RecipeMeasure(d.name, d.title, d.unit, both[0], both[1], settled, said)

    def _variance_of_rows(self, first: Summary, second: Summary) -> float:
        """var_n(z_n)/N, z_n the influence of row n in the second recipe minus that in the first."""
        t = self._together
        if t.rows < 2 or t.moments is None or not (np.isfinite(first.value) and np.isfinite(second.value)):
            return math.nan
        ends = [
            self._one_pass.conclude(sums, summary.replicas, t.weight)
            for sums, summary in zip(self._sums, (first, second), strict=True)
            if sums is not None
        ]
        slopes = np.concatenate([-ends[0].slopes, ends[1].slopes])
        centre = np.concatenate([ends[0].centre, ends[1].centre])
        return t.rows / (t.rows - 1) * t.moments.spread(slopes, centre) / t.weight**2


def _balanced(parts: Sequence[tuple[float, float]], value: float, of_rows: float, replicas: int, rows: int) -> Summary:
    """A summary with the same variance of replicas, as `replicas_to_settle` reads it."""
    total = sum(variance for variance, _ in parts)
    pattern = np.resize([1.0, -1.0], replicas)
    pattern = pattern - pattern.mean()
    scale = math.sqrt(total * replicas / ((replicas - 1) * float(pattern @ pattern)))
    return Summary(value, np.zeros(replicas), value + scale * pattern, of_rows, rows)


def _sentence(d: Definition, found: Difference, names: tuple[str, str], first: int, second: int, rows: int) -> str:
    e = found.estimate
    many = f"{first} replicas each" if first == second else f"{first} and {second} replicas"

    def said(value: float) -> str:
        return points(value) if d.unit == "fraction" else f"{value:.3g}"

    unit = " points" if d.unit == "fraction" else ""
    a, b = names
    if math.isnan(e.low):
        return f"{d.title}: recipe {b} minus recipe {a} is {said(e.value)}{unit}, without an interval ({many}, {rows:,} rows)"
    low, high = sorted((abs(e.low), abs(e.high)))
    if found.settled:
        direction = "more" if e.value > 0 else "less"
        lead = (
            f"recipe {b} churns {said(abs(e.value))}{unit} {direction} than {a}"
            if d.name == "churn"
            else (f"{d.title} of recipe {b} is {said(abs(e.value))}{unit} {'higher' if e.value > 0 else 'lower'} than of {a}")
        )
        return f"{lead} ({100 * e.level:.0f} % interval {said(low)} to {said(high)}; {many}, {rows:,} rows)"
    more = f"; about {found.more_replicas} more replicas of each would tell" if found.more_replicas else ""
    span = f"{100 * e.level:.0f} % interval {said(e.low)} to {said(e.high)}; {many}, {rows:,} rows"
    return f"{d.title}: recipe {b} minus recipe {a} is {said(e.value)}{unit} ({span}): not settled{more}"
