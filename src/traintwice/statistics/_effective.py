"""Effective numbers: of the values or clusters that carry a sum, and of independent units that give a share as precisely."""

from __future__ import annotations

import math

import numpy as np

from traintwice.statistics._inference import Scale
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

        p(1 − p)/V · z²/t², t with the degrees of freedom of V; 0 without any

    Source:
        Korn & Graubard 1998.
    Example:
        >>> round(effective_units(0.5, 0.01, 100, 0.95), 9), round(effective_units(0.5, 0.01, 100, 0.95, 4), 2)
        (25.0, 12.46)
    """
    most = share * (1 - share)
    if not (variance > 0 and most > 0):
        return units
    z, t = (t_quantile(0.5 + level / 2, f) if f > 0 else math.inf for f in (math.inf, freedom))
    return min(most / variance * (z / t) ** 2, units)
