"""Weighted means over rows that come in blocks, with what their intervals need, for all rows and for groups of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from traintwice.compare.intervals import t_quantile
from traintwice.metrics.streaming import Moments
from traintwice.types import Estimate, Target


class Means:
    """Means of C quantities over rows.

    Args:
        quantities: C.
    """

    def __init__(self, quantities: int) -> None:
        self.rows = 0
        self.weight = 0.0
        self.sums = np.zeros(quantities)
        self._moments: Moments | None = None

    def add(self, values: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows: the quantities ``C N`` and the weights ``N``."""
        values = np.asarray(values, dtype=np.float64)
        self.rows += values.shape[1]
        self.weight += values.shape[1] if weights is None else float(weights.sum())
        self.sums += values.sum(axis=1) if weights is None else values @ weights
        part = Moments.of(values, weights)
        self._moments = part if self._moments is None else self._moments + part

    def value(self, of: Sequence[float] | np.ndarray) -> float:
        """The mean of a linear combination of the quantities; nan without rows."""
        return float(np.dot(of, self.sums) / self.weight) if self.weight else math.nan

    def variance(self, of: Sequence[float] | np.ndarray) -> float:
        """The example part of its variance; nan with fewer than two rows."""
        if self.rows < 2 or self._moments is None or not self.weight:
            return math.nan
        spread = self._moments.spread(np.asarray(of, dtype=float), self.sums / self.weight)
        return self.rows / (self.rows - 1) * spread / self.weight**2

    def estimate(self, of: Sequence[float] | np.ndarray, *, replicas: int = 2, level: float = 0.95) -> Estimate:
        """The mean with its interval over new rows."""
        return example_estimate(self.value(of), self.variance(of), replicas=replicas, rows=self.rows, level=level)


class GroupedMeans:
    """Means of C quantities within groups of rows, by the number of the group.

    Args:
        quantities: C.
    """

    def __init__(self, quantities: int) -> None:
        self.rows = np.zeros(0, dtype=np.int64)
        self.weight, self.squares = np.zeros(0), np.zeros(0)
        self.sums = np.zeros((quantities, 0))
        self._first = np.zeros((quantities, 0))
        self._second = np.zeros((quantities, quantities, 0))

    def add(self, group: np.ndarray, values: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows: the group of each, the quantities ``C N`` and the weights ``N``."""
        size = max(len(self.rows), int(group.max()) + 1 if len(group) else 0)
        self._grow(size)
        values = np.asarray(values, dtype=np.float64)
        w = np.ones(len(group)) if weights is None else weights
        self.rows += np.bincount(group, minlength=size)
        self.weight += np.bincount(group, weights=w, minlength=size)
        self.squares += np.bincount(group, weights=w * w, minlength=size)
        for c, value in enumerate(values):
            self.sums[c] += np.bincount(group, weights=w * value, minlength=size)
            self._first[c] += np.bincount(group, weights=w * w * value, minlength=size)
            for d in range(c + 1):
                both = np.bincount(group, weights=w * w * value * values[d], minlength=size)
                self._second[c, d] += both
                if d != c:
                    self._second[d, c] += both

    def add_cells(self, group: np.ndarray, values: np.ndarray, counts: np.ndarray) -> None:
        """Add rows of weight 1 that come counted: ``counts[i]`` of them are in ``group[i]`` with the values ``[:, i]``."""
        size = max(len(self.rows), int(group.max()) + 1 if len(group) else 0)
        self._grow(size)
        values = np.asarray(values, dtype=np.float64)
        per_group = np.bincount(group, weights=counts, minlength=size)
        self.rows += np.rint(per_group).astype(np.int64)
        self.weight += per_group
        self.squares += per_group
        for c, value in enumerate(values):
            summed = np.bincount(group, weights=counts * value, minlength=size)
            self.sums[c] += summed
            self._first[c] += summed
            for d, other in enumerate(values):
                self._second[c, d] += np.bincount(group, weights=counts * value * other, minlength=size)

    def value(self, of: Sequence[float] | np.ndarray) -> np.ndarray:
        """The mean of a linear combination in each group; nan where it has no weight."""
        combined = np.asarray((self._each(of) * self.sums).sum(axis=0))
        return np.asarray(np.divide(combined, self.weight, out=np.full(len(combined), np.nan), where=self.weight > 0))

    def variance(self, of: Sequence[float] | np.ndarray) -> np.ndarray:
        """The example part of its variance in each group; nan with fewer than two rows."""
        slopes, means = self._each(of), self.value(of)
        second = np.einsum("cg,dg,cdg->g", slopes, slopes, self._second)
        first = (slopes * self._first).sum(axis=0)
        spread = np.maximum(second - 2 * means * first + means**2 * self.squares, 0.0)
        enough = (self.rows > 1) & (self.weight > 0)
        scale = self.rows * spread
        divisor = (self.rows - 1) * self.weight**2
        return np.asarray(np.divide(scale, divisor, out=np.full(len(scale), np.nan), where=enough))

    def _each(self, of: Sequence[float] | np.ndarray) -> np.ndarray:
        """Coefficients ``C`` for all groups, or ``C G`` for each, as ``C G``."""
        slopes = np.asarray(of, dtype=float)
        return np.broadcast_to(slopes[:, None] if slopes.ndim == 1 else slopes, self.sums.shape)

    def _grow(self, size: int) -> None:
        more = size - len(self.rows)
        if more > 0:
            self.rows = np.concatenate([self.rows, np.zeros(more, dtype=np.int64)])
            self.weight, self.squares = (np.concatenate([a, np.zeros(more)]) for a in (self.weight, self.squares))
            self.sums, self._first, self._second = (
                np.concatenate([a, np.zeros((*a.shape[:-1], more))], axis=-1) for a in (self.sums, self._first, self._second)
            )


def example_estimate(value: float, variance: float, *, replicas: int, rows: int, level: float) -> Estimate:
    """A number with its interval over new rows."""
    return estimate_of(value, ((variance, max(rows - 1, 1)),), replicas=replicas, rows=rows, level=level, target="examples")


def estimate_of(
    value: float, parts: Sequence[tuple[float, float]], *, replicas: int, rows: int, level: float, target: Target = "both"
) -> Estimate:
    """A number whose variance is a sum of independent parts, each with its degrees of freedom, by Welch and Satterthwaite.

    Bounds are nan where a part is.
    """
    total = sum(variance for variance, _ in parts)
    if not math.isfinite(total) or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, math.nan, math.inf, replicas, rows, level, target)
    spread = sum(variance**2 / freedom for variance, freedom in parts)
    freedom = total**2 / spread if spread > 0 else math.inf
    error = math.sqrt(total)
    half = t_quantile(0.5 + level / 2, freedom) * error if error else 0.0
    return Estimate(value, value - half, value + half, error, freedom, replicas, rows, level, target)
