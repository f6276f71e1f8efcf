"""Verdicts on launches: noise floors, gates, slices; and the power that a plan promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from simulated.cells import NONE, TWO_MODELS, Cell, Misses, Target
from simulated.worlds import CLUSTERED, INDEPENDENT, RARE, RARE_CLUSTERED, SHARED, World, centre
from traintwice.compare import compare_recipes, diff, plan
from traintwice.gates import gate, self_test
from traintwice.gates._budgets import Budget

FLOORS = (INDEPENDENT, RARE[1], SHARED[0], CLUSTERED[1], RARE_CLUSTERED)
SELF_TESTS = (INDEPENDENT, SHARED[0], CLUSTERED[1])
NEW_PAIRS = 200
"""Pairs of retrains on the rows of a self-test, from which its true share is known."""
RETRAINS = (4, 5, 10)
TIMES_FLOOR = Budget("churn", max=1.5, against="times floor")

GROUPS, ROWS_OF_A_GROUP = 50, 100
RATES = (0.002, 0.05)

PILOTS, PILOT_REPLICAS, PILOT_ROWS = 30, 20, 4_000
PLANNED = ((INDEPENDENT, 0.08), (SHARED[0], 0.04))
"""Worlds of the first recipe, and the churn of the second."""


def launch(
    world: World, rng: np.random.Generator, olds: int, news: int, ratio: float = 1.0, *, paired: bool = False
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Predicted labels of models of the old and of the new recipe on the same rows.

    An old and a new model differ ``ratio`` times as often as two models of one recipe: the new recipe changes the same rows in each of
    its models. Paired: replica m of both recipes shares its factor and half of its noise.
    """
    rows = world.rows[-1]
    own, ease = rng.normal(size=olds), world.ease(rng, rows)
    common = rng.normal(size=(max(olds, news), rows)) if paired else None
    first = world.predict(rng, own, ease, None if common is None else common[:olds])
    other = own[:news] if paired else rng.normal(size=news)
    second = world.predict(rng, other, ease, None if common is None else common[:news], labels=first.labels)
    u, votes = world.churn, second.votes
    if ratio > 1:
        votes = np.where(rng.random(rows) < (ratio - 1) * u / (1 - 2 * u), 1 - votes, votes)
    columns: dict[str, Any] = {"by_position": True, "label": first.labels}
    return first.votes, votes, columns if first.clusters is None else {**columns, "cluster": first.clusters}


def noise_floor(world: World, trials: int, seed: int, retrains: tuple[int, ...] = RETRAINS) -> Iterator[Cell]:
    """Verdicts on an unchanged recipe, on one that churns 1.5 times the floor, and on one that churns twice the floor."""
    for k in retrains:
        for ratio, n in ((1.0, trials), (1.5, trials // 3), (2.0, trials // 3)):
            rng = np.random.default_rng([seed, 4, k, int(10 * ratio)])
            launches = (launch(world, rng, 1 + k, 1, ratio) for _ in range(n))
            yield from _judged("noise floor", world.name, f"k = {k}, {ratio:g} × floor", launches, ratio, n)


def both_recipes(world: World, trials: int, seed: int) -> Iterator[Cell]:
    """The same with four retrains of each recipe, whose replicas share streams or do not."""
    for paired in (False, True):
        for ratio, n in ((1.0, trials), (2.0, trials // 3)):
            rng = np.random.default_rng([seed, 7, paired, int(10 * ratio)])
            launches = (launch(world, rng, 5, 5, ratio, paired=paired) for _ in range(n))
            setting = f"4 retrains of each, {'paired' if paired else 'not paired'}, {ratio:g} × floor"
            yield from _judged("both recipes", world.name, setting, launches, ratio, n)


def _judged(
    part: str, world: str, setting: str, launches: Iterable[tuple[np.ndarray, np.ndarray, dict[str, Any]]], ratio: float, n: int
) -> Iterator[Cell]:
    """Shares of the launches by the verdicts on churn and on negative flips, and of those that the gate stops."""
    seen: Counter[str] = Counter()
    for old, new, columns in launches:
        found = gate(old[0], new[0], [TIMES_FLOOR], floor=list(old[1:]), new_floor=list(new[1:]), **columns)
        seen["over"] += found.outcome == "over"
        for floor in found.diff.floors:
            seen[f"{floor.title} {floor.verdict}"] += 1
    false = "beyond noise" if ratio == 1 else "within noise"
    for title in ("churn", "negative flips"):
        for verdict in ("beyond noise", "within noise"):
            target = Target(high=0.05) if verdict == false else NONE
            yield Cell(part, world, setting, f"{title} {verdict}", n, seen[f"{title} {verdict}"] / max(n, 1), target=target)
    yield Cell(part, world, setting, "over", n, seen["over"] / max(n, 1), target=Target(high=0.025) if ratio == 1 else NONE)


def gate_self_test(world: World, trials: int, seed: int, models: tuple[int, ...] = (6,)) -> Iterator[Cell]:
    """What `self_test` reports of a gate: coverage of its interval, for new retrains and these rows, and how often it is over."""
    rows = world.rows[0]
    for m in models:
        rng, shares, misses = np.random.default_rng([seed, 8, m]), [], Misses({"over": 0.0})
        for _ in range(trials):
            ease = world.ease(rng, rows)
            first = world.predict(rng, rng.normal(size=m), ease)
            columns: dict[str, Any] = {"by_position": True, "label": first.labels}
            if first.clusters is not None:
                columns["cluster"] = first.clusters
            others = world.predict(rng, rng.normal(size=2 * NEW_PAIRS), ease, labels=first.labels).votes
            limit = float(np.median((others[0::2] != others[1::2]).mean(axis=1)))
            again = world.predict(rng, rng.normal(size=2 * NEW_PAIRS), ease, labels=first.labels).votes
            misses.truth["over"] = float(((again[0::2] != again[1::2]).mean(axis=1) > limit).mean())
            found = self_test(list(first.votes), [Budget("churn", max=limit, rule="point")], **columns).over
            misses.add("over", found.low, found.high)
            shares.append(self_test(list(first.votes), [TIMES_FLOOR], **columns).over.value)
        setting = f"{m} retrains, N = {rows:,}"
        for cell in misses.cells("self-test", world.name, setting, TWO_MODELS):
            yield replace(cell, question="coverage")
        target = Target(high=0.025)
        yield Cell("self-test", world.name, setting, "over 1.5 × floor", trials, float(np.mean(shares or [0.0])), target=target)


def slices(trials: int, seed: int) -> Iterator[Cell]:
    """How often any slice is significant where nothing differs between slices, or between new model and retrains."""
    groups = {"group": np.repeat(np.arange(GROUPS), ROWS_OF_A_GROUP)}
    for clustered in (False, True):
        for rate in RATES:
            rows = (GROUPS * ROWS_OF_A_GROUP,)
            world = replace(CLUSTERED[1] if clustered else INDEPENDENT, churn=rate, rows=rows)
            for k in (0, 4):
                rng, hits = np.random.default_rng([seed, 5, clustered, int(1000 * rate), k]), 0
                for _ in range(trials):
                    old, new, columns = launch(world, rng, 1 + k, 1)
                    d = diff(old[0], new[0], floor=list(old[1:]), by=groups, **columns)
                    hits += any(t.significant for s in (*d.slices, *d.predicted) for t in s.tests)
                name = "clusters of 20, ICC 0.2" if clustered else "independent"
                setting = f"{GROUPS} groups of {ROWS_OF_A_GROUP}, churn {100 * rate:g} %, {f'{k} retrains' if k else 'no floor'}"
                yield Cell("slices", name, setting, "any q < 0.05", trials, hits / max(trials, 1), target=Target(high=0.05))


def planning(trials: int, seed: int) -> Iterator[Cell]:
    """The power that `plan` promises, next to how often `compare_recipes` finds the difference."""
    m, rows = 6, 1_000
    for world, other in PLANNED:
        shift = centre(other) - centre(world.churn)
        for paired in (False, True):
            rng = np.random.default_rng([seed, 6, paired, int(1000 * other)])

            def both(m: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
                own, ease = rng.normal(size=m), world.ease(rng, rows)  # noqa: B023
                common = rng.normal(size=(m, rows)) if paired else None  # noqa: B023
                twin = own if paired else rng.normal(size=m)  # noqa: B023
                first = world.predict(rng, own, ease, common)  # noqa: B023
                return first.votes, world.predict(rng, twin, ease + shift, common, labels=first.labels).votes  # noqa: B023

            pilots = [both(PILOT_REPLICAS, PILOT_ROWS) for _ in range(max(min(PILOTS, trials // 10), 1))]
            asked = {"detect": world.churn - other, "replicas": (m,), "rows": (rows,)}
            promised = {"pilot of both": [plan(pilot=a, against=b, paired=paired, **asked) for a, b in pilots]}
            if not paired:
                promised["pilot of one"] = [plan(pilot=a, **asked) for a, _ in pilots]
            found = 0
            for _ in range(trials):
                a, b = both(m, rows)
                found += compare_recipes(a, b, paired=paired, which=("churn",))["churn"].difference.significant
            power = found / max(trials, 1)
            name = f"{world.name}: {100 * world.churn:g} against {100 * other:g} %"
            for pilot, plans in promised.items():
                mean = float(np.mean([p.table[0].power or 0.0 for p in plans]))
                setting = f"M = {m}, N = {rows:,}, {'paired' if paired else 'not paired'}, {pilot}"
                target = Target(low=max(mean - 0.05, 0.0), high=min(mean + 0.05, 1.0))
                yield Cell("planning", name, setting, f"promised {100 * mean:.0f} %", trials, power, target=target)
