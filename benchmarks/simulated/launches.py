"""Verdicts on launches: noise floors, gates, slices; and the power that a plan promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from simulated.cells import NONE, Cell, Target
from simulated.worlds import CLUSTERED, INDEPENDENT, RARE, SHARED, World, centre
from traintwice.compare import compare_recipes, diff, plan
from traintwice.gates import gate
from traintwice.gates._gate_types import Budget

FLOORS = (INDEPENDENT, RARE[1], SHARED[0], CLUSTERED[1])
RETRAINS = (4, 5, 10)
TIMES_FLOOR = Budget("churn", max=1.5, against="times floor")

GROUPS, ROWS_OF_A_GROUP = 50, 100
RATES = (0.002, 0.05)

PILOTS, PILOT_REPLICAS, PILOT_ROWS = 30, 20, 4_000
PLANNED = ((INDEPENDENT, 0.08), (SHARED[0], 0.04))
"""Worlds of the first recipe, and the churn of the second."""


def launch(world: World, rng: np.random.Generator, models: int, ratio: float = 1.0) -> tuple[np.ndarray, dict[str, Any]]:
    """Predicted labels of some models on the same rows; the second differs from the first ``ratio`` times as often as others do."""
    predictions, _ = world.draw(rng, rng.normal(size=models), world.rows[-1])
    votes = predictions.votes.copy()
    u = world.churn
    if ratio > 1:
        flipped = rng.random(votes.shape[1]) < (ratio - 1) * u / (1 - 2 * u)
        votes[1] = np.where(flipped, 1 - votes[1], votes[1])
    return votes, {"by_position": True, **({} if predictions.clusters is None else {"cluster": predictions.clusters})}


def noise_floor(world: World, trials: int, seed: int, retrains: tuple[int, ...] = RETRAINS) -> Iterator[Cell]:
    """Verdicts on an unchanged recipe, on one that churns 1.5 times the floor, and on one that churns twice the floor."""
    for k in retrains:
        for ratio, n in ((1.0, trials), (1.5, trials // 3), (2.0, trials // 3)):
            rng, seen = np.random.default_rng([seed, 4, k, int(10 * ratio)]), {"over": 0, "beyond noise": 0, "within noise": 0}
            for _ in range(n):
                votes, columns = launch(world, rng, 2 + k, ratio)
                found = gate(votes[0], votes[1], [TIMES_FLOOR], floor=list(votes[2:]), **columns)
                seen["over"] += found.outcome == "over"
                verdict = found.diff.floor.verdict if found.diff.floor else "inconclusive"
                seen["beyond noise"] += verdict == "beyond noise"
                seen["within noise"] += verdict == "within noise"
            false = {1.0: ("beyond noise", 0.05), 1.5: ("within noise", 0.05), 2.0: ("within noise", 0.05)}[ratio]
            for name, count in seen.items():
                target = Target(high=false[1]) if name == false[0] else NONE
                if name == "over":
                    target = Target(high=0.025) if ratio == 1 else NONE
                yield Cell("noise floor", world.name, f"k = {k}, {ratio:g} × floor", name, n, count / max(n, 1), target=target)


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
                    votes, columns = launch(world, rng, 2 + k)
                    d = diff(votes[0], votes[1], floor=list(votes[2:]), by=groups, **columns)
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
                found += compare_recipes(a, b, paired=paired, which=("churn",))["churn"].difference.p_value <= 0.05
            power = found / max(trials, 1)
            name = f"{world.name}: {100 * world.churn:g} against {100 * other:g} %"
            for pilot, plans in promised.items():
                mean = float(np.mean([p.table[0].power or 0.0 for p in plans]))
                setting = f"M = {m}, N = {rows:,}, {'paired' if paired else 'not paired'}, {pilot}"
                target = Target(low=max(mean - 0.05, 0.0), high=min(mean + 0.05, 1.0))
                yield Cell("planning", name, setting, f"promised {100 * mean:.0f} %", trials, power, target=target)
