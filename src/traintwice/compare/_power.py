"""The power of a comparison of two recipes, from the parts of its variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from traintwice.statistics._intervals import t_quantile
from traintwice.statistics._special import chi_square_quantile, normal_cdf

GRID = (np.arange(400) + 0.5) / 400
"""Quantiles of the estimated variance over which power is averaged."""


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


@lru_cache(maxsize=256)
def _quantiles_of_the_grid(freedom: int) -> np.ndarray:
    return chi_square_quantile(freedom, GRID)


def power_of(parts: VarianceParts, m: int, n: int, difference: float, level: float) -> float:
    """The chance that `compare_recipes` finds a difference significant with M replicas of each recipe on N rows; M >= 3."""
    freedom = m - 1
    # Of two recipes that are not paired, the two estimated variances add, and vary less than one.
    shape = freedom if parts.paired else 2 * freedom
    of_replicas = parts.jackknife(m, n) * _quantiles_of_the_grid(shape) / shape
    # The half-width of the interval, which is never below what either of the two tests asks for.
    edge = np.sqrt(
        t_quantile(0.5 + level / 2, freedom) ** 2 * of_replicas
        + t_quantile(0.5 + level / 2, max(n - 1, 1)) ** 2 * parts.example_part(m, n)
    )
    error = math.sqrt(parts.of_replicas(m, n) + parts.of_rows(n))
    if not error:
        return float((abs(difference) > edge).mean())
    return float(np.mean(normal_cdf((abs(difference) - edge) / error) + normal_cdf((-abs(difference) - edge) / error)))
