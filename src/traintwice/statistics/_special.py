"""Distribution functions and their inverses in plain Python and NumPy: the core package does without SciPy, which is half its size."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

EXACT = 1000
"""Trials up to which a binomial distribution with even chances is summed in whole numbers."""

LARGE_FREEDOM = 300
"""Degrees of freedom from which Wilson and Hilferty's approximation of χ² is used; its relative error there is below 1e-6."""


def erf(x: np.ndarray | float) -> np.ndarray:
    """The error function of every entry.

    >>> erf(np.array([0.0, 1.0])).round(6).tolist()
    [0.0, 0.842701]
    """
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), dtype=np.float64)


def normal_cdf(x: np.ndarray | float) -> np.ndarray:
    """P(Z <= x) of the standard normal distribution, exact in the lower tail.

    >>> float(normal_cdf(-1.959964).round(6))
    0.025
    """
    return np.asarray(np.frompyfunc(math.erfc, 1, 1)(-np.asarray(x) / math.sqrt(2)), dtype=np.float64) / 2


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution; infinite at 0 and 1.

    >>> round(normal_quantile(0.975), 6), normal_quantile(0.0)
    (1.959964, -inf)
    """
    if probability in (0.0, 1.0):
        return math.copysign(math.inf, probability - 0.5)
    return NormalDist().inv_cdf(probability) if 0 < probability < 1 else math.nan


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), in [0, 1].

    Source:
        The continued fraction 8.17.22 of the NIST handbook, evaluated by Lentz's method.
    Example:
        >>> round(incomplete_beta(2.0, 3.0, 0.4), 6)
        0.5248
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny, c, d = 1e-300, 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    found = d
    for m in range(1, 100_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 + term * d, 1 + term / c
            d, c = 1 / (d if abs(d) > tiny else tiny), c if abs(c) > tiny else tiny
            found *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return math.exp(front) * found / a


def t_cdf(freedom: float, t: float) -> float:
    """P(T <= t) of Student's t; of the normal distribution for infinite degrees of freedom.

    >>> round(t_cdf(9, -2.262157), 6), round(t_cdf(math.inf, -1.959964), 6)
    (0.025, 0.025)
    """
    if math.isnan(t) or math.isnan(freedom):
        return math.nan
    square = t * t
    if math.isinf(freedom):
        tail = float(normal_cdf(-abs(t)))
    elif square < freedom:
        tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square)) / 2
    else:  # freedom/(freedom + t²) has no digits to lose
        tail = incomplete_beta(freedom / 2, 0.5, 1 / (1 + square / freedom)) / 2 if math.isfinite(square) else 0.0
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t; of the normal distribution for infinite degrees of freedom.

    >>> round(t_quantile(0.975, 9), 6), t_quantile(0.5, 9), round(t_quantile(0.975, math.inf), 3)
    (2.262157, 0.0, 1.96)
    """
    if math.isinf(freedom):
        return normal_quantile(probability)
    if not freedom > 0 or not 0 < probability < 1:
        return normal_quantile(probability) if freedom > 0 else math.nan
    if probability > 0.5:
        return -t_quantile(1 - probability, freedom)
    if probability == 0.5:
        return 0.0
    z = normal_quantile(probability)
    low, high = -math.inf, 0.0
    at = z + (z**3 + z) / (4 * freedom) if freedom > 2 else 2 * z  # the first terms of Cornish and Fisher's expansion
    log_front = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    for _ in range(200):  # Newton's steps; where one leaves the bracket, half or twice the way
        error = t_cdf(freedom, at) - probability
        low, high = (low, at) if error > 0 else (at, high)
        step = error / math.exp(log_front - (freedom + 1) / 2 * math.log1p(at * at / freedom))
        new = at - step
        if not low < new < high:
            new = 2 * at if math.isinf(low) else (low + high) / 2
        if abs(new - at) <= 1e-13 * abs(at):
            return new
        at = new
    return at


def binomial_cdf(most: int, total: int, share: float) -> float:
    """P(X <= most) of X ~ Binomial(total, share).

    >>> round(binomial_cdf(2, 12, 0.5), 6)
    0.019287
    """
    if most >= total:
        return 1.0
    if share == 0.5 and total <= EXACT:
        return float(sum(math.comb(int(total), k) for k in range(int(most) + 1)) / 2 ** int(total))
    return incomplete_beta(total - most, most + 1, 1 - share)


def chi_square_quantile(freedom: int, probabilities: np.ndarray) -> np.ndarray:
    """Quantiles of χ² with a whole number of degrees of freedom.

    Source:
        Finite sums for the tail of whole degrees of freedom, inverted by bisection; Wilson & Hilferty 1931 for many.
    Example:
        >>> chi_square_quantile(9, np.array([0.5])).round(4).tolist()
        [8.3428]
    """
    normal = np.array([normal_quantile(p) for p in probabilities])
    start = freedom * np.maximum(1 - 2 / (9 * freedom) + normal * math.sqrt(2 / (9 * freedom)), 0.0) ** 3
    if freedom > LARGE_FREEDOM:
        return np.asarray(start)
    low, high = np.zeros_like(start), 2 * start + 20.0
    for _ in range(60):
        middle = (low + high) / 2
        below = 1 - _chi_square_tail(freedom, middle) < probabilities
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _chi_square_tail(freedom: int, x: np.ndarray) -> np.ndarray:
    """P(χ² > x), by a finite sum."""
    half, odd = np.maximum(x, 1e-300) / 2, freedom % 2
    powers = np.arange(freedom // 2) + (0.5 if odd else 0.0)
    logs = np.array([math.lgamma(p + 1) for p in powers])
    terms = np.exp(powers[:, None] * np.log(half) - half - logs[:, None]).sum(axis=0)
    return np.asarray(terms + (2 * normal_cdf(-np.sqrt(2 * half)) if odd else 0.0))


def least_of(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Where a function with one minimum between two bounds is least, by the golden section.

    >>> round(least_of(lambda x: (x - 1.5) ** 2, 0, 4, 1e-8), 6)
    1.5
    """
    ratio = (math.sqrt(5) - 1) / 2
    inner, outer = high - ratio * (high - low), low + ratio * (high - low)
    at_inner, at_outer = function(inner), function(outer)
    while high - low > tolerance:
        if at_inner < at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - ratio * (high - low)
            at_inner = function(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + ratio * (high - low)
            at_outer = function(outer)
    return (low + high) / 2
