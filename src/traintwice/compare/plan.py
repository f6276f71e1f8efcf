"""How many replicas and rows it takes to see a difference in churn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from traintwice.compare.intervals import t_quantile
from traintwice.compare.moments import Means
from traintwice.compare.noise_floor import differ
from traintwice.compare.plan_types import Components, Plan, PlanRow
from traintwice.compare.streams import Stream
from traintwice.errors import BadInput
from traintwice.metrics import churn as churn_of
from traintwice.metrics.means import weights_of
from traintwice.predictions import open_rows, replicas_of
from traintwice.tables.format import points

OF_A_REPLICA = 0.05
"""Without a pilot: standard deviation of a replica's own churn, in units of churn."""

OF_A_PAIR = 0.05
"""Without a pilot: what a single pair varies beyond that, in units of churn."""

LEAST_PILOT = 4
"""Replicas of a pilot from which both parts can be told apart."""


def plan(
    churn: float | None = None,
    detect: float | None = None,
    *,
    pilot: Any = None,
    standard_error: float | None = None,
    replicas: Sequence[int] = (2, 3, 5, 10, 20, 40),
    rows: Sequence[int] = (1_000, 10_000, 100_000),
    level: float = 0.95,
    power: float = 0.8,
    **columns: Any,
) -> Plan:
    r"""What would be seen with M replicas of each of two recipes on N rows.

        V(M, N) = 4·ζ₁/M + 2·ζ₂/(M(M − 1)) + σ_u²/N
        smallest difference found = (t_{(1+level)/2} + t_power) · sqrt(2·V),   t with 2(M − 1) degrees of freedom

    Args:
        churn: expected; not needed beside a pilot.
        detect: difference in churn of two recipes that is to be found.
        pilot: at least four replicas: files, tables, `Predictions` or an array ``M N K`` or ``M N``.
        standard_error: of one recipe's churn, to be reached instead of a difference to be found.
        replicas, rows: the M and N of the table.
        level: of the test.
        power: chance of finding ``detect``.
        columns: of pilot files; see `traintwice.predictions.Reading`.
    Returns:
        A `Plan`. A standard error of 0.005 reads: another draw of replicas and rows gives a churn half a point away.
    Raises:
        BadInput: neither churn nor pilot; numbers out of range; a pilot of fewer than four replicas.
    Source:
        Spec section 2. Ours: without a pilot a replica's churn varies by 5 % of churn, a pair's by a further 5 %, and
        σ_u² = churn·(1 − churn)/2; the parts are taken not to change with M and N; recipes are not paired.
    Example:
        >>> print(plan(0.05, 0.01).sentence)  # doctest: +NORMALIZE_WHITESPACE
        At a churn of 5.0 %, finding a difference of 1.0 points with 80 % power takes 10 replicas of each recipe and 10,000 rows
        (assumed: a replica's churn varies by 5 % of churn, a pair's by a further 5 %; a pilot of 4 or more replicas would tell).
    """
    if not 0 < level < 1 or not 0 < power < 1:
        raise BadInput(f"level, power: got {level} and {power}, expected numbers between 0 and 1")
    if detect is not None and standard_error is not None:
        raise BadInput("give detect or standard_error, not both")
    for name, wanted in (("detect", detect), ("standard_error", standard_error)):
        if wanted is not None and not 0 < wanted < 1:
            raise BadInput(f"{name}: got {wanted}, expected a fraction between 0 and 1, such as 0.005 for half a point")
    if min(replicas, default=0) < 2 or min(rows, default=0) < 1:
        raise BadInput("replicas, rows: expected at least 2 replicas and 1 row")
    if columns.get("regression"):
        raise BadInput("plan: plans are for churn, and the numbers of a regression have no labels that change")
    parts = _from_pilot(pilot, **columns) if pilot is not None else _from_churn(churn)
    table = tuple(
        _row(parts, m, n, detect, standard_error, level, power) for m in sorted(set(replicas)) for n in sorted(set(rows))
    )
    asked = detect is not None or standard_error is not None
    smallest = (
        min((r for r in table if r.enough), key=lambda r: (r.replicas * r.rows, r.replicas), default=None) if asked else None
    )
    return Plan(parts, detect, level, power, table, smallest, _sentence(parts, table, smallest, detect, standard_error, power))


def variance_of_churn(parts: Components, replicas: int, rows: int) -> float:
    """V(M, N) of `plan`.

    >>> round(variance_of_churn(Components(0.05, 1e-5, 1e-5, 0.1, "pilot"), 10, 1000), 10)
    1.42222e-05
    """
    of_replicas = 4 * parts.zeta_1 / replicas + 2 * parts.zeta_2 / (replicas * (replicas - 1))
    return of_replicas + parts.sigma_u**2 / rows


def pair_components(matrix: np.ndarray) -> tuple[float, float]:
    """ζ₁ and ζ₂ from the churn of every pair: d_ab = mean + g_a + g_b + e_ab, var g = ζ₁, var e = ζ₂.

    Source:
        The analysis of a half diallel (Griffing 1956), negative components set to zero.
    """
    m = len(matrix)
    pairs = matrix[np.triu_indices(m, 1)]
    own = (matrix.sum(axis=1) - np.diag(matrix)) / (m - 1)
    mean = float(pairs.mean())
    of_replicas = (m - 1) ** 2 / (m - 2) * float(np.sum((own - mean) ** 2))
    of_pairs = max(float(np.sum((pairs - mean) ** 2)) - of_replicas, 0.0)
    zeta_2 = of_pairs / (m * (m - 3) / 2)
    return max((of_replicas / (m - 1) - zeta_2) / (m - 2), 0.0), zeta_2


def _from_churn(churn: float | None) -> Components:
    if churn is None or not 0 < churn < 1:
        raise BadInput(f"churn: got {churn}, expected a fraction between 0 and 1, such as 0.05, or the files of a pilot")
    own, pair = f"{100 * OF_A_REPLICA:.0f} %", f"{100 * OF_A_PAIR:.0f} %"
    said = f"assumed: a replica's churn varies by {own} of churn, a pair's by a further {pair}; a pilot of {LEAST_PILOT} or more"
    said += " replicas would tell"
    return Components(churn, (OF_A_REPLICA * churn) ** 2, (OF_A_PAIR * churn) ** 2, math.sqrt(churn * (1 - churn) / 2), said)


def _from_pilot(pilot: Any, **columns: Any) -> Components:
    models = replicas_of(pilot)
    m = len(models)
    if m < LEAST_PILOT:
        raise BadInput(f"pilot: got {m} replicas, expected at least {LEAST_PILOT}")
    of_rows, pairs = Stream(churn_of), [(a, b) for a in range(m) for b in range(a)]
    means = [Means(1) for _ in pairs]
    with open_rows(models, [f"pilot {i + 1}" for i in range(m)], **columns) as rows:
        for block in rows.blocks():
            of_rows.add(block)
            for mean, (a, b) in zip(means, pairs, strict=True):
                mean.add(differ(block, a, b)[None], weights_of(block))
    found = of_rows.compute()
    matrix = np.zeros((m, m))
    for mean, (a, b) in zip(means, pairs, strict=True):
        matrix[a, b] = matrix[b, a] = mean.value((1,))
    zeta_1, zeta_2 = pair_components(matrix)
    sigma = math.sqrt(found.example_variance * found.examples)
    return Components(found.value, zeta_1, zeta_2, sigma, f"estimated from {m} replicas on {found.examples:,} rows")


def _row(parts: Components, m: int, n: int, detect: float | None, wanted: float | None, level: float, power: float) -> PlanRow:
    error = math.sqrt(variance_of_churn(parts, m, n))
    freedom = 2 * (m - 1)
    edge = t_quantile(0.5 + level / 2, freedom)
    detects = (edge + t_quantile(power, freedom)) * math.sqrt(2) * error
    chance = None
    if detect is not None:
        chance = float(special.stdtr(freedom, detect / (math.sqrt(2) * error) - edge)) if error else 1.0
    enough = detects <= detect if detect is not None else error <= wanted if wanted is not None else True
    return PlanRow(m, n, error, detects, chance, enough)


def _sentence(
    parts: Components,
    table: Sequence[PlanRow],
    smallest: PlanRow | None,
    detect: float | None,
    wanted: float | None,
    power: float,
) -> str:
    at = f"At a churn of {points(parts.churn)} %"
    if detect is None and wanted is None:
        last = table[-1]
        return f"{at}, {last.replicas} replicas and {last.rows:,} rows find a difference of {points(last.detects)} points ({parts.source})."
    aim = (
        f"finding a difference of {points(detect)} points with {100 * power:.0f} % power"
        if detect is not None
        else f"a standard error of {points(wanted or 0)} points"
    )
    if smallest is None:
        last = table[-1]
        return f"{at}, {aim} takes more than {last.replicas} replicas of each recipe and {last.rows:,} rows ({parts.source})."
    return f"{at}, {aim} takes {smallest.replicas} replicas of each recipe and {smallest.rows:,} rows ({parts.source})."
