"""Sums of quantities over rows, and the second moments of their sums over independent units, for all rows or by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_EMPTY = 8
"""Sums by cluster are made in a table, without sorting, where it has at most so many places for each row."""


@dataclass(frozen=True)
class GroupSums:
    """Sums over the rows of a group: Σ w² (``squares``), Σ w (1, u) (``linear``) and Σ a aᵀ over the units (``second``).

    ``infinite`` counts rows on which u is infinite, which the sums leave out.
    """

    value: Any
    rows: float
    squares: float
    units: float
    linear: np.ndarray
    second: np.ndarray
    infinite: int = 0


class Moments:
    """Sums for means of C quantities, ratios of such means and their example variances; memory does not grow with rows or blocks.

    With u_n the quantities of row n and w_n its weight, kept are the sums of w_n (1, u_n) and, over independent units g (rows, or
    clusters of rows), the sums of a_g a_gᵀ with a_g = Σ_{n in g} w_n (1, u_n). Quantities are kept about a fixed centre, so that
    nothing cancels.

    Args:
        quantities: C.
        clustered: units are clusters; memory then grows with their number.
        centred: False for counts, which are then summed exactly; quantities are about zero.

    Attributes:
        rows: number of rows, by group.
        squares: Σ w_n², by group.
    """

    def __init__(self, quantities: int, *, clustered: bool = False, centred: bool = True) -> None:
        self.clustered = clustered
        self.rows, self.squares, self._clusters = np.zeros(0), np.zeros(0), np.zeros(0)
        self._centre: np.ndarray | None = None if centred else np.zeros(quantities)
        self._linear = np.zeros((quantities + 1, 0))
        self._second = np.zeros((quantities + 1, quantities + 1, 0))
        self._totals = KeyedSums(2, quantities + 1)

    def add(
        self,
        values: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        counts: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        clusters: np.ndarray | None = None,
    ) -> None:
        """Add rows.

        Args:
            values: quantities, shape ``C N``.
            weights: of the rows, shape ``N``.
            counts: number of rows that each column represents, shape ``N``; each is a unit of its own.
            groups, clusters: numbers from 0, shape ``N``; clusters only where ``clustered``.
        """
        values = np.asarray(values, dtype=np.float64)
        if self._centre is None:
            finite = np.isfinite(values)
            self._centre = np.where(finite, values, 0.0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
        with np.errstate(invalid="ignore"):  # infinite minus infinite: an infinite loss has no variance
            x = np.concatenate([np.ones((1, values.shape[1])), values - self._centre[:, None]])
            wx = x if weights is None else x * weights
            sized = wx if counts is None else wx * counts
        size = 1 if groups is None else int(groups.max(initial=-1)) + 1
        self._grow(size)
        times = np.ones(x.shape[1]) if counts is None else np.asarray(counts, dtype=np.float64)
        self.rows[:size] += times.sum() if groups is None else np.bincount(groups, times, size)
        self.squares[:size] += _by_group(wx[0] * sized[0], groups, size)
        with np.errstate(invalid="ignore"):
            for i, row in enumerate(sized):
                self._linear[i, :size] += _by_group(row, groups, size)
            if self.clustered:
                self._totals.add((groups, clusters), sized)
                return
            for i, row in enumerate(sized):
                for j in range(i + 1):
                    product = np.einsum("n,n->", row, wx[j]) if groups is None else _by_group(row * wx[j], groups, size)
                    self._second[i, j, :size] += product
                    self._second[j, i, :size] = self._second[i, j, :size]

    def add_sums(self, group: int, of: GroupSums) -> None:
        """Add sums over a group made by another engine, about zero."""
        if self._centre is None:
            self._centre = np.zeros(self.quantities)
        self._grow(group + 1)
        move = _recentring(-self._centre)
        self.rows[group] += of.rows
        self.squares[group] += of.squares
        self._clusters[group] += of.units
        self._linear[:, group] += move @ of.linear
        self._second[:, :, group] += move @ of.second @ move.T

    def merge(self, other: Moments) -> None:
        """Add the sums of another object over other rows (of the same groups and clusters)."""
        if other._centre is None:
            return
        if self._centre is None:
            self._centre = other._centre.copy()
        move = _recentring(other._centre - self._centre)
        size = len(other.rows)
        self._grow(size)
        with np.errstate(invalid="ignore"):
            for mine, theirs in ((self.rows, other.rows), (self.squares, other.squares)):
                mine[:size] += theirs
            self._linear[:, :size] += move @ other._linear
            if self.clustered:
                other._settle()
                self._totals.add(other._totals.keys, move @ other._totals.sums)
            else:
                self._second[:, :, :size] += np.einsum("ij,jkg,lk->ilg", move, other._second, move)

    @property
    def quantities(self) -> int:
        """C."""
        return len(self._linear) - 1

    @property
    def units(self) -> np.ndarray:
        """Number of independent units, by group: clusters with a weight, or the effective number of rows, (Σ w)²/Σ w²."""
        self._settle()
        return self._clusters if self.clustered else self._linear[0] ** 2 / np.maximum(self.squares, 1e-300)

    def linear(self, form: np.ndarray) -> np.ndarray:
        """Σ_n w_n form · (1, u_n), by group; ``form`` has shape ``C+1``, or ``C+1 G`` for one of each group."""
        form, used = self._about_centre(form)
        with np.errstate(invalid="ignore"):
            return np.asarray(
                np.einsum("c...,cg->g", form[used], self._linear[used])
                if form.ndim == 1
                else (form[used] * self._linear[used]).sum(axis=0)
            )

    def variance(self, form: np.ndarray, units: np.ndarray | None = None) -> np.ndarray:
        """U/(U − 1) · Σ_g (form · a_g)², by group, over U units (`units` where None); nan with one or fewer.

        With ``form`` the gradient of an estimate in the sums of (1, u), that is the example part of its variance.
        """
        spread = self.squared(form)
        with np.errstate(invalid="ignore", divide="ignore"):
            u = self.units if units is None else units
            return np.asarray(np.where(u > 1, spread * u / (u - 1), np.nan))

    def squared(self, form: np.ndarray) -> np.ndarray:
        """Σ_g (form · a_g)², by group."""
        self._settle()
        form, used = self._about_centre(form)
        second = self._second[np.ix_(used, used)]
        with np.errstate(invalid="ignore"):
            if form.ndim == 1:
                found = np.einsum("c,d,cdg->g", form[used], form[used], second)
            else:
                found = np.einsum("cg,dg,cdg->g", form[used], form[used], second)
            return np.asarray(np.maximum(found, 0.0))

    def pack(self) -> list[np.ndarray]:
        """Everything but clusters as arrays, for another process; only without groups and clusters."""
        head, linear = np.array([[self.rows[0], self.squares[0]]]), self._linear[:, 0]
        centre = np.zeros(self.quantities) if self._centre is None else self._centre
        return [head, centre[None], linear[None], self._second[:, :, 0]]

    @classmethod
    def unpack(cls, parts: list[np.ndarray]) -> Moments:
        """The object that `pack` wrote."""
        (head,), (centre,), (linear,), second = parts
        made = cls(len(centre))
        made._grow(1)
        made.rows[0], made.squares[0] = head
        made._centre, made._linear[:, 0], made._second[:, :, 0] = centre, linear, second
        return made

    def _about_centre(self, form: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A linear form of (1, u) as one of (1, u − centre), and where it is not zero."""
        form = np.array(form, dtype=np.float64)
        if self._centre is not None:
            form[0] = form[0] + np.dot(self._centre, form[1:])
        return form, np.flatnonzero(form.any(axis=1) if form.ndim > 1 else form)

    def _grow(self, size: int) -> None:
        more = size - len(self.rows)
        if more > 0:
            self.rows, self.squares, self._clusters = (
                np.append(a, np.zeros(more)) for a in (self.rows, self.squares, self._clusters)
            )
            self._linear, self._second = (
                np.concatenate([a, np.zeros((*a.shape[:-1], more))], axis=-1) for a in (self._linear, self._second)
            )

    def _settle(self) -> None:
        """Bring second moments up to date with the clusters seen."""
        if not self.clustered or not self._totals.refresh():
            return
        groups, totals = self._totals.keys[0], self._totals.sums  # in ascending order of groups
        self._clusters = np.bincount(groups, totals[0] > 0, len(self.rows)).astype(np.float64)
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        with np.errstate(invalid="ignore"):  # infinite times zero
            for i, row in enumerate(totals if len(groups) else ()):
                for j in range(i + 1):
                    products = np.add.reduceat(row * totals[j], starts)
                    self._second[i, j, groups[starts]] = self._second[j, i, groups[starts]] = products


def _by_group(values: np.ndarray, groups: np.ndarray | None, size: int) -> np.ndarray | float:
    return float(values.sum()) if groups is None else np.bincount(groups, values, size)


class KeyedSums:
    """Sums of values by keys of some whole numbers each; memory grows with the distinct keys.

    Attributes:
        keys: the numbers of each key, in ascending order, as of the last `refresh`.
        sums: of the values of each key, shape ``values keys``.
    """

    def __init__(self, numbers: int, values: int) -> None:
        self.keys = [np.zeros(0, dtype=np.int64)] * numbers
        self.sums = np.zeros((values, 0))
        self._pending: list[tuple[Sequence[np.ndarray | None], np.ndarray]] = []
        self._changed = False

    def add(self, keys: Sequence[np.ndarray | None], values: np.ndarray) -> None:
        """Add columns of values; a number of the keys that is None is 0 everywhere."""
        self._pending.append((keys, values))
        self._changed = True
        if sum(v.shape[1] for _, v in self._pending) > 4 * self.sums.shape[1] + (1 << 18):
            self._sum()

    def refresh(self) -> bool:
        """Bring keys and sums up to date; whether something was added since the last time."""
        changed, self._changed = self._changed, False
        self._sum()
        return changed

    def _sum(self) -> None:
        if not self._pending:
            return
        parts: list[tuple[Sequence[np.ndarray | None], np.ndarray]] = [(self.keys, self.sums), *self._pending]
        cells, size, present = np.zeros(1, dtype=np.int64), 1, []
        for i in range(len(self.keys)):
            of_part = [np.zeros(v.shape[1], dtype=np.int8) if (key := keys[i]) is None else key for keys, v in parts]
            known, places = _numbered(np.concatenate(of_part))
            cells, size = cells * len(known) + places, size * len(known)
            present.append(known)
        filled, self.sums = sums_by_cell(cells, size, np.concatenate([v for _, v in parts], axis=1))
        places_of = np.unravel_index(filled, [len(known) for known in present])
        self.keys, self._pending = [known[place] for known, place in zip(present, places_of, strict=True)], []


def _numbered(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers in ascending order, and the place of each number among them."""
    most = int(key.max(initial=-1)) + 1
    if most > MOST_EMPTY * len(key):
        return np.unique(key, return_inverse=True)
    present = np.flatnonzero(np.bincount(key, minlength=most))
    places = np.zeros(most, dtype=np.int64)
    places[present] = np.arange(len(present))
    return present, places[key]


def sums_by_cell(cell: np.ndarray, size: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells, of so many, that have columns of values, in ascending order; and the sums of the values of each."""
    if size > MOST_EMPTY * len(cell):
        filled, cell = np.unique(cell, return_inverse=True)
        return filled, np.stack([np.bincount(cell, row, len(filled)) for row in values])
    filled = np.flatnonzero(np.bincount(cell, minlength=size))  # a table with a place for every cell is faster than sorting
    return filled, np.stack([np.bincount(cell, row, size)[filled] for row in values])


def _recentring(shift: np.ndarray) -> np.ndarray:
    """The matrix from (1, x) to (1, x + shift)."""
    move = np.eye(len(shift) + 1)
    move[1:, 0] = shift
    return move
