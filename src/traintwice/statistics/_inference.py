"""Confidence intervals and tests of significance, from numbers alone; formulas are in docs/concepts/definitions.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from traintwice._typed import typed
from traintwice.statistics._special import binomial_cdf, t_cdf, t_quantile

Scale = Literal["log", "logit", "plain", "none"]
"""On which scale intervals are formed. ``log``: measures >= 0. ``logit``: fractions that may be near 1. ``plain``: measures of either
sign. ``none``: no interval is formed."""

Bounds = tuple[float, float]

NO_BOUNDS: Bounds = (math.nan, math.nan)

NO_SPREAD = 1e-14
"""A variance below this share of a squared value is what rounding leaves of none."""

ENOUGH = 2_000
"""Expected counts from which a normal distribution replaces the hypergeometric and the binomial."""


@dataclass(frozen=True)
class Part:
    """A part of a variance and the degrees of freedom it was estimated with."""

    variance: float
    freedom: float = math.inf


def half_width(parts: tuple[Part, ...], level: float) -> float:
    """Half the width of an interval whose variance has independent parts, each with its own degrees of freedom.

        h = sqrt(Σ_i t²_{freedom_i} · V_i), infinite where a part has no degrees of freedom

    Source:
        MOVER (method of variance estimates recovery), Zou & Donner 2008.
    Example:
        >>> round(half_width((Part(0.01, 9), Part(0.0004)), 0.95), 4)
        0.2296
    """
    known = [t_quantile(0.5 + level / 2, p.freedom) ** 2 * p.variance for p in parts if p.variance and p.freedom > 0]
    total = sum(known) + sum(math.inf + p.variance for p in parts if p.freedom <= 0)  # nan stays nan
    return math.sqrt(total) if total >= 0 else math.nan


def scaled_bounds(value: float, half: float, scale: Scale, *, most: float = math.inf) -> Bounds:
    """The bounds of a value with a half-width, formed on a scale by the delta method; none leaves the range of the scale.

        log, r = half/value:                 value · exp(−r)  to  value · exp(r + r²/2), at most ``most``
        logit of p = value/most,             most · expit(logit(p) − r − max(2p − 1, 0) r²/2)  to
        r = half/(most · p (1 − p)):         most · expit(logit(p) + r + max(1 − 2p, 0) r²/2)
        plain:                               value ± half

    The square makes the end that is further from the edge of the range wider: small samples from skewed distributions are too small,
    and have too small a variance, more often than not. Where a value is at the end of its scale and the half-width is 0, both bounds
    are the value.

    Args:
        value, half: as measured.
        scale: see `Scale`.
        most: the largest value possible; for the logit scale 1 where there is none.
    Source:
        Ours: the square. As for the mean of a log-normal distribution, whose logarithm is μ + σ²/2.
    Example:
        >>> [round(b, 4) for b in scaled_bounds(0.05, 0.02, "log")]
        [0.0335, 0.0808]
        >>> [round(b, 3) for b in scaled_bounds(0.98, 0.02, "logit")]
        [0.915, 0.993]
    """
    if not math.isfinite(value) or math.isnan(half):
        return NO_BOUNDS
    if math.isinf(half):
        return -most if scale == "plain" else 0.0, most
    if scale == "plain":
        return max(value - half, -most), min(value + half, most)
    if half == 0:
        return value, value
    if scale == "log":
        if value <= 0:
            return NO_BOUNDS
        r = half / value
        up = r + r * r / 2
        return value * math.exp(-r), min(value * math.exp(up) if up < 700 else math.inf, most)
    full = most if math.isfinite(most) else 1.0
    p = value / full
    if not 0 < p < 1:
        return NO_BOUNDS
    r = half / (full * p * (1 - p))
    down, up = r + max(2 * p - 1, 0.0) * r * r / 2, r + max(1 - 2 * p, 0.0) * r * r / 2
    odds = p / (1 - p)
    return full * _share(odds * math.exp(-down)), full * _share(odds * math.exp(min(up, 700.0)))


def _share(odds: float) -> float:
    return odds / (1 + odds) if math.isfinite(odds) else 1.0


def wilson(share: float, units: float, level: float) -> Bounds:
    """Wilson's score interval of a share of independent units; at 0 and 1 the other bound is exact (Clopper and Pearson).

        (p + z²/2n ± z · sqrt(p(1−p)/n + z²/4n²)) / (1 + z²/n)

    Args:
        share: p, in [0, 1].
        units: n; may be an effective number.
        level: nominal coverage.
    Example:
        >>> [round(b, 4) for b in wilson(0.1, 100, 0.95)], [round(b, 3) for b in wilson(0.0, 20, 0.95)]
        ([0.0552, 0.1744], [0.0, 0.168])
    """
    if not units > 0 or math.isnan(share):
        return NO_BOUNDS
    missing = 1 - ((1 - level) / 2) ** (1 / units)
    if share <= 0:
        return 0.0, missing
    if share >= 1:
        return 1 - missing, 1.0
    z2 = t_quantile(0.5 + level / 2, math.inf) ** 2
    centre, scale = share + z2 / (2 * units), 1 + z2 / units
    half = math.sqrt(z2 * (share * (1 - share) / units + z2 / (4 * units**2)))
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def change_of_share(regressed: float, improved: float, rows: float, level: float) -> Bounds:
    """Interval of (improved − regressed)/rows, the change of a share between two models on the same rows.

        with one row added to each of the two counts and two to the rows: d ± z · sqrt((p₁ + p₂ − d²)/(n + 2))

    Source:
        Bonett & Price 2012.
    Example:
        >>> [round(b, 4) for b in change_of_share(10, 20, 1000, 0.95)]
        [-0.0011, 0.021]
    """
    n = rows + 2
    worse, better = (regressed + 1) / n, (improved + 1) / n
    change = better - worse
    half = t_quantile(0.5 + level / 2, math.inf) * math.sqrt((worse + better - change**2) / n)
    return max(change - half, -1.0), min(change + half, 1.0)


def t_two_sided(statistic: float, freedom: float) -> float:
    """Two-sided p-value of Student's t.

    >>> round(t_two_sided(2.262, 9), 3)
    0.05
    """
    return 2 * t_cdf(freedom, -abs(statistic))


def p_of_zero(value: float, variance: float, freedom: float) -> float:
    """Two-sided p-value of a number being zero, given its variance; 1 where the number, its variance or all of its precision is unknown.

    Without variance all units have the same number, and their sign is tested: 2^(−freedom), twice the chance of so many equal signs.

    >>> round(p_of_zero(2.262, 1.0, 9), 3), p_of_zero(0.0, 0.0, 9), p_of_zero(0.1, 0.0, 2)
    (0.05, 1.0, 0.25)
    """
    if not math.isfinite(value) or math.isnan(variance) or freedom <= 0:
        return 1.0
    if variance <= NO_SPREAD * value**2:
        return 1.0 if value == 0 else float(2.0**-freedom)
    return t_two_sided(value / math.sqrt(variance), freedom)


def mcnemar(regressed: int, improved: int, *, mid: bool = False) -> float:
    """Two-sided exact p-value of no change: as many rows improve as regress, given their sum.

        2 · P(X <= min(b, c)), X ~ Binomial(b + c, 1/2), at most 1;  mid: half of P(X = min) is left out

    Args:
        regressed, improved: b and c, rows that only the old (only the new) model has right.
        mid: the mid-p version, which is less conservative.
    Source:
        McNemar 1947; mid-p: Fagerland et al. 2013.
    Example:
        >>> round(mcnemar(2, 10), 4), round(mcnemar(2, 10, mid=True), 4), mcnemar(0, 0)
        (0.0386, 0.0225, 1.0)
    """
    total, least = regressed + improved, min(regressed, improved)
    if total == 0:
        return 1.0
    p = 2 * binomial_cdf(least, total, 0.5)
    if mid:
        log_choose = math.lgamma(total + 1) - math.lgamma(least + 1) - math.lgamma(total - least + 1)
        exactly = math.exp(log_choose - total * math.log(2))
        p = 1.0 if 2 * least == total else p - exactly
    return min(p, 1.0)


def hypergeometric_mid_p(inside: int, rows_inside: int, total: int, rows: int) -> float:
    """Two-sided mid-p of the number of flips in a slice, if flips are spread evenly over all rows.

    Args:
        inside, rows_inside: flips and rows of the slice.
        total, rows: flips and rows in all.
    Source:
        Fisher's exact test of the slice against the rest, mid-p.
    Example:
        >>> round(hypergeometric_mid_p(5, 100, 10, 1000), 5), hypergeometric_mid_p(0, 100, 0, 1000)
        (0.00165, 1.0)
    """
    if total in (0, rows) or rows_inside in (0, rows):
        return 1.0
    expected = rows_inside * total / rows
    variance = expected * (1 - rows_inside / rows) * (rows - total) / max(rows - 1, 1)
    if min(expected, rows_inside - expected, total - expected) > ENOUGH:
        return t_two_sided((inside - expected) / math.sqrt(variance), math.inf)
    low, high = max(0, total - (rows - rows_inside)), min(total, rows_inside)
    # Counts further than 40 standard deviations from the mean have no probability that a float can hold.
    reach = 40 * math.sqrt(variance) + 40
    x = np.arange(max(low, math.floor(min(expected - reach, inside))), min(high, math.ceil(max(expected + reach, inside))) + 1)
    before = x[:-1].astype(np.float64)
    ratios = (rows_inside - before) * (total - before) / ((before + 1) * (rows - rows_inside - total + before + 1))
    return _two_sided_mid_p(_from_ratios(ratios), inside - int(x[0]))


def binomial_mid_p(count: int, total: int, share: float) -> float:
    """Two-sided mid-p of ``count`` under Binomial(total, share).

    >>> round(binomial_mid_p(12, 20, 0.25), 5), binomial_mid_p(0, 0, 0.25)
    (0.00112, 1.0)
    """
    if total == 0:
        return 1.0
    if min(total * share, total * (1 - share)) > ENOUGH:
        return t_two_sided((count - total * share) / math.sqrt(total * share * (1 - share)), math.inf)
    before = np.arange(total, dtype=np.float64)
    return _two_sided_mid_p(_from_ratios((total - before) / (before + 1) * (share / (1 - share))), count)


def slice_against_floor(changed: float, again: Sequence[float]) -> float:
    """Two-sided p-value of the new model changing as many rows of a slice as retrains of the old recipe do.

        d_0 given d_0 + … + d_k against Binomial(1/(k + 1)), mid-p; where d_1 … d_k vary φ > 1 times as much as counts do,
        (d_0 − T/(k+1)) / sqrt(φ T k/(k+1)²) against t with k − 1 degrees of freedom

    Args:
        changed: d_0, rows whose label changes between old and new model.
        again: d_1 … d_k, rows whose label changes between the old model and each retrain; k >= 1.
    Source:
        Ours. The conditional test of two Poisson counts, Przyborowski & Wilenski 1940.
    Example:
        >>> round(slice_against_floor(30, [10, 9, 12, 11]), 5), round(slice_against_floor(30, [2, 30, 12, 11]), 2)
        (3e-05, 0.35)
    """
    k, total = len(again), changed + sum(again)
    mean = sum(again) / k
    share = 1 / (k + 1)
    exact = binomial_mid_p(round(changed), round(total), share)
    if k < 2 or mean <= 0:
        return exact
    excess = sum((d - mean) ** 2 for d in again) / ((k - 1) * mean)
    if excess <= 1:
        return exact
    statistic = (changed - total * share) / math.sqrt(excess * total * share * (1 - share))
    return max(exact, t_two_sided(statistic, k - 1))


@typed
def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of one or more false claims is at most the level.

        the i-th smallest becomes max over j <= i of min(1, (n − j + 1) · p_(j))

    Source:
        Holm 1979.
    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


@typed
def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that at most the share q of the findings below q is false, on average.

        the i-th smallest of n becomes min over j >= i of min(1, n/j · p_(j))

    Source:
        Benjamini & Hochberg 1995.
    Example:
        >>> [round(q, 6) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
        [0.04, 0.053333, 0.053333, 0.5]
    """
    order = sorted(range(len(p_values)), key=lambda i: -p_values[i])
    adjusted, running, n = [1.0] * len(p_values), 1.0, len(p_values)
    for above, i in enumerate(order):
        running = min(running, p_values[i] * n / (n - above))
        adjusted[i] = running
    return adjusted


def least_that(enough: Callable[[int], bool], most: int) -> int | None:
    """The least number from 1 to ``most`` that is enough, where every larger one is too; None where ``most`` is not.

    >>> least_that(lambda n: n * n >= 50, 100), least_that(lambda n: n > 500, 100)
    (8, None)
    """
    if not enough(most):
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _from_ratios(ratios: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1, from the ratio of each to the one before it."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    found = np.exp(logs - logs.max())
    return np.asarray(found / found.sum())


def _two_sided_mid_p(probabilities: np.ndarray, at: int) -> float:
    """Twice the smaller tail, half of the probability at the value itself left out."""
    half = probabilities[at] / 2
    return min(1.0, float(2 * min(probabilities[:at].sum() + half, probabilities[at + 1 :].sum() + half)))
