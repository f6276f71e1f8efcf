"""Effective numbers: of the values or clusters that carry a sum, and of independent units that give a share as precisely."""

from __future__ import annotations

import math

import numpy as np

from traintwice.statistics._inference import Part, Scale, half_width
from traintwice.statistics._special import t_quantile

LEAST_FREEDOM = 0.01
"""Fewer degrees of freedom are none: the quantile of t is above 10^100."""


def effective_number(values: np.ndarray) -> float:
    """The number of equal values that share a sum as evenly: (Σ v)²/Σ v², for values of one sign.

    >>> effective_number(np.array([2.0, 2.0, 0.0])), effective_number(np.array([3.0, 1.0]))
    (2.0, 1.6)
    """
    return float(values.sum() ** 2 / (values**2).sum())


def effective_carriers(value: float, variance: float, units: float, scale: Scale, most: float) -> float:
    """The effective number of units that carry a mean, which follows from its variance: (Σ c)²/Σ c², c the sum over a unit.

        1/(V (U − 1)/(U θ²) + 1/U);   on the logit scale of the smaller of θ and the rest; all units on other scales

    Exact for a mean over units of equal size.

    Args:
        value, variance: θ and the example part V of its variance.
        units: U.
        scale, most: of the measure.
    Example:
        >>> round(effective_carriers(0.02, 3 / 2 * (0.06**2 - 3 * 0.02**2) / 9, 3, "log", 1.0), 6)  # of sums 0.06, 0, 0
        1.0
    """
    rest = (most if math.isfinite(most) else 1.0) - value
    size = {"log": value, "logit": min(value, rest)}.get(scale, 0.0)
    if not (size > 0 and math.isfinite(variance)):
        return units
    return 1 / (variance * (units - 1) / (units * size**2) + 1 / units)


def cluster_freedom(carriers: float) -> float:
    """Degrees of freedom of a variance over clusters, given the effective number that carry the measure; 0 where a single one does.

    Source:
        Carter, Schnepel & Steigerwald 2017: G − 1 with G the effective number of clusters. Ours: that of the measure itself.
    Example:
        >>> cluster_freedom(20), cluster_freedom(1.0)
        (19, 0.0)
    """
    return carriers - 1 if carriers > 1 + LEAST_FREEDOM else 0.0


def effective_units(share: float, variance: float, units: float, level: float, freedom: float = math.inf) -> float:
    """The number of independent units that give a share as precisely as one with this variance, at most ``units``.

        p(1 − p) · z² / (z² V₀ + t² · max(V − V₀, 0)),   V₀ = p(1 − p)/units;   p(1 − p)/V with many degrees of freedom

    Source:
        Korn & Graubard 1998, for the degrees of freedom. Ours: they are those of what exceeds V₀, the variance of independent units.
    Example:
        >>> round(effective_units(0.5, 0.01, 100, 0.95), 9), round(effective_units(0.5, 0.01, 100, 0.95, 4), 2)
        (25.0, 14.48)
    """
    most = share * (1 - share)
    beyond = variance - most / units if units > 0 else 0.0
    if not (beyond > 0 and most > 0):
        return units
    half = half_width((Part(most / units), Part(beyond, freedom)), level)
    return most * (t_quantile(0.5 + level / 2, math.inf) / half) ** 2
