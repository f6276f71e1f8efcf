"""Sums of quantities over rows, for all rows and by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from traintwice.compare._expressions import LABELLED, ONE, Expression, Form, Ratio, RowValues
from traintwice.metrics._moments import GroupSums, KeyedSums, Moments
from traintwice.metrics._summaries import Estimator, Summary, effective_clusters

MOST_BITS, MOST_CELLS = 14, 1 << 20
"""So many truth values, and so many cells of groups and truth values, are counted as whole numbers before they become sums."""

CHUNK = 1 << 20
"""Places of a table of clusters and patterns that is multiplied with itself at once."""


class Tally:
    """Sums of named quantities over rows, by group or in all; values of quantities without an expression come with `put`."""

    def __init__(self, quantities: Mapping[str, Expression | None], *, clustered: bool = False) -> None:
        self.quantities = {name: q for name, q in quantities.items() if q is not None}
        self.clustered = clustered
        self._moments = Moments(len(quantities), clustered=clustered, centred=False)
        self._place = {name: i for i, name in enumerate([ONE, *quantities])}
        truths = [q.is_truth for q in self.quantities.values()]
        self._countable = 0 < len(truths) <= MOST_BITS and all(truths)
        self._cells = np.zeros(0, dtype=np.int64)
        self._patterns = PatternCounts(len(truths)) if clustered and self._countable else None

    def add(self, rows: RowValues, *, groups: np.ndarray | None = None) -> None:
        """Add rows, with the number of each row's group. Either all rows have weights, or none has."""
        values = [rows(q) for q in self.quantities.values()]
        clusters = rows.block.clusters if self.clustered else None
        if self._countable and rows.weights is None:
            codes = np.zeros(len(values[0]), dtype=np.int32)  # bit i is value i
            for i, value in enumerate(values):
                codes |= value.astype(np.int32) << i
            if self._patterns is not None:
                self._patterns.add(codes, groups, clusters)
                return
            size = (1 if groups is None else int(groups.max(initial=0)) + 1) << len(values)
            if size <= MOST_CELLS:
                cells = codes if groups is None else codes | groups.astype(np.int64) << len(values)
                counted = np.bincount(cells, minlength=max(size, len(self._cells)))
                counted[: len(self._cells)] += self._cells
                self._cells = counted
                return
        self.put(values, rows.weights, groups=groups, clusters=clusters)

    def put(
        self,
        values: Sequence[np.ndarray],
        weights: np.ndarray | None,
        *,
        groups: np.ndarray | None = None,
        clusters: np.ndarray | None = None,
    ) -> None:
        """Add rows by their quantities, in the order of the names; see `Moments.add`."""
        self._moments.add(np.stack([v.astype(np.float64) for v in values]), weights, groups=groups, clusters=clusters)

    def has(self, ratio: Ratio) -> bool:
        """Whether the quantities of a measure are summed."""
        return all(name in self._place for _, *forms in ratio.quotients for form in forms for name in form)

    @property
    def moments(self) -> Moments:
        if self._patterns is not None and (changed := list(self._patterns.sums())):
            self._moments = Moments(self._moments.quantities, clustered=True, centred=False)
            for found in changed:
                self._moments.add_sums(found.value, found)
        filled = np.flatnonzero(self._cells)
        if len(filled):
            bits = len(self.quantities)
            values = (filled[None, :] >> np.arange(bits)[:, None]) & 1
            self._moments.add(values.astype(np.float64), counts=self._cells[filled].astype(np.float64), groups=filled >> bits)
            self._cells = np.zeros(0, dtype=np.int64)
        return self._moments

    @property
    def rows(self) -> np.ndarray:
        return self.moments.rows

    @property
    def weighted(self) -> bool:
        """Whether rows have weights that differ from 1."""
        return bool((self.moments.squares != self.moments.rows).any())

    def vector(self, form: Form) -> np.ndarray:
        """The coefficients of a linear form, in the order of the sums."""
        found = np.zeros(len(self._place))
        for name, coefficient in form.items():
            found[self._place[name]] = coefficient
        return found

    def total(self, form: Form | str) -> np.ndarray:
        """The sum of a linear form of quantities, by group."""
        return self.moments.linear(self.vector({form: 1.0} if isinstance(form, str) else form))

    def estimator(self, ratio: Ratio) -> Estimator:
        """A measure by its sums; one of labelled rows is one of those rows alone: they are its examples."""
        quotients = tuple((sign, self.vector(top), self.vector(bottom)) for sign, top, bottom in ratio.quotients)
        return Estimator(quotients, ratio.scale, ratio.share, ratio.most, of_part=ratio.bottom == LABELLED)

    def value(self, ratio: Ratio) -> np.ndarray:
        """The measure, by group; nan where its denominator is zero."""
        return self.estimator(ratio).gradient(self.moments)[0]

    def summaries(self, ratio: Ratio) -> list[Summary]:
        return self.estimator(ratio).summaries(self.moments, ratio.models)

    def shares(self, form: Form, models: int = 2) -> list[Summary]:
        """The share of rows on which a linear form of truth values is 1, by group."""
        return self.summaries(Ratio("", "", form, {ONE: 1.0}, models=models))

    def clusters(self, form: Form) -> np.ndarray:
        """The effective number of clusters in which a linear form of one sign is, by group; nan where it is zero."""
        return effective_clusters(self.moments, self.vector(form))


@dataclass
class Axis:
    """The groups of one column: their values, numbered in the order in which they were seen."""

    numbers: dict[object, int] = field(default_factory=dict)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The number of each row's group, new values numbered on the way."""
        numbers = self.numbers
        if values.dtype.kind in "iub":
            unique, inverse = np.unique(values, return_inverse=True)
            return np.array([numbers.setdefault(v, len(numbers)) for v in unique.tolist()], dtype=np.int64)[inverse]
        texts = values.tolist()
        for value in dict.fromkeys(texts):
            numbers.setdefault(value, len(numbers))
        return np.fromiter(map(numbers.__getitem__, texts), np.int64, len(texts))


class PatternCounts:
    """Counts of rows by group, cluster and pattern of truth values; memory grows with these combinations, not with rows.

    All sums of truth values and of their products over clusters follow; summing every quantity by cluster is much slower.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._counts = KeyedSums(3, 1)

    def add(self, codes: np.ndarray, groups: np.ndarray | None, clusters: np.ndarray | None) -> None:
        """Add rows by their pattern (bit i: truth value i), the number of their group and of their cluster."""
        keys = [None if a is None else a.astype(np.int32) for a in (groups, clusters)]
        self._counts.add((*keys, codes), np.ones((1, len(codes)), dtype=np.int8))

    def sums(self) -> Iterator[GroupSums]:
        """The sums of each group over its clusters, u the truth values; none if nothing was added since the last time."""
        if not self._counts.refresh():
            return
        (groups, clusters, codes), (counts,) = self._counts.keys, self._counts.sums
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
            rows = float(of_pattern.sum())
            yield GroupSums(int(groups[start]), rows, rows, int(last - first), x @ of_pattern, x @ products @ x.T)
