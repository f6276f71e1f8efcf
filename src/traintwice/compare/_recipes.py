"""Comparison of two recipes, each trained several times: difference of their churn and other measures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from traintwice._formatting import points
from traintwice._names import entry
from traintwice._typed import typed
from traintwice.compare._estimates import Difference, gap, interval
from traintwice.compare._inputs import check_level, distinct
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Metric
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._definition import Unit
from traintwice.metrics._identical import IdenticalReplicas, identical_in_words
from traintwice.predictions import Reading, open_rows, replicas_of
from traintwice.statistics._inference import holm
from traintwice.types import Estimate

DEFAULT = distinct(["churn", "accuracy", "log_loss", "churn_to_error", "surrogate_churn", "pairwise_l1"])
"""Metrics of `compare_recipes` by default."""


@dataclass(frozen=True)
class RecipeMeasure:
    """A measure of two recipes.

    Attributes:
        name, title, unit: of the metric.
        first, second: of each recipe, for new replicas and new rows.
        difference: second minus first.
        sentence: the same in words.
    """

    name: str
    title: str
    unit: Unit
    first: Estimate
    second: Estimate
    difference: Difference
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, repr=False)
class RecipeComparison(Shown):
    """Two sets of replicas on the same rows. Made by `compare_recipes`.

    Attributes:
        names: of the two recipes.
        replicas: M of each.
        rows: N.
        paired: replica m of both shares its streams, so that they are left out together.
        level: nominal coverage of the intervals.
        measures: by name; churn first.
        identical: names of replicas whose predictions are bit-identical, each group of two or more.
        left_out: measure to the reason why it has no value.
        sentence: the difference in churn, in words.
    """

    names: tuple[str, str]
    replicas: tuple[int, int]
    rows: int
    paired: bool
    level: float
    measures: tuple[RecipeMeasure, ...]
    identical: tuple[tuple[str, ...], ...]
    left_out: Mapping[str, str]
    sentence: str

    def __getitem__(self, name: str) -> RecipeMeasure:
        """A measure by its name."""
        return entry("measure", name, {measure.name: measure for measure in self.measures}, self.left_out)


@typed
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

        V_J(first) + V_J(second) is the replica part of the difference, and the variance of the difference of influences its example
        part; p is the larger of the t test on the one and the t test on the other

    Paired, replica m of both leaves together: V_J is the jackknife of the difference.

    Args:
        first, second: replicas of each recipe: files or tables (a glob, a directory, a list), `Predictions`, or arrays ``M N K`` or
            ``M N``; at least three of each for an interval over new replicas.
        names: of the recipes, for sentences.
        paired: replica m of both recipes was trained with the same streams (the studies of this package do so). For files of
            unknown origin leave it off.
        which: the measures, or their names; one-pass measures of at least one replica.
        level: nominal coverage.
        reading: which columns are what; see `open_predictions`.
    Returns:
        A `RecipeComparison`; differences are second minus first. A difference in churn of −0.05 reads: of 100 rows two trainings
        of the second recipe disagree on 5 fewer.
    Raises:
        BadInput: see `open_predictions`; paired with different numbers of replicas. TooFewReplicas: fewer than two of a recipe.
    Source:
        docs/concepts/definitions.md, "Comparisons".
    Example:
        >>> a, b = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 0]]), np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1]])
        >>> c = compare_recipes(a, b)
        >>> round(c["churn"].first.value, 3), round(c["churn"].second.value, 3), round(c["churn"].difference.estimate.value, 3)
        (0.5, 0.167, -0.333)
    """
    check_level(level)
    models = [replicas_of(first), replicas_of(second)]
    sizes = (len(models[0]), len(models[1]))
    for name, size in zip(names, sizes, strict=True):
        if size < 2:
            raise TooFewReplicas(
                f"recipe {name}: got {size} replica, expected at least 2: one model has nothing to disagree with"
            )
    if paired and sizes[0] != sizes[1]:
        raise BadInput(f"paired: got {sizes[0]} replicas of {names[0]} and {sizes[1]} of {names[1]}, expected equally many")
    labels = [f"{name} {m + 1}" for name, size in zip(names, sizes, strict=True) for m in range(size)]
    identical = IdenticalReplicas()
    with open_rows([*models[0], *models[1]], labels, **reading) as rows:
        clustered = rows.clusters is not None
        comparisons = {m.__name__: PairedAccumulator(m, clustered=clustered) for m in distinct(which)}
        for block in rows.blocks():
            identical.add(block)
            for comparison in comparisons.values():
                comparison.add(block.models(0, sizes[0]), block.models(sizes[0], sum(sizes)))
        files, total = rows.summary.files, rows.summary.rows
    found: list[RecipeMeasure] = []
    left_out: dict[str, str] = {}
    for name, comparison in comparisons.items():
        try:
            found.append(_result(comparison, paired, level, names))
        except (Undefined, TooFewReplicas, BadInput) as reason:
            left_out[name] = comparison.missing or str(reason)
    groups = identical.result()
    copies = tuple(tuple(files[m] for m in group) for group in groups)
    # Copies of one training are not replicas: no verdict rests on them.
    inside = [c for c, g in zip(copies, groups, strict=True) if max(Counter(m < sizes[0] for m in g).values()) > 1]
    if inside:
        said = f"no verdict: {identical_in_words(inside[:1])[0]}"
        found = [replace(m, difference=replace(m.difference, adjusted=1.0, more_replicas=None), sentence=said) for m in found]
    said = next((m.sentence for m in found if m.name == "churn"), found[0].sentence if found else "nothing could be compared")
    return RecipeComparison(names, sizes, total, paired, level, tuple(found), copies, left_out, said)


def holm_adjusted(comparisons: Sequence[RecipeComparison]) -> list[RecipeComparison]:
    """Comparisons of several recipes with one, their p-values Holm-adjusted over the recipes, each measure on its own."""
    found = [{m.name: m for m in c.measures} for c in comparisons]
    for name in dict.fromkeys(name for measures in found for name in measures):
        having = [(c, measures) for c, measures in zip(comparisons, found, strict=True) if name in measures]
        adjusted = holm([measures[name].difference.adjusted for _, measures in having])
        for (c, measures), p in zip(having, adjusted, strict=True):
            m, d = measures[name], replace(measures[name].difference, adjusted=p)
            if p == m.difference.adjusted:
                continue
            d = replace(d, more_replicas=d.more_replicas if d.significant or d.more_replicas else None)
            said = m.sentence
            if d.significant != m.difference.significant:
                said = _sentence(m.name, m.title, m.unit, d, c.names, c.replicas, c.rows)
            measures[name] = replace(m, difference=d, sentence=said)
    leads = [m["churn"].sentence if "churn" in m else c.sentence for c, m in zip(comparisons, found, strict=True)]
    return [
        replace(c, measures=tuple(measures.values()), sentence=lead)
        for c, measures, lead in zip(comparisons, found, leads, strict=True)
    ]


def _result(both: PairedAccumulator, paired: bool, level: float, names: tuple[str, str]) -> RecipeMeasure:
    first, second = both.first.compute(), both.second.compute()
    change = both.difference()
    difference = gap(first, second, change.example_variance, change.units or 0, is_paired=paired).difference(level)
    d = both.first.definition
    said = _sentence(d.name, d.title, d.unit, difference, names, (first.replicas, second.replicas), first.examples)
    one, other = interval(first, level=level), interval(second, level=level)
    return RecipeMeasure(d.name, d.title, d.unit, one, other, difference, said)


def _sentence(
    name: str, title: str, unit: Unit, found: Difference, names: tuple[str, str], replicas: tuple[int, int], rows: int
) -> str:
    e, (a, b) = found.estimate, names
    many = f"{replicas[0]} replicas each" if replicas[0] == replicas[1] else f"{replicas[0]} and {replicas[1]} replicas"
    size, pp = (points, " pp") if unit == "fraction" else ("{:.3g}".format, "")
    if math.isnan(e.low):
        return f"{title}: recipe {b} minus recipe {a} is {size(e.value)}{pp}, without an interval ({many}, {rows:,} rows)"
    level = f"{100 * e.level:.0f} % interval"
    if found.significant:
        low, high = sorted((abs(e.low), abs(e.high)))
        more, less = ("more", "less") if name == "churn" else ("higher", "lower")
        change = f"{size(abs(e.value))}{pp} {more if e.value > 0 else less}"
        lead = f"recipe {b} churns {change} than {a}" if name == "churn" else f"{title} of recipe {b} is {change} than of {a}"
        return f"{lead} ({level} {size(low)} to {size(high)}; {many}, {rows:,} rows)"
    resolve = f"; about {found.more_replicas} more replicas of each would resolve it" if found.more_replicas else ""
    span = f"{level} {size(e.low)} to {size(e.high)}; {many}, {rows:,} rows"
    return f"{title}: recipe {b} minus recipe {a} is {size(e.value)}{pp} ({span}): inconclusive{resolve}"
