"""Self-test of a gate on retrains of one recipe, where nothing has changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from traintwice._typed import typed
from traintwice.compare._floor import LEAST
from traintwice.compare._inputs import open_replicas, with_groups
from traintwice.compare._parts import PREDICTED
from traintwice.errors import BadInput
from traintwice.gates._gate import gate, in_words
from traintwice.gates._gate_types import EXIT_STATUS, Budget, Outcome, SelfTest
from traintwice.predictions import Reading, replicas_of
from traintwice.predictions._reading import OPTIONS
from traintwice.progress import report
from traintwice.statistics._intervals import scaled_bounds, t_quantile, wilson
from traintwice.types import Estimate


@typed
def self_test(retrains: Any, budgets: Sequence[Budget], *, level: float = 0.95, **options: Any) -> SelfTest:
    """Every ordered pair of retrains through a gate as old and new model, the others being the floor where a budget needs one.

    Args:
        retrains: of one recipe, three or more: files, tables or arrays.
        budgets: of the gate.
        level: of the gate's intervals, and of the intervals of the shares.
        options: of `gate`.
    Returns:
        A `SelfTest`. A share of 0.05 over reads: the gate stops 5 of 100 launches of a plain retrain. Intervals are over new
        retrains, by the jackknife over models; a share of 0 or 1 has the exact bound of half as many pairs, which share
        no model.
    Raises:
        BadInput: fewer than three retrains; see `gate`.
    Source:
        Ours.
    Example:
        >>> rng = np.random.default_rng(0)
        >>> again = [np.where(rng.random(500) < 0.9, 0, 1) for _ in range(4)]
        >>> found = self_test(again, [Budget("churn", max=0.3)], by_position=True)
        >>> found.pairs, found.over.value
        (12, 0.0)
    """
    models = replicas_of(retrains)
    m = len(models)
    if m < LEAST:
        raise BadInput(f"self-test: got {m} retrains, expected at least {LEAST}")
    if options.get("floor") or options.get("new_floor"):
        raise BadInput("self-test: takes the other retrains as the floor of each pair; leave out --floor and --new-floor")
    needs_floor = any(b.against is not None or b.measure == "excess" for b in budgets)
    if needs_floor and m < LEAST + 2:
        raise BadInput(f"self-test: got {m} retrains, expected at least {LEAST + 2}: the others are the floor of each pair")
    outcomes: dict[tuple[int, int], Outcome] = {}
    by_budget: dict[str, Counter[str]] = {}
    pairs = list(permutations(range(m), 2))
    reading = {name: options.pop(name) for name in OPTIONS if name in options}
    by = [b.by for b in budgets if b.by not in (None, PREDICTED, reading.get("time"))]
    reading["by"] = with_groups(reading.get("by"), by)
    with open_replicas(retrains, None, Reading(**reading)) as rows:  # type: ignore[typeddict-item]
        names, whole = rows.summary.files, rows.read()
    for done, (a, b) in enumerate(pairs, start=1):
        others = [i for i in range(m) if i not in (a, b)] if needs_floor else []
        old, new, *floor = (whole.models(i, i + 1) for i in (a, b, *others))
        found = gate(old, new, budgets, floor=floor, level=level, **options)
        outcomes[a, b] = found.outcome
        for check in found.checks:
            by_budget.setdefault(in_words(check.budget, check.column, check.value), Counter())[check.outcome] += 1
        report(100 * done / len(pairs), 100, "%")
    over, inconclusive = (_share(outcomes, m, outcome, level) for outcome in ("over", "inconclusive"))
    counts = tuple((name, *(c[o] for o in EXIT_STATUS)) for name, c in by_budget.items())
    return SelfTest(names, len(pairs), over, inconclusive, counts, _sentence(over, inconclusive, m, len(pairs)))  # type: ignore[arg-type]


def _share(outcomes: dict[tuple[int, int], Outcome], m: int, outcome: Outcome, level: float) -> Estimate:
    hit = np.array([[outcomes.get((a, b)) == outcome for b in range(m)] for a in range(m)], dtype=float)
    value = float(hit.sum() / (m * (m - 1)))
    dropped = np.array([(hit.sum() - hit[i].sum() - hit[:, i].sum()) / ((m - 1) * (m - 2)) for i in range(m)])
    variance = float((m - 1) / m * np.sum((dropped - dropped.mean()) ** 2))
    half = t_quantile(0.5 + level / 2, m - 1) * math.sqrt(variance)
    low, high = wilson(value, m // 2, level) if value in (0.0, 1.0) else scaled_bounds(value, half, "logit")
    return Estimate(value, low, high, math.sqrt(variance), m, m * (m - 1), level, "replicas")


def _sentence(over: Estimate, inconclusive: Estimate, m: int, pairs: int) -> str:
    def said(e: Estimate) -> str:
        return f"{100 * e.value:.0f} % ({100 * e.low:.0f} to {100 * e.high:.0f})"

    return (
        f"With nothing changed this gate is over in {said(over)} and inconclusive in {said(inconclusive)} of the launches "
        f"({pairs} pairs of {m} retrains)."
    )
