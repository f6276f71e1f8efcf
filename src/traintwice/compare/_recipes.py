"""Recipes, each trained several times: two compared by churn and other measures, and several against the model in service."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from traintwice import metrics
from traintwice._formatting import points
from traintwice._names import entry
from traintwice._typed import typed
from traintwice.compare._estimates import Difference, compare_with_baseline, gap, interval
from traintwice.compare._floor import LEAST, MARGIN, Pairs, noise_floor
from traintwice.compare._inputs import check_level, distinct
from traintwice.compare._parts import NoiseFloor
from traintwice.compare._results import REPLICAS
from traintwice.compare._shown import Shown
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Measurement, Metric
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._definition import Unit, to_numpy
from traintwice.metrics._identical import IdenticalReplicas, identical_in_words
from traintwice.metrics._means import MeanOf
from traintwice.metrics._summaries import sums_of
from traintwice.predictions import Predictions, Reading, open_rows, replicas_of
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
            now = replace(m, difference=replace(d, more_replicas=d.more_replicas if d.significant or d.more_replicas else None))
            if d.significant != m.difference.significant:
                now = replace(now, sentence=_sentence(now, c.names, c.replicas, c.rows))
            measures[name] = now
    leads = [m["churn"].sentence if "churn" in m else c.sentence for c, m in zip(comparisons, found, strict=True)]
    return [
        replace(c, measures=tuple(measures.values()), sentence=lead)
        for c, measures, lead in zip(comparisons, found, leads, strict=True)
    ]


def _result(both: PairedAccumulator, paired: bool, level: float, names: tuple[str, str]) -> RecipeMeasure:
    first, second = both.first.compute(), both.second.compute()
    change = both.difference()
    difference = gap(first, second, change.example_variance, change.units or 0, is_paired=paired).difference(level)
    d, (one, other) = both.first.definition, (interval(s, level=level) for s in (first, second))
    found = RecipeMeasure(d.name, d.title, d.unit, one, other, difference, "")
    return replace(found, sentence=_sentence(found, names, (first.replicas, second.replicas), first.examples))


def _sentence(m: RecipeMeasure, names: tuple[str, str], replicas: tuple[int, int], rows: int) -> str:
    found, title, e, (a, b) = m.difference, m.title, m.difference.estimate, names
    many = f"{replicas[0]} replicas each" if replicas[0] == replicas[1] else f"{replicas[0]} and {replicas[1]} replicas"
    size, pp = (points, " pp") if m.unit == "fraction" else ("{:.3g}".format, "")
    if math.isnan(e.low):
        return f"{title}: recipe {b} minus recipe {a} is {size(e.value)}{pp}, without an interval ({many}, {rows:,} rows)"
    level = f"{100 * e.level:.0f} % interval"
    if found.significant:
        low, high = sorted((abs(e.low), abs(e.high)))
        more, less = ("more", "less") if m.name == "churn" else ("higher", "lower")
        change = f"{size(abs(e.value))}{pp} {more if e.value > 0 else less}"
        lead = f"recipe {b} churns {change} than {a}" if m.name == "churn" else f"{title} of recipe {b} is {change} than of {a}"
        return f"{lead} ({level} {size(low)} to {size(high)}; {many}, {rows:,} rows)"
    many_more = f"about {found.more_replicas} more replica{'' if found.more_replicas == 1 else 's'} of each"
    resolve = f"; {many_more} would resolve it" if found.more_replicas else ""
    span = f"{level} {size(e.low)} to {size(e.high)}; {many}, {rows:,} rows"
    return f"{title}: recipe {b} minus recipe {a} is {size(e.value)}{pp} ({span}): inconclusive{resolve}"


CHURN = MeanOf("churn_against_served", "churn against served")
FLIPS = MeanOf("negative_flips", "negative flips", needs_labels=True)


@dataclass(frozen=True)
class RecipeAgainst:
    """A recipe against the model in service.

    Attributes:
        recipe: its name.
        replicas: M.
        accuracy: of its replicas; None without labels.
        churn: share of rows whose answer differs from the model in service, mean over replicas.
        negative_flips: share of rows that the model in service answers right and a replica wrong; None without labels.
        floor: churn between the recipe's own replicas; None for one replica.
        noise: churn against the model in service over that floor, with its verdict; None below three replicas.
        change: churn against the model in service minus that of the baseline; None for the baseline and for fewer than two
            replicas in common.
    """

    recipe: str
    replicas: int
    accuracy: Estimate | None
    churn: Estimate
    negative_flips: Estimate | None
    floor: Estimate | None
    noise: NoiseFloor | None
    change: Difference | None


@dataclass(frozen=True, repr=False)
class Against(Shown):
    """Every recipe against the model in service. Made by `Results.against` and `Replication.against`.

    Attributes:
        served: name of its predictions.
        rows: number of rows compared.
        accuracy: of the model in service; None without labels.
        recipes: in their order; the first is the baseline.
        level: of the intervals.
    """

    served: str
    rows: int
    accuracy: float | None
    recipes: tuple[RecipeAgainst, ...]
    level: float

    def __getitem__(self, recipe: str) -> RecipeAgainst:
        return entry("recipe", recipe, {one.recipe: one for one in self.recipes})


@typed
def compare_with_served(
    served: str,
    answers: np.ndarray,
    recipes: Mapping[str, tuple[Predictions, tuple[int, ...]]],
    *,
    level: float = 0.95,
    margin: float = MARGIN,
) -> Against:
    r"""Compare the replicas of every recipe with one model in service, on the same rows.

        churn = mean_n mean_m [ŷ_mn ≠ s_n];   negative flips = mean_n mean_m [s_n = y_n ≠ ŷ_mn];   ratio = churn / floor

    Args:
        served: name of the predictions of the model in service.
        answers: its answers s, classes ``N``.
        recipes: name to the predictions of its replicas, and the numbers of the replicas, by which recipes are paired.
        level: nominal coverage of the intervals; one minus it is the level of the comparisons, Holm-adjusted over the recipes.
        margin: the smallest ratio to the floor that matters.
    Returns:
        Fractions in [0, 1]; 0.05 means that one row in twenty is answered otherwise. Intervals are over new replicas and new rows, given
        this model in service.
    Raises:
        BadInput: no recipe, or options out of range.
    Source:
        docs/concepts/definitions.md, "Noise floor", with the roles exchanged. Ours: were the model in service one more replica of
        the recipe, its mean churn against the replicas, and that of each replica against the others, would be exchangeable.
    """
    check_level(level)
    if not recipes or margin <= 1:
        raise BadInput(
            f"against: got {len(recipes)} recipes and margin {margin}, expected at least one recipe and a ratio above 1"
        )
    (_, base), *others = recipes.items()

    def churn(p: Predictions, numbers: tuple[int, ...], chosen: Sequence[int]) -> Measurement:
        return CHURN.of_contributions(to_numpy(p.votes)[[numbers.index(m) for m in chosen]] != answers, p)

    common = {name: [m for m in base[1] if m in found[1]] for name, found in others}
    pairs = {name: (churn(*recipes[name], ms), churn(*base, ms)) for name, ms in common.items() if len(ms) >= 2}
    changes = dict(zip(pairs, compare_with_baseline(list(pairs.values()), level=level), strict=True))
    rows = tuple(_one(name, p, answers, changes.get(name), level, margin) for name, (p, _) in recipes.items())
    accuracy = float(np.mean(to_numpy(base[0].known.labels) == answers)) if base[0].has_labels else None
    return Against(served, len(answers), accuracy, rows, level)


def _one(
    recipe: str, p: Predictions, answers: np.ndarray, change: Difference | None, level: float, margin: float
) -> RecipeAgainst:
    churn, accuracy, flips = CHURN.of_contributions(to_numpy(p.votes) != answers, p), None, None
    if p.has_labels:
        labels = to_numpy(p.known.labels)
        accuracy = interval(metrics.accuracy.definition.measure(p), level=level)
        flips = interval(FLIPS.of_contributions((answers == labels) & (to_numpy(p.votes) != labels), p), level=level)
    floor = interval(metrics.churn.definition.measure(p), level=level) if p.replicas > 1 else None
    noise = _noise(p, answers, level, margin) if p.replicas >= LEAST else None
    return RecipeAgainst(recipe, p.replicas, accuracy, interval(churn, level=level), flips, floor, noise, change)


def _noise(p: Predictions, answers: np.ndarray, level: float, margin: float) -> NoiseFloor:
    """Churn against the model in service, over that of each replica against the others."""
    votes, m = to_numpy(p.votes), p.replicas
    parts = [(votes != answers).mean(axis=0)]
    parts += [(votes != own).sum(axis=0) / (m - 1) for own in votes]
    by_row = np.stack(parts, axis=1)
    n, clusters = len(by_row), None if p.clusters is None else to_numpy(p.clusters)
    sums = sums_of(by_row.T, None, clusters)

    def variance_of(gradient: np.ndarray) -> float:
        return float(sums.variance(np.array([-(by_row @ gradient).mean(), *gradient]))[0])

    copies = sum(bool((votes[:i] == own).all(axis=1).any()) for i, own in enumerate(votes))
    said = f"{copies} of {m} replicas repeat another" if copies else None
    return noise_floor(
        Pairs(m, 0), by_row.sum(axis=0), n, variance_of, name="churn", title="churn against the served model", unit="fraction",
        level=level, margin=margin, units=int(sums.units[0]), clustered=clusters is not None,
        identical=said, words=REPLICAS,
    )  # fmt: skip
