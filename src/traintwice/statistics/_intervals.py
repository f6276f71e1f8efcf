"""Confidence intervals: two variance parts on the plain, log or logit scale; shares and their changes between two models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from traintwice.statistics._special import t_quantile

Scale = Literal["log", "logit", "plain", "none"]
"""See `traintwice.metrics._definition.Scale`."""

Bounds = tuple[float, float]

NO_BOUNDS: Bounds = (math.nan, math.nan)


@dataclass(frozen=True)
class Part:
    """A part of a variance and the degrees of freedom it was estimated with."""

    variance: float
    freedom: float = math.inf


def half_width(parts: tuple[Part, ...], level: float) -> float:
    """Half the width of an interval whose variance has independent parts, each with its own degrees of freedom.

        h = sqrt(Σ_i t²_{freedom_i} · V_i)

    Source:
        MOVER (method of variance estimates recovery), Zou & Donner 2008.
    Example:
        >>> round(half_width((Part(0.01, 9), Part(0.0004)), 0.95), 4)
        0.2296
    """
    total = sum(t_quantile(0.5 + level / 2, p.freedom) ** 2 * p.variance for p in parts if p.variance)
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
    if scale == "plain":
        return value - half, min(value + half, most)
    if half == 0:
        return value, value
    if scale == "log":
        if value <= 0:
            return NO_BOUNDS
        r = half / value
        return value * math.exp(-min(r, 700.0)), min(value * math.exp(min(r + r * r / 2, 700.0)), most)
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


def wilson(share: float, units: float, level: float, freedom: float = math.inf) -> Bounds:
    """Wilson's score interval of a share of independent units; at 0 and 1 the other bound is exact (Clopper and Pearson).

        (p + t²/2n ± t · sqrt(p(1−p)/n + t²/4n²)) / (1 + t²/n)

    Args:
        share: p, in [0, 1].
        units: n; may be an effective number.
        level: nominal coverage.
        freedom: degrees of freedom of t; infinite without clusters.
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
    t2 = t_quantile(0.5 + level / 2, freedom) ** 2
    centre, scale = share + t2 / (2 * units), 1 + t2 / units
    half = math.sqrt(t2 * (share * (1 - share) / units + t2 / (4 * units**2)))
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def effective_units(share: float, variance: float, units: float) -> float:
    """The number of independent units whose share has this variance, at most ``units``: p(1 − p)/V.

    >>> effective_units(0.5, 0.01, 100), effective_units(0.0, 0.0, 100)
    (25.0, 100)
    """
    return min(share * (1 - share) / variance, units) if variance > 0 and 0 < share < 1 else units


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
