"""A comparison of two models from sums that another engine made, and the sums that DuckDB makes of very many rows."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare._comparison import DiffAccumulator
from traintwice.compare._estimates import interval
from traintwice.compare._expressions import ONE, reaches_in_sql
from traintwice.compare._inputs import DiffOptions
from traintwice.compare._parts import PREDICTED
from traintwice.compare._soft_measures import PairMeasures, measured, quality_of
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.metrics._moments import GroupSums, Moments
from traintwice.metrics._summaries import MEAN, Estimator
from traintwice.predictions import AlignedPredictions
from traintwice.predictions._opening import Rows
from traintwice.statistics._inference import Scale
from traintwice.types import Estimate

UNCOUNTED = (
    *("brier", "calibration_error", "surrogate_churn", "delta_label", "relative_delta_1", "relative_delta_positive"),
    *("lemma_2", "tight_lemma_2", "confidence", "scores", "joint", "movement", "regressed", "largest_changes", "reviews"),
)

NOT_COUNTED = "left out beyond 2,000,000 rows, for speed; details=True (--details) brings it"

PATTERN = "v0 + 2 * v1 + 4 * coalesce(y, 0)"
"""The number of a row's combination of old class, new class and label where there are two classes; rows without a label are cells of
their own, and number 8 to 11 is 0 to 3 of them."""

LOGARITHMS = "left out beyond 2,000,000 rows, for speed; which=['log_loss'] (--also log_loss) brings it"


Moment = tuple[Any, list[float], np.ndarray, np.ndarray]
"""A group, numbers of its units, and sums of columns and of their products over the units."""


class SummedDiff(DiffAccumulator):
    """The sums of `DiffAccumulator` made by another engine; what needs rows is left out."""

    def __init__(self, source: Rows, options: DiffOptions, *, reason: str) -> None:
        super().__init__(source, replace(options, listed=0, temperature_matched=False))
        self.left_out |= dict.fromkeys(UNCOUNTED, reason)
        self.parts = {} if self.flow is None else {"flow": self.flow}
        self.measures, self.ranks = PairMeasures((), (), options.level, clustered=self.clustered, bounds=False), None

    def fill(self, source: Rows) -> None:
        """Take the sums; raise `BadInput` where no rows are left."""
        if not self.rows:
            raise BadInput("no rows are left to compare")
        self._take(self.base)
        for threshold, tally in self.decisions.items():
            self._take(tally, threshold=threshold)
        for column in self.slices:
            self._take(column.base, "v0" if column.name == PREDICTED else f"g{source.groups.index(column.name)}", column.axis)
        if self.flow is not None:
            for old, new, rows in self.flow_counts():
                self.flow.counts[old, new] += rows
        self.weight, self.squares = float(self.base.total(ONE).sum()), float(self.base.moments.squares.sum())
        self.regressed.seen = self.count_regressed()

    @abstractmethod
    def group_sums(self, tally: Tally, by: str | None, threshold: float | None) -> Iterable[GroupSums]:
        """Sums of the quantities of a tally: of all rows, by group (g0 …) or old class (v0), or at a threshold."""

    @abstractmethod
    def flow_counts(self) -> Iterable[tuple[int, int, int]]:
        """Old class, new class, number of rows."""

    def count_regressed(self) -> int:
        """Number of rows that only the old model has right."""
        return round(float(self.base.total("lost").sum()))

    def add_means(self, total_variation: GroupSums, losses: tuple[GroupSums, GroupSums, GroupSums] | None) -> None:
        """Take the sums of the soft measures; losses are of the old model, of the new one, and of their change."""
        self.further.append(measured(metrics.total_variation.definition, self._mean(total_variation, 2, "log", 1.0)))
        if losses is None:
            return
        old, new = (self._mean(loss, 1, "log", math.inf) for loss in losses[:2])
        change: Estimate | None = self._mean(losses[2], 2, "plain", math.inf)
        infinite = [(loss.infinite, name) for loss, name in zip(losses, ("old", "new"), strict=False) if loss.infinite]
        d = metrics.log_loss.definition
        if infinite:
            change = None
            where = [f"in {rows:,.0f} row{'' if rows == 1 else 's'} of the {name} model" for rows, name in infinite]
            self.infinite[d.name] = " and ".join(where)
        self.further_quality.append(quality_of(d, old, new, change))

    def _take(self, tally: Tally, by: str | None = None, axis: Axis | None = None, threshold: float | None = None) -> None:
        for found in self.group_sums(tally, by, threshold):
            group = 0 if axis is None else axis.numbers.setdefault(found.value, len(axis.numbers))
            tally.moments.add_sums(group, found)

    def _mean(self, s: GroupSums, models: int, scale: Scale, most: float) -> Estimate:
        """The mean of one number, given its sums over all rows."""
        sums = Moments(1, clustered=self.clustered)
        sums.add_sums(0, s)
        (found,) = Estimator((MEAN,), scale, most=most).summaries(sums, models)
        if s.infinite:
            found = replace(found, value=math.inf, rows=np.full(models, math.inf), example_variance=math.nan)
        if scale == "plain":  # a change
            found = replace(found, effective_clusters=None)
        return interval(found, level=self.options.level)


class DiffSQL(SummedDiff):
    """The sums of `DiffAccumulator` from DuckDB, which makes one table of cells in the pass that matches the rows.

    Cells are counts of rows, and sums of scores and losses, by old class, new class, label, groups and cluster. Where a binary model has
    clusters, there are many times fewer cells if each has a count n0 … of every `PATTERN`, and only whether there is a label is a key.
    """

    def __init__(self, source: Rows, files: AlignedPredictions, options: DiffOptions) -> None:
        super().__init__(source, options, reason=NOT_COUNTED)
        self._files = files
        self._by_pattern = self.binary and self.clustered and not self.decisions
        self._cells = files.cells(*self._wanted(options))
        self.rows, labelled = files.alignment.rows, files.alignment.labelled
        self._patterns = range(0 if labelled else 8, 8 if labelled == self.rows else 12)
        self.fill(source)
        if not self.binary:
            self.left_out |= dict.fromkeys(("log_loss", "total_variation"), "needs probabilities")
            return
        losses = None
        if not files.alignment.labelled:
            self.left_out["log_loss"] = "needs labels"
        elif metrics.log_loss not in options.quality:
            self.left_out["log_loss"] = LOGARITHMS
        else:
            losses = (self._sums("l0", "l00", "zero0"), self._sums("l1", "l11", "zero1"), self._sums("gain", "gain2"))
        self.add_means(self._sums("tv", "tv2"), losses)

    def copies(self) -> list[list[int]]:
        """The two models, where no prediction differs."""
        if not self.binary:
            return [] if self.base.total("changed").sum() else [[0, 1]]
        ((moved,),) = (record.values() for record in self._query("SELECT sum(tv) AS moved FROM {cells}"))
        return [] if moved else [[0, 1]]

    def _wanted(self, options: DiffOptions) -> tuple[dict[str, str], dict[str, str], list[Mapping[str, str]]]:
        """The keys and sums of the cells, and what is computed for them first."""
        keys = [*(f"g{j}" for j in range(len(self._files.groups))), *(["c"] if self.clustered else [])]
        cells = {"labelled": "CAST(y IS NOT NULL AS INTEGER)"} if self._by_pattern else {key: key for key in ("v0", "v1", "y")}
        cells |= {key: key for key in keys}
        for m in (0, 1) if self.decisions else ():  # in place of a score: the highest threshold that it reaches
            reached = ((reaches_in_sql(f"p{m}_1", t), t) for t in self.decisions)
            cells[f"p{m}_1"] = f"greatest({', '.join(f'CASE WHEN {sql} THEN {t:.16e} ELSE -1.0 END' for sql, t in reached)})"
        if not self.binary:
            return cells, {}, []
        sums, squares = {"tv": "abs(d)"}, {"tv2": "d * d"}
        steps: list[Mapping[str, str]] = [{"d": "p0_1 - p1_1"}]
        if self._by_pattern:
            sums |= {f"n{k}": f"pattern = {k}" for k in range(8 if self._files.has_labels else 4)}
            steps += [{"pattern": PATTERN}]
        if self._files.has_labels and metrics.log_loss in options.quality:
            steps += [{f"q{m}": f"CAST(y AS DOUBLE) * p{m}_1 + (1 - CAST(y AS DOUBLE)) * p{m}_0" for m in (0, 1)}]
            steps += [{f"l{m}": f"CASE WHEN q{m} > 0 THEN -ln(q{m}) END" for m in (0, 1)}]
            sums |= {"l0": "l0", "l1": "l1", "gain": "l1 - l0", "zero0": "q0 = 0", "zero1": "q1 = 0"}
            squares |= {"l00": "l0 * l0", "l11": "l1 * l1", "gain2": "(l1 - l0) * (l1 - l0)"}
        return cells, sums if self.clustered else sums | squares, steps

    def _query(self, sql: str) -> list[dict[str, Any]]:
        return self._files.query(sql.replace("{cells}", self._cells))

    def flow_counts(self) -> list[tuple[int, int, int]]:
        if self._by_pattern:
            ((_, _, n, _),) = self._of_clusters
            return [(k % 2, k // 2 % 2, round(count)) for k, count in zip(self._patterns, n.tolist(), strict=True)]
        counted = self._query("SELECT v0, v1, sum(rows) AS n FROM {cells} GROUP BY ALL")
        return [(int(cell["v0"]), int(cell["v1"]), int(cell["n"])) for cell in counted]

    def group_sums(self, tally: Tally, by: str | None, threshold: float | None) -> Iterator[GroupSums]:
        values = ["1::DOUBLE", *(f"CAST({q.sql} AS DOUBLE)" for q in tally.quantities.values())]
        if self._by_pattern:
            yield from self._pattern_sums(values, by)
            return
        weigh, k, clusters = ("sum(rows * {})", "1", " GROUP BY c, g") if self.clustered else ("{}", "rows", "")
        each = ", ".join(f"{weigh.format(value)} AS q{i}" for i, value in enumerate(values))
        units = f"SELECT {by or 'NULL'} AS g, {k} AS k, {each} FROM {{cells}}{clusters}"
        for g, (count,), totals, second in self._moments(units, [f"q{i}" for i in range(len(values))], "k"):
            yield GroupSums(g, totals[0], totals[0], count, totals, second)

    def _moments(self, units: str, columns: Sequence[str], *counts: str) -> Iterator[Moment]:
        """Sums of counts, of columns, and of their products, in every group g of a SELECT of units: a line stands for k of them."""
        pairs = list(combinations_with_replacement(range(len(columns)), 2))
        sums = [*counts, *(f"k * {column}" for column in columns), *(f"k * {columns[i]} * {columns[j]}" for i, j in pairs)]
        select = ", ".join(f"sum({each}) AS s{n}" for n, each in enumerate(sums))
        for record in self._query(f"SELECT g, {select} FROM ({units}) GROUP BY g ORDER BY g"):
            g, *found = record.values()
            numbers, second = np.array(found, dtype=float), np.zeros((len(columns), len(columns)))
            for (i, j), product in zip(pairs, numbers[-len(pairs) :], strict=True):
                second[i, j] = second[j, i] = product
            yield g, numbers[: len(counts)].tolist(), numbers[len(counts) : -len(pairs)], second

    def _pattern_sums(self, values: Sequence[str], by: str | None) -> Iterator[GroupSums]:
        """`group_sums` from n, a cluster's rows of each pattern: with F the values of patterns, Σ a = F Σ n and Σ a aᵀ = F (Σ n nᵀ) Fᵀ."""
        each = ", ".join(f"{value} AS q{i}" for i, value in enumerate(values))
        patterns = ", ".join(f"({k}, {k % 2}, {k // 2 % 2}, {k // 4 if k < 8 else 'NULL'})" for k in self._patterns)
        found = self._files.query(f"SELECT {each} FROM (VALUES {patterns}) AS one(k, v0, v1, y) ORDER BY k")
        f, old = np.array([list(one.values()) for one in found], dtype=float).T, np.array(self._patterns) % 2
        for g, units, n, second in self._of_clusters if by in (None, "v0") else self._clusters(by):
            parts = [(v, units[1 + v], old == v) for v in (0, 1)] if by == "v0" else [(g, units[0], old >= 0)]
            for part, count, of in parts:
                if count:
                    rows = float(n @ of)
                    yield GroupSums(part, rows, rows, count, f @ (n * of), (f * of) @ second @ (f * of).T)

    @cached_property
    def _of_clusters(self) -> list[Moment]:
        return self._clusters("NULL")

    def _clusters(self, key: str) -> list[Moment]:
        """Moments over clusters of their rows of each pattern; counts of all clusters, and of those with rows of old class 0, and 1."""
        sums = ", ".join(f"sum(n{k % 8} * {'labelled' if k < 8 else '(1 - labelled)'}) AS n{k}" for k in self._patterns)
        of_old = [" + ".join(f"n{k}" for k in self._patterns if k % 2 == v) for v in (0, 1)]
        units = f"SELECT {key} AS g, 1 AS k, {sums} FROM {{cells}} GROUP BY c, g"
        counts = ("k", *(f"CAST({rows} > 0 AS INTEGER)" for rows in of_old))
        return list(self._moments(units, [f"n{k}" for k in self._patterns], *counts))

    def _sums(self, total: str, squares: str, zeros: str = "0") -> GroupSums:
        """Sums for a mean over the rows (those with a label, for a loss); two columns of the cells have sums of values and squares."""
        n = "rows * labelled" if self._by_pattern else "CASE WHEN y IS NULL THEN 0 ELSE rows END"
        n = "rows" if total == "tv" else n
        units = f"SELECT 1 AS k, sum({n}) AS n, sum({total}) AS t, sum({zeros}) AS z FROM {{cells}} GROUP BY c HAVING n > 0"
        sums = "sum(k) AS units, sum(n) AS n, fsum(t) AS t, sum(n * n) AS nn, fsum(n * t) AS nt, fsum(t * t) AS tt"
        if not self.clustered:
            units = f"SELECT {n} AS n, {total} AS t, {squares} AS tt, {zeros} AS z FROM {{cells}}"
            sums = "sum(n) AS units, sum(n) AS n, fsum(t) AS t, sum(n) AS nn, fsum(t) AS nt, fsum(tt) AS tt"
        (found,) = self._query(f"SELECT {sums}, sum(z) AS z FROM ({units})")
        s = {name: float(value) for name, value in found.items()}
        second = np.array([[s["nn"], s["nt"]], [s["nt"], s["tt"]]])
        return GroupSums(None, s["n"], s["n"], s["units"], np.array([s["n"], s["t"]]), second, int(s["z"]))
