"""Rows of every cluster by the pattern of their truth values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MOST_EMPTY = 8
"""Counts are made in a table, without sorting, where it has at most so many places for each row."""

CHUNK = 1 << 20
"""Places of a table of clusters and patterns that is multiplied with itself at once."""


class PatternCounts:
    """Counts of rows by group, cluster and pattern of truth values; memory grows with these combinations, not with rows.

    All sums of truth values over clusters, and of their products, follow from these counts. There are few patterns, so this is much
    faster than summing every quantity by cluster.

    Args:
        bits: number of truth values.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        none = np.zeros(0, dtype=np.int64)
        self._counted = (none, none, none, none)
        self._pending: list[tuple[np.ndarray, ...]] = []
        self.changed = False

    def add(self, codes: np.ndarray, groups: np.ndarray | None, clusters: np.ndarray | None) -> None:
        """Add rows by their pattern (bit i: truth value i), the number of their group and of their cluster."""
        none = np.zeros(len(codes), dtype=np.int32)
        of_rows = [none if a is None else np.asarray(a).astype(np.int32) for a in (groups, clusters)]
        self._pending.append((*of_rows, codes, np.ones(len(codes), dtype=np.int8)))
        self.changed = True
        if sum(len(p[0]) for p in self._pending) > 4 * len(self._counted[0]) + (1 << 18):
            self._count()

    def sums(self) -> Iterator[tuple[int, float, int, np.ndarray, np.ndarray]]:
        """Each group: rows, clusters, Σ (1, u) and Σ_g a_g a_gᵀ, with u the truth values and a_g the sum of (1, u) over a cluster."""
        self._count()
        self.changed = False
        groups, clusters, codes, counts = self._counted
        patterns, column = np.unique(codes, return_inverse=True)
        x = np.concatenate([np.ones((1, len(patterns))), (patterns[None, :] >> np.arange(self._bits)[:, None]) & 1])
        fresh = (np.diff(groups, prepend=-1) != 0) | (np.diff(clusters, prepend=-1) != 0)
        unit = np.cumsum(fresh) - 1
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        many = max(CHUNK // max(len(patterns), 1), 1)
        for start, stop in zip(starts, [*starts[1:], len(groups)], strict=True):
            of_pattern = np.bincount(column[start:stop], counts[start:stop], len(patterns))
            products = np.zeros((len(patterns), len(patterns)))
            first, last = unit[start], unit[stop - 1] + 1
            for low in range(first, last, many):
                a, b = np.searchsorted(unit[start:stop], (low, low + many)) + start
                table = np.zeros((min(low + many, last) - low, len(patterns)))
                table[unit[a:b] - low, column[a:b]] = counts[a:b]
                products += np.einsum("up,uq->pq", table, table)  # not a product of BLAS, whose threads cost more than it takes
            yield int(groups[start]), float(of_pattern.sum()), int(last - first), x @ of_pattern, x @ products @ x.T

    def _count(self) -> None:
        if not self._pending:
            return
        groups, clusters, codes, counts = (
            np.concatenate(parts).astype(np.int64) for parts in zip(self._counted, *self._pending, strict=True)
        )
        self._pending = []
        patterns = np.flatnonzero(np.bincount(codes, minlength=1 << self._bits))
        place = np.zeros(1 << self._bits, dtype=np.int64)
        place[patterns] = np.arange(len(patterns))
        width = int(clusters.max(initial=-1)) + 1
        cell = (groups * width + clusters) * len(patterns) + place[codes]
        cells = width * (int(groups.max(initial=-1)) + 1) * len(patterns)
        if cells > MOST_EMPTY * len(cell):
            filled, inverse = np.unique(cell, return_inverse=True)
            found = np.bincount(inverse, counts, len(filled))
        else:
            found = np.bincount(cell, counts, cells)
            filled = np.flatnonzero(found)
            found = found[filled]
        of_unit = filled // len(patterns)
        self._counted = (of_unit // width, of_unit % width, patterns[filled % len(patterns)], found.astype(np.int64))
