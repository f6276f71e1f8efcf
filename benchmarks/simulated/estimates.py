"""Intervals of a recipe, of two models, and of the difference of two recipes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from simulated.cells import COVERAGE, NONE, TWO_MODELS, Cell, Misses, Target
from simulated.worlds import CLUSTERED, HEAVY, INDEPENDENT, SHARED, World
from traintwice import metrics
from traintwice.compare import compare_recipes, diff, interval
from traintwice.errors import Undefined

MEASURES = (metrics.churn, metrics.accuracy, metrics.surrogate_churn, metrics.pairwise_l1, metrics.churn_to_error)
REPLICAS = (3, 4, 5, 10)
BETWEEN = (
    metrics.churn,
    metrics.negative_flips,
    metrics.surrogate_churn,
    metrics.total_variation,
    metrics.churn_to_error,
    metrics.win_loss_ratio,
)
TWO = np.array([-0.25, 0.25])
"""Factors of the old and the new model where they are fixed: the new one is the better."""
RECIPES = (INDEPENDENT, *SHARED, HEAVY, CLUSTERED[1])


def recipe(world: World, trials: int, seed: int, replicas: tuple[int, ...] = REPLICAS) -> Iterator[Cell]:
    """Coverage of intervals of one recipe: the truth is over new replicas and new rows."""
    truth = world.truth(MEASURES)
    for rows in world.rows:
        for m in replicas:
            rng, misses = np.random.default_rng([seed, 1, m, rows]), Misses(truth)
            for _ in range(trials):
                predictions, _ = world.draw(rng, rng.normal(size=m), rows)
                for metric in MEASURES:
                    try:
                        found = interval(metric.measure(predictions))
                    except Undefined:  # no errors, so no ratio to them
                        continue
                    misses.add(metric.__name__, found.low, found.high)
            target = COVERAGE if m >= 4 else NONE
            yield from misses.cells("recipe", world.name, f"M = {m}, N = {rows:,}", target)


def two_models(world: World, trials: int, seed: int) -> Iterator[Cell]:
    """Coverage of the intervals of `diff`: the truth is over new rows for these two models."""
    factors = TWO / np.sqrt(world.shared) if world.shared else TWO
    fixed = world if world.shared else replace(world, fixed_gap=True)
    truth = fixed.truth(BETWEEN, factors)
    old, new = (fixed.truth((metrics.accuracy,), np.full(2, f))["accuracy"] for f in factors)
    truth["accuracy change"] = new - old
    for rows in world.rows:
        rng, misses = np.random.default_rng([seed, 2, rows]), Misses(truth)
        for _ in range(trials):
            p, _ = fixed.draw(rng, factors, rows)
            columns = {} if p.clusters is None else {"cluster": p.clusters}
            d = diff(p.probs[0], p.probs[1], label=p.labels, by_position=True, **columns)
            for metric in BETWEEN:
                found = d[metric.__name__] if metric.__name__ not in d.left_out else None
                if found is not None:
                    misses.add(metric.__name__, found.low, found.high)
            misses.add("accuracy change", d["accuracy"].low, d["accuracy"].high)
        yield from misses.cells("two models", world.name, f"N = {rows:,}", TWO_MODELS)


def difference(world: World, trials: int, seed: int) -> Iterator[Cell]:
    """How often two recipes that do not differ are found to differ."""
    rows = world.rows[-1]
    for paired in (False, True):
        for m in (3, 5, 10):
            rng, p_values = np.random.default_rng([seed, 3, m, paired]), []
            for _ in range(trials):
                own, ease = rng.normal(size=m), world.ease(rng, rows)
                common = rng.normal(size=(m, rows)) if paired else None
                other = own if paired else rng.normal(size=m)
                first = world.predict(rng, own, ease, common)
                labels = first.labels
                second = world.predict(rng, other, ease, common, labels=labels)
                columns = {} if first.clusters is None else {"cluster": first.clusters}
                found = compare_recipes(
                    first.probs, second.probs, paired=paired, which=("churn", "accuracy"), label=labels, **columns
                )
                p_values.append([found[name].difference.p_value for name in ("churn", "accuracy")])
            below = np.array(p_values)
            for i, name in enumerate(("churn", "accuracy")):
                for level in (0.05, 0.0125):
                    share = float((below[:, i] <= level).mean())
                    setting = f"M = {m}, {'paired' if paired else 'not paired'}"
                    question = f"{name} at {100 * level:g} %"
                    yield Cell("difference", world.name, setting, question, trials, share, target=Target(high=level))
