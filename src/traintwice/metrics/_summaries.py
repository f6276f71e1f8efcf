"""From sums over rows to summaries: the one place where a value, its example variance and the numbers of its units are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from traintwice.metrics._moments import Moments
from traintwice.statistics._inference import Scale
from traintwice.statistics._special import t_quantile

TINY = 1e-12
"""A share below this is what rounding leaves of none."""

NEARLY_WHOLE = 1e-6
"""An effective number of rows is a whole number less rounding where it is this close below it."""


@dataclass(frozen=True)
class Summary:
    """A metric's number and all that intervals and comparisons need.

    Attributes:
        value: the number.
        rows: the number of each replica, shape ``M``; for a pair metric the mean over the pairs with that replica.
        jackknife_values: the number with one replica left out, shape ``M``; None where that is not defined (a pair metric of
            two replicas, any metric of one).
        example_variance: the example part of the variance; nan with a single unit, an infinite value, or a metric without influences.
        examples: N.
        units: independent units of the example part: rows (of weights their effective number, rounded down), or clusters; None means N.
        effective: (Σw)²/Σw², the number of rows of equal weight that are worth as much; None means N.
        clustered: units are clusters.
        effective_clusters: (Σ b_g)²/Σ b_g², b_g the denominator's sum over a cluster (of a change of a share: the weight of the rows
            that change); None means all units.
        base: the share of the weight that a ratio's denominator has; 1 for a mean.
        scale: the scale of its interval, see `Scale`.
        share: with two models or fewer it is a share of units, so that Wilson's interval holds.
        most: the largest value it may have.
    """

    value: float
    rows: np.ndarray
    jackknife_values: np.ndarray | None
    example_variance: float
    examples: int
    units: int | None = None
    effective: float | None = None
    clustered: bool = False
    effective_clusters: float | None = None
    base: float = 1.0
    scale: Scale = "plain"
    share: bool = False
    most: float = math.inf

    @property
    def replicas(self) -> int:
        """M."""
        return len(self.rows)

    @property
    def independent(self) -> float:
        """The number of independent units: clusters, or rows; of weights the effective number, not rounded."""
        units = self.examples if self.units is None else self.units
        return units if self.clustered or self.effective is None else self.effective

    @property
    def replica_variance(self) -> float:
        """Replica part, the delete-one-replica jackknife (M − 1)/M · Σ_m (θ_(−m) − mean)²; nan where no replica can be left out."""
        if self.jackknife_values is None or not np.isfinite(self.jackknife_values).all():
            return math.nan
        m = len(self.jackknife_values)
        return float((m - 1) / m * np.sum((self.jackknife_values - self.jackknife_values.mean()) ** 2))

    @property
    def carriers(self) -> float:
        """The effective number of units that carry the measure: all rows; of clusters, (Σ c_g)²/Σ c_g² with c_g the sum over a cluster.

        The smaller of that of the denominator and that of the measure.
        """
        units = self.independent
        below = units if self.effective_clusters is None else min(units, self.effective_clusters)
        if not self.clustered:
            return below
        return min(below, effective_carriers(self.value, self.example_variance, units, self.scale, self.most))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the example part: one less than the units that carry the measure."""
        return cluster_freedom(self.carriers)

    def of_models(self, value: float, rows: np.ndarray, jackknife_values: np.ndarray | None) -> Self:
        """The same rows and example part, with the numbers of all replicas."""
        return replace(self, value=value, rows=rows, jackknife_values=jackknife_values)


Quotient = tuple[float, np.ndarray, np.ndarray]
"""A coefficient, and the numerator and denominator, linear forms of the sums of 1 and of C quantities, shape ``C+1`` each."""


@dataclass(frozen=True, eq=False)
class Estimator:
    """A measure as a sum of quotients of linear forms of sums; its example variance is that of its first-order change.

        θ = Σ_i k_i T_i/B_i;   gradient = Σ_i k_i (t_i − T_i/B_i · b_i)/B_i, with T_i and B_i the forms t_i and b_i of the sums

    Attributes:
        quotients: k_i, t_i and b_i; the first has the denominator that counts its rows.
        scale, share, most: as in `Summary`.
        of_part: its examples are the rows that its denominator counts, not all rows.
    """

    quotients: tuple[Quotient, ...]
    scale: Scale = "log"
    share: bool = False
    most: float = math.inf
    of_part: bool = False

    def among(self, before: int, after: int) -> Estimator:
        """The measure by sums that have so many quantities of others before and after its own."""

        def padded(form: np.ndarray) -> np.ndarray:
            return np.concatenate([form[:1], np.zeros(before), form[1:], np.zeros(after)])

        return replace(self, quotients=tuple((k, padded(top), padded(bottom)) for k, top, bottom in self.quotients))

    def gradient(self, sums: Moments) -> tuple[np.ndarray, np.ndarray]:
        """The measure by group, nan where a denominator is zero, and its change with the sums, shape ``C+1 G``."""
        values, gradient = np.zeros(len(sums.rows)), np.zeros((sums.quantities + 1, len(sums.rows)))
        with np.errstate(invalid="ignore", divide="ignore"):
            for k, top, bottom in self.quotients:
                below = sums.linear(bottom)
                below = np.where(below > 0, below, np.nan)
                quotient = sums.linear(top) / below
                values = values + k * quotient
                gradient += k * (top[:, None] - quotient * bottom[:, None]) / below
        return values, gradient

    def summaries(self, sums: Moments, models: int) -> list[Summary]:
        """The measure of so many models in every group of rows, nan where a group has no value."""
        values, gradient = self.gradient(sums)
        denominator = self.quotients[0][2]
        weight, below = sums.linear(np.eye(1, len(denominator))[0]), sums.linear(denominator)
        base = np.minimum(below / np.maximum(weight, 1e-300), 1.0)
        effective, rows = weight**2 / np.maximum(sums.squares, 1e-300), sums.rows
        if self.of_part:
            effective, rows, base = effective * base, sums.rows * base, np.ones(len(base))
            if not sums.clustered:
                effective = np.nan_to_num(effective_clusters(sums, denominator))
        units, rows = sums.units if sums.clustered else effective, np.round(rows)
        variances = np.where(np.isfinite(values), sums.variance(np.nan_to_num(gradient), units), np.nan)
        if self.share:
            none = np.abs(values) < TINY
            values, variances = np.where(none, 0.0, values), np.where(none & ~np.isnan(variances), 0.0, variances)
        of_clusters: list[float | None] = [None] * len(rows)
        if sums.clustered and len(self.quotients) == 1:
            of_clusters = [*effective_clusters(sums, denominator).tolist()]
        found = zip(
            *(a.tolist() for a in (values, variances, rows, units + NEARLY_WHOLE, effective, base)),
            of_clusters,
            strict=True,
        )
        kind = (self.scale, self.share, self.most)
        return [
            Summary(
                value, np.full(models, value), None, variance, int(n), int(units), worth, sums.clustered, clusters, part, *kind
            )
            for value, variance, n, units, worth, part, clusters in found
        ]


MEAN: Quotient = (1.0, np.array([0.0, 1.0]), np.array([1.0, 0.0]))
"""The mean of the one quantity."""


def effective_clusters(sums: Moments, form: np.ndarray) -> np.ndarray:
    """The effective number of clusters in which a linear form of one sign is, (Σ c_g)²/Σ c_g², by group; nan where it is zero."""
    total = sums.linear(form)
    return np.asarray(np.where(total > 0, total, np.nan) ** 2 / sums.squared(form))


def sums_of(quantities: np.ndarray, weights: np.ndarray | None, clusters: np.ndarray | None) -> Moments:
    """The sums of quantities ``C N`` of rows in memory, in clusters of any numbers."""
    sums = Moments(len(quantities), clustered=clusters is not None)
    sums.add(quantities, weights, clusters=None if clusters is None else np.unique(clusters, return_inverse=True)[1])
    return sums


def influence_variance(
    influence: np.ndarray, clusters: np.ndarray | None = None, units: float | None = None
) -> tuple[float, int]:
    """The example part of a variance, and the number of units: U/(U − 1) · Σ_g (Σ_{n in g} z_n)² / N².

    ``units`` is the effective number of rows that have weights.

    >>> influence_variance(np.array([1.0, -1.0, 1.0, -1.0])), influence_variance(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1]))
    ((0.3333333333333333, 4), (1.0, 2))
    """
    sums = sums_of(influence[None], None, clusters)
    u = sums.units if units is None else np.array([units])
    return float(sums.variance(np.array([-influence.mean(), 1.0]) / len(influence), u)[0]), int(u[0] + NEARLY_WHOLE)


LEAST_FREEDOM = 0.01
"""Fewer degrees of freedom are none: the quantile of t is above 10^100."""


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
