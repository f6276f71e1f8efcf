"""Number of replicas and rows needed to find a difference in churn between two recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Unpack

import numpy as np

from traintwice._formatting import points
from traintwice._typed import typed
from traintwice.compare._expressions import ONE, Ratio, RowValues, distance
from traintwice.compare._shown import Shown
from traintwice.compare._tally import Tally
from traintwice.errors import BadInput
from traintwice.metrics import churn as churn_of
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._identical import IdenticalReplicas, identical_in_words
from traintwice.predictions import Reading, open_rows, replicas_of
from traintwice.statistics._inference import least_that
from traintwice.statistics._special import chi_square_quantile, normal_cdf, t_quantile

GRID = (np.arange(400) + 0.5) / 400
"""Quantiles of the estimated variance over which power is averaged."""

_on_the_grid = lru_cache(maxsize=256)(partial(chi_square_quantile, probabilities=GRID))

OF_A_REPLICA = 0.05
"""Without a pilot: standard deviation of a replica's own churn, in units of churn."""

OF_A_PAIR = 0.05
"""Without a pilot: what a single pair varies beyond that, in units of churn."""

LEAST_PILOT = 4
"""Fewest replicas of a pilot that separate both parts."""

MOST_REPLICAS, MOST_ROWS = 100_000, 10**15
"""Largest M and N of the table."""

FINE = 1_000_000
"""Differences are told apart to this share."""


@dataclass(frozen=True)
class VarianceParts:
    """Parts of the variance of the difference in churn of two recipes.

        V(M, N) = 4·(ζ₁ + τ₁/N)/M + 2·(ζ₂ + τ₂/N)/(M(M − 1)) + σ_u²/N

    Attributes:
        churn: of the first recipe.
        zeta_1: variance of a replica's own mean churn with all others, over all rows; of both recipes, or of the difference where they
            are paired.
        zeta_2: variance that is left to a single pair, over all rows.
        sigma_u: standard deviation over rows of the difference in the chance that a pair disagrees.
        paired: replica m of both recipes shares its streams.
        source: where they come from, in words.
        tau_1, tau_2: as ζ₁ and ζ₂, on a single row beyond them: which rows a replica disagrees on.
    """

    churn: float
    zeta_1: float
    zeta_2: float
    sigma_u: float
    paired: bool
    source: str
    tau_1: float = 0.0
    tau_2: float = 0.0

    def of_replicas(self, m: int, n: int) -> float:
        """The part of the variance that replicas bring."""
        return 4 * (self.zeta_1 + self.tau_1 / n) / m + 2 * (self.zeta_2 + self.tau_2 / n) / (m * (m - 1))

    def of_rows(self, n: int) -> float:
        """The part that rows bring, were there all replicas."""
        return self.sigma_u**2 / n

    def jackknife(self, m: int, n: int) -> float:
        """What the jackknife estimates of the part of replicas, on average; M >= 3."""
        return 4 * (self.zeta_1 + self.tau_1 / n) / m + 4 * (self.zeta_2 + self.tau_2 / n) / (m * (m - 2))

    def example_part(self, m: int, n: int) -> float:
        """What the example part of the comparison is, on average: rows vary more than `of_rows` where M replicas answer them."""
        return (self.sigma_u**2 + 4 * self.tau_1 / m + 2 * self.tau_2 / (m * (m - 1))) / n


def pair_components(churns: np.ndarray, m: int) -> tuple[float, float]:
    """ζ₁ and ζ₂ from the churn of every pair of m replicas, by the analysis of a half diallel (Griffing 1956)."""
    own, mean = _holds(m) @ churns / (m - 1), float(churns.mean())
    of_replicas = (m - 1) ** 2 / (m - 2) * float(np.sum((own - mean) ** 2))
    zeta_2 = max(float(np.sum((churns - mean) ** 2)) - of_replicas, 0.0) / (m * (m - 3) / 2)
    return max((of_replicas / (m - 1) - zeta_2) / (m - 2), 0.0), zeta_2


def _pairs(m: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(m) for b in range(a)]


def _holds(m: int) -> np.ndarray:
    """Which pairs (second axis) have which of m replicas."""
    return np.array([[float(replica in pair) for pair in _pairs(m)] for replica in range(m)])


def power_of(parts: VarianceParts, m: int, n: int, difference: float, level: float) -> float:
    """The chance that `compare_recipes` finds a difference significant with M replicas of each recipe on N rows; M >= 3."""
    freedom = m - 1
    # Of two recipes that are not paired, the two estimated variances add, and vary less than one.
    shape = freedom if parts.paired else 2 * freedom
    of_replicas = parts.jackknife(m, n) * _on_the_grid(shape) / shape
    # The half-width of the interval, which is never below what either of the two tests asks for.
    edge = np.sqrt(
        t_quantile(0.5 + level / 2, freedom) ** 2 * of_replicas
        + t_quantile(0.5 + level / 2, max(n - 1, 1)) ** 2 * parts.example_part(m, n)
    )
    error = math.sqrt(parts.of_replicas(m, n) + parts.of_rows(n))
    if not error:
        return float((abs(difference) > edge).mean())
    return float(np.mean(normal_cdf((abs(difference) - edge) / error) + normal_cdf((-abs(difference) - edge) / error)))


@dataclass(frozen=True)
class PlanRow:
    """Power and detectable difference with M replicas and N rows.

    Attributes:
        replicas: M, of each of the two recipes.
        rows: N.
        standard_error: of the difference in churn.
        detects: smallest difference found with the power asked for.
        power: chance of finding the difference asked for; None where none was.
        enough: whether that reaches what was asked for.
    """

    replicas: int
    rows: int
    standard_error: float
    detects: float
    power: float | None
    enough: bool


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """Power and detectable difference by numbers of replicas and rows. Made by `plan`.

    Attributes:
        components: the parts of the variance.
        detect: difference in churn to be found; None where none was asked for.
        level: of the test, one minus its error rate.
        wanted_power: chance of finding ``detect``.
        table: rows by number of replicas, then of rows.
        smallest: the cheapest row (replicas times rows) that is enough; None where none is.
        sentence: the result in words.
    """

    components: VarianceParts
    detect: float | None
    level: float
    wanted_power: float
    table: tuple[PlanRow, ...]
    smallest: PlanRow | None
    sentence: str


@typed
def plan(
    churn: float | None = None,
    detect: float | None = None,
    *,
    pilot: Any = None,
    against: Any = None,
    paired: bool = False,
    standard_error: float | None = None,
    replicas: Sequence[int] = (3, 5, 10, 20, 40),
    rows: Sequence[int] = (1_000, 10_000, 100_000),
    level: float = 0.95,
    power: float = 0.8,
    **reading: Unpack[Reading],
) -> Plan:
    r"""What `compare_recipes` would find with M replicas of each of two recipes on N rows.

        V(M, N) of `VarianceParts`, of the difference
        power = P(|D| > sqrt(t²_{M−1} V_J + t² V_E)), D ~ Normal(difference, V), V_E the example part, V_J the jackknife's
        estimate of the replica part, which varies as chi-square

    Args:
        churn: expected; not needed with a pilot.
        detect: difference in churn of two recipes that is to be found.
        pilot: at least four replicas: files, tables, `Predictions` or an array ``M N K`` or ``M N``.
        against: replicas of the second recipe on the same rows, as many where ``paired``; the parts are then those of the difference.
            Without them the second recipe is taken to have replicas of its own that vary as the first's, on rows that are as unstable as
            for the first.
        paired: replica m of both recipes shares its streams, as in the comparison that is planned.
        standard_error: of the difference, to be reached instead of a difference to be found.
        replicas, rows: the M (at least 3) and N of the table.
        level: of the test.
        power: chance of finding ``detect``.
        reading: which columns of the pilot files are what; see `open_predictions`.
    Returns:
        A `Plan`. A standard error of 0.005 reads: another draw of replicas and rows gives a difference half a point away.
    Raises:
        BadInput: neither churn nor pilot; numbers out of range; a pilot of fewer than four replicas.
    Source:
        docs/concepts/definitions.md, "Planning". Ours: without a pilot a replica's churn varies by 5 % of churn, a pair's by a further 5 %,
        σ_u² = churn·(1 − churn)/2 for each recipe; the parts are taken not to change with M and N.
    Example:
        >>> print(plan(0.05, 0.01).sentence)  # doctest: +NORMALIZE_WHITESPACE
        At a churn of 5.0 %, finding a difference of 1.0 pp with 80 % power takes 10 replicas of each recipe and 10,000 rows
        (assumed: a replica's churn varies by 5 % of churn, a pair's by a further 5 %; pass a pilot of 4 or more replicas to measure them).
    """
    if not 0 < level < 1 or not 0 < power < 1:
        raise BadInput(f"level, power: got {level} and {power}, expected numbers between 0 and 1")
    if detect is not None and standard_error is not None:
        raise BadInput("give detect or standard_error, not both")
    for name, wanted in (("detect", detect), ("standard_error", standard_error)):
        if wanted is not None and not 0 < wanted < 1:
            raise BadInput(f"{name}: got {wanted}, expected a fraction between 0 and 1, such as 0.005 for half a point")
    if min(replicas, default=0) < 3 or min(rows, default=0) < 1 or max(replicas) > MOST_REPLICAS or max(rows) > MOST_ROWS:
        raise BadInput(
            "replicas, rows: expected at least 3 replicas and 1 row; fewer replicas resolve nothing about new ones; "
            f"at most {MOST_REPLICAS:,} replicas and {MOST_ROWS:,} rows"
        )
    if reading.get("regression"):
        raise BadInput("plan: plans are for churn, and the numbers of a regression have no labels that change")
    if against is not None and pilot is None:
        raise BadInput("plan: against is the second recipe of a pilot; give pilot too")
    if paired and against is None:
        raise BadInput("plan: paired needs replicas of both recipes; give against too")
    parts = _from_pilot(pilot, against, paired, reading) if pilot is not None else _from_churn(churn)
    table = tuple(
        _row(parts, m, n, detect, standard_error, level, power) for m in sorted(set(replicas)) for n in sorted(set(rows))
    )
    enough = [r for r in table if r.enough and (detect, standard_error) != (None, None)]
    smallest = min(enough, key=lambda r: (r.replicas * r.rows, r.replicas), default=None)
    fewest = {m: min(r.rows for r in enough if r.replicas == m) for m in sorted({r.replicas for r in enough})}
    others = [(m, n) for m, n in fewest.items() if n < min((fewest[f] for f in fewest if f < m), default=math.inf)]
    sentence = _sentence(parts, table[-1], smallest, others, detect, standard_error, power)
    return Plan(parts, detect, level, power, table, smallest, sentence)


def _from_churn(churn: float | None) -> VarianceParts:
    if churn is None:
        raise BadInput(
            "plan: got no churn; give the churn that you expect, such as --churn 0.05 (churn=), or the files of a --pilot"
        )
    if not 0 < churn < 1:
        raise BadInput(f"churn: got {churn}, expected a fraction between 0 and 1, such as 0.05, or the files of a pilot")
    said = (
        f"assumed: a replica's churn varies by {100 * OF_A_REPLICA:.0f} % of churn, a pair's by a further {100 * OF_A_PAIR:.0f} %; "
        f"pass a pilot of {LEAST_PILOT} or more replicas to measure them"
    )
    zeta_1, zeta_2 = 2 * (OF_A_REPLICA * churn) ** 2, 2 * (OF_A_PAIR * churn) ** 2
    return VarianceParts(churn, zeta_1, zeta_2, math.sqrt(churn * (1 - churn)), paired=False, source=said)


def _from_pilot(pilot: Any, against: Any, paired: bool, reading: Reading) -> VarianceParts:
    recipes = [replicas_of(pilot), *([replicas_of(against)] if against is not None else [])]
    sizes = [len(models) for models in recipes]
    for name, size in zip(("pilot", "against"), sizes, strict=False):
        if size < LEAST_PILOT:
            raise BadInput(f"{name}: got {size} replicas, expected at least {LEAST_PILOT}")
    if paired and len(set(sizes)) > 1:
        raise BadInput(f"paired: got {sizes[0]} replicas of the pilot and {sizes[1]} against, expected equally many")
    spans = [(0, sizes[0]), *([(sizes[0], sum(sizes))] if against is not None else [])]
    quantities = [{f"{a}-{b}": distance(start + a, start + b, None) for a, b in _pairs(stop - start)} for start, stop in spans]
    if paired:
        quantities = [{pair: quantities[1][pair] - quantities[0][pair] for pair in quantities[0]}]
    names = [f"pilot {i + 1}" for i in range(sum(sizes))]
    with open_rows([m for models in recipes for m in models], names, **reading) as rows:
        clustered = rows.clusters is not None
        pairs = [Tally(q, clustered=clustered) for q in quantities]
        both, copies = PairedAccumulator(churn_of, clustered=clustered), IdenticalReplicas()
        for block in rows.blocks():
            copies.add(block)
            both.add(block.models(*spans[0]), block.models(*spans[-1]))
            for tally in pairs:
                tally.add(RowValues(block))
        n, groups = rows.summary.rows, [[rows.summary.files[m] for m in group] for group in copies.result()]
    alike = "".join(f"; {clause}" for clause in identical_in_words(groups))
    if both.first.compute().value == both.second.compute().value == 0:
        raise BadInput(f"plan: no row changes between replicas of the pilot{alike}; give replicas that differ, or a churn")
    on_rows = [row_components(tally, size, n) for tally, size in zip(pairs, sizes, strict=False)]
    churns = [np.array([float((tally.total(name) / tally.total(ONE))[0]) for name in tally.quantities]) for tally in pairs]
    over_rows = [pair_components(of_pairs, size) for of_pairs, size in zip(churns, sizes, strict=False)]
    tau = [sum(parts[i] for parts in on_rows) for i in (1, 2)]
    zeta = [sum(max(parts[i] - t[i + 1] / n, 0.0) for parts, t in zip(over_rows, on_rows, strict=True)) for i in (0, 1)]
    variance = on_rows[0][0]
    if len(recipes) == 1:
        zeta, tau, variance = [2 * z for z in zeta], [2 * t for t in tau], 0.0
    elif not paired:
        variance = n * both.difference().example_variance
        variance -= sum(4 * t[1] / m + 2 * t[2] / (m * (m - 1)) for t, m in zip(on_rows, sizes, strict=True))
    said = f"estimated from {' and '.join(str(s) for s in sizes)} replicas on {n:,} rows{alike}"
    return VarianceParts(
        both.first.compute().value, zeta[0], zeta[1], math.sqrt(max(variance, 0.0)), paired, said, tau_1=tau[0], tau_2=tau[1]
    )


def row_components(tally: Tally, m: int, n: int) -> tuple[float, float, float]:
    """σ_u², τ₁ and τ₂: the parts, over rows, of the variance of d_ab,n = u_n + g_an + g_bn + e_abn for the pairs of m replicas.

    They follow from the covariances over rows of a pair with itself, with a pair that shares a replica, and with one that shares none.
    """

    def spread(form: np.ndarray) -> float:
        ratio = Ratio("", "", dict(zip(tally.quantities, form.tolist(), strict=True)), {ONE: 1.0}, share=False)
        return n * tally.summaries(ratio)[0].example_variance

    count = len(tally.quantities)
    itself = float(np.mean([spread(form) for form in np.eye(count)]))
    own = float(np.mean([spread(form) for form in _holds(m)]))
    one = (own / (m - 1) - itself) / (m - 2)
    none = (spread(np.ones(count)) / count - itself - 2 * (m - 2) * one) / ((m - 2) * (m - 3) / 2)
    return max(none, 0.0), max(one - none, 0.0), max(itself - 2 * one + none, 0.0)


def _row(parts: VarianceParts, m: int, n: int, detect: float | None, wanted: float | None, level: float, power: float) -> PlanRow:
    error = math.sqrt(parts.of_replicas(m, n) + parts.of_rows(n))
    detects = least_that(lambda k: power_of(parts, m, n, k / FINE, level) >= power, FINE)
    chance = None if detect is None else power_of(parts, m, n, detect, level)
    enough = chance >= power if chance is not None else error <= wanted if wanted is not None else True
    return PlanRow(m, n, error, math.nan if detects is None else detects / FINE, chance, enough)


def _sentence(
    parts: VarianceParts,
    last: PlanRow,
    smallest: PlanRow | None,
    others: Sequence[tuple[int, int]],
    detect: float | None,
    wanted: float | None,
    power: float,
) -> str:
    """The plan in words: the cheapest numbers of replicas and rows, and ``others`` that are enough with fewer of one of the two."""
    at, source = f"At a churn of {points(parts.churn)} %", f"({parts.source})"
    most = f"{last.replicas} replicas of each recipe and {last.rows:,} rows"
    if detect is None and wanted is None:
        if math.isnan(last.detects):
            return f"{at}, {most} are too few to find any difference with {100 * power:.0f} % power {source}."
        return f"{at}, {most} find a difference of {points(last.detects)} pp {source}."
    aim = f"a standard error of {points(wanted or 0)} pp"
    if detect is not None:
        aim = f"finding a difference of {points(detect)} pp with {100 * power:.0f} % power"
    if smallest is None:
        return f"{at}, {aim} takes more than {most} {source}."
    other = "".join(f", or {m} and {n:,}" for m, n in others if (m, n) != (smallest.replicas, smallest.rows))
    return f"{at}, {aim} takes {smallest.replicas} replicas of each recipe and {smallest.rows:,} rows{other} {source}."
