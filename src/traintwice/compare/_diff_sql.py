"""A comparison of two models by sums in DuckDB, for very many rows: rows do not reach Python, and fewer parts are filled.

DuckDB makes one table of cells in the pass that matches the rows: counts of rows, and sums of scores and losses, by old class, new
class, label, groups and cluster. Everything else are queries over the cells, and what the comparison in one pass does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare._collect import DiffAccumulator
from traintwice.compare._estimates import interval
from traintwice.compare._options import DiffOptions
from traintwice.compare._pair_measures import PairMeasures, measured, unpaired_change
from traintwice.compare._results import PREDICTED, Measured, Quality
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.metrics._definition import Scale, Summary
from traintwice.metrics._moments import Moments
from traintwice.predictions import AlignedPredictions
from traintwice.predictions._rows import Rows
from traintwice.statistics._significance import p_of_zero
from traintwice.types import Estimate

FROM_ROWS = 2_000_000
"""Rows from which DuckDB makes the sums unless details are asked for."""

NOT_COUNTED = "left out beyond 2,000,000 rows, for speed; details=True (--details) brings it"

LOGARITHMS = "left out beyond 2,000,000 rows, for speed; which=['log_loss'] (--also log_loss) brings it"

UNCOUNTED = (
    *("brier", "calibration_error", "surrogate_churn", "delta_label", "relative_delta_1", "relative_delta_positive"),
    *("lemma_2", "tight_lemma_2", "confidence", "scores", "joint", "movement", "regressed", "largest_changes", "reviews"),
)


def can_be_left_to_sql(rows: Rows, files: AlignedPredictions, options: DiffOptions, details: bool | None) -> bool:
    """Whether DuckDB makes the sums: very many rows of two models, and nothing asked for that needs the rows."""
    if details or rows.regression or rows.waive or options.pairs is not None or files.has_weights:
        return False
    if options.which or set(options.quality) - {metrics.log_loss} or options.whole or options.by_slice or options.top_k:
        return False
    if options.temperature_matched or rows.shown or (rows.has_probs and rows.classes != 2):
        return False
    return details is False or files.most_rows >= FROM_ROWS


class DiffSQL(DiffAccumulator):
    """The sums of `DiffAccumulator` from DuckDB: one table of cells from the pass that matches the rows, and queries over it."""

    def __init__(self, source: Rows, files: AlignedPredictions, options: DiffOptions) -> None:
        super().__init__(source, replace(options, listed=0, temperature_matched=False))
        self._files, self._level = files, options.level
        self.left_out |= dict.fromkeys(UNCOUNTED, NOT_COUNTED)
        self.confidence = self.scores = self.joint = self.movement = self.reviews = self.ranks = None
        self.tolerances = Tally({})
        self.measures = self.summed = _SummedMeasures(options.level, clustered=self.clustered)
        self._cells = files.cells(*self._wanted(options))
        self.rows = files.alignment.rows
        if not self.rows:
            raise BadInput("no rows are left to compare")
        self.weight = self.squares = float(self.rows)
        self._add_cells(self.base)
        for tally in self.decisions.tallies.values():
            self._add_cells(tally)
        for name, column in self.slices.columns.items() if self.slices is not None else ():
            self._add_cells(column.base, "v0" if name == PREDICTED else f"g{source.groups.index(name)}", column.axis)
        if self.flow is not None:
            counted = self._query("SELECT v0, v1, sum(rows) AS n FROM {cells} GROUP BY ALL")
            self.flow.add(*(np.array([float(cell[name]) for cell in counted]) for name in ("v0", "v1", "n")))
        self.regressed_rows = round(float(self.base.total("lost").sum()))
        if self.binary:
            self._add_soft(metrics.log_loss in options.quality)
        else:
            self.left_out |= dict.fromkeys(("log_loss", "total_variation"), "needs probabilities")

    def copies(self) -> list[list[int]]:
        """The two models, where no prediction differs."""
        if not self.binary:
            return [] if self.base.total("changed").sum() else [[0, 1]]
        ((moved,),) = (record.values() for record in self._query("SELECT sum(tv) AS moved FROM {cells}"))
        return [] if moved else [[0, 1]]

    def _wanted(self, options: DiffOptions) -> tuple[dict[str, str], dict[str, str], list[Mapping[str, str]]]:
        """The keys and sums of the cells, and what is computed for them first."""
        keys = ["v0", "v1", "y", *(f"g{j}" for j in range(len(self._files.groups))), *(["c"] if self.clustered else [])]
        cells = {key: key for key in keys}
        thresholds = self.decisions.tallies
        for m in (0, 1) if thresholds else ():  # in place of a score: the highest threshold that it reaches
            reached = ", ".join(f"CASE WHEN p{m}_1 >= {t!r} THEN {t!r} ELSE -1.0 END" for t in thresholds)
            cells[f"p{m}_1"] = f"greatest({reached})"
        if not self.binary:
            return cells, {}, []
        sums = {"tv": "abs(d)", "tv2": "d * d"}
        steps: list[Mapping[str, str]] = [{"d": "p0_1 - p1_1"}]
        if self._files.has_labels and metrics.log_loss in options.quality:
            steps += [{f"q{m}": f"CAST(y AS DOUBLE) * p{m}_1 + (1 - CAST(y AS DOUBLE)) * p{m}_0" for m in (0, 1)}]
            steps += [{f"l{m}": f"CASE WHEN q{m} > 0 THEN -ln(q{m}) END" for m in (0, 1)}]
            sums |= {"l0": "l0", "l1": "l1", "l00": "l0 * l0", "l11": "l1 * l1", "gain": "l1 - l0"}
            sums |= {"gain2": "(l1 - l0) * (l1 - l0)", "zero0": "q0 = 0", "zero1": "q1 = 0"}
        return cells, sums, steps

    def _query(self, sql: str) -> list[dict[str, Any]]:
        return self._files.query(sql.replace("{cells}", self._cells))

    def _add_cells(self, tally: Tally, by: str = "NULL", axis: Axis | None = None) -> None:
        """Sums of the quantities in every group, and of their products over units: rows, or clusters."""
        values = ["1::DOUBLE", *(f"CAST({q.sql} AS DOUBLE)" for q in tally.quantities.values())]
        if self.clustered:
            of_units = ", ".join(f"sum(rows * {value}) AS q{i}" for i, value in enumerate(values))
            units = f"SELECT {by} AS g, 1 AS k, {of_units} FROM {{cells}} GROUP BY c, g"
        else:
            units = (
                f"SELECT {by} AS g, rows AS k, {', '.join(f'{value} AS q{i}' for i, value in enumerate(values))} FROM {{cells}}"
            )
        pairs = list(combinations_with_replacement(range(len(values)), 2))
        linear = ", ".join(f"sum(k * q{i}) AS t{i}" for i in range(len(values)))
        products = ", ".join(f"sum(k * q{i} * q{j}) AS s{i}_{j}" for i, j in pairs)
        for record in self._query(f"SELECT g, sum(k) AS units, {linear}, {products} FROM ({units}) GROUP BY g ORDER BY g"):
            totals, second = np.array([record[f"t{i}"] for i in range(len(values))]), np.zeros((len(values), len(values)))
            for i, j in pairs:
                second[i, j] = second[j, i] = record[f"s{i}_{j}"]
            group = 0 if axis is None else axis.numbers.setdefault(record["g"], len(axis.numbers))
            tally.moments.add_sums(group, totals[0], float(record["units"]), totals, second, totals[0])

    def _add_soft(self, wants_log_loss: bool) -> None:
        total_variation = self._mean("tv", "tv2", 2, "log", 1.0)
        self.summed.found.append(measured(metrics.total_variation.definition, total_variation))
        if not self._files.alignment.labelled:
            self.left_out["log_loss"] = "needs labels"
        elif not wants_log_loss:
            self.left_out["log_loss"] = LOGARITHMS
        else:
            self._add_log_loss()

    def _add_log_loss(self) -> None:
        (zeros,) = ([int(n) for n in r.values()] for r in self._query("SELECT sum(zero0) AS a, sum(zero1) AS b FROM {cells}"))
        old, new = (self._mean(f"l{m}", f"l{m}{m}", 1, "log", math.inf, infinite=zeros[m] > 0) for m in (0, 1))
        change = self._mean("gain", "gain2", 2, "plain", math.inf)
        p_value: float | None = p_of_zero(change.value, change.standard_error**2, (change.units or 2) - 1)
        if any(zeros):
            change, p_value = unpaired_change(old, new), None
        d = metrics.log_loss.definition
        self.summed.losses.append(Quality(d.name, d.title, d.unit, old, new, change, p_value, False))
        which = [
            f"in {z:,.0f} row{'' if z == 1 else 's'} of the {name} model"
            for name, z in zip(("old", "new"), zeros, strict=True)
            if z
        ]
        if which:
            self.summed.at[d.name] = " and ".join(which)

    def _mean(self, total: str, squares: str, models: int, scale: Scale, most: float, *, infinite: bool = False) -> Estimate:
        """The mean over the rows (those with a label, for a loss) of what two columns of the cells have the sum and the squares of."""
        rows = f"FROM {{cells}} WHERE {'TRUE' if total == 'tv' else 'y IS NOT NULL'}"
        units = f"SELECT 1 AS k, sum(rows) AS n, sum({total}) AS t {rows} GROUP BY c"
        sums = "sum(k) AS units, sum(n) AS n, fsum(t) AS t, sum(n * n) AS nn, fsum(n * t) AS nt, fsum(t * t) AS tt"
        if not self.clustered:
            units = f"SELECT rows AS n, {total} AS t, {squares} AS tt {rows}"
            sums = "sum(n) AS units, sum(n) AS n, fsum(t) AS t, sum(n) AS nn, fsum(t) AS nt, fsum(tt) AS tt"
        (found,) = self._query(f"SELECT {sums} FROM ({units})")
        s = {name: float(value) for name, value in found.items()}
        value, variance = math.inf if infinite else s["t"] / s["n"], math.nan
        if not infinite:
            moments, second = Moments(1), np.array([[s["nn"], s["nt"]], [s["nt"], s["tt"]]])
            moments.add_sums(0, s["n"], s["units"], np.array([s["n"], s["t"]]), second, s["n"])
            variance = float(moments.variance(np.array([-value, 1.0]) / s["n"])[0])
        summary = Summary(
            value, np.full(models, value), None, variance, round(s["n"]), units=round(s["units"]), scale=scale, most=most
        )
        return interval(summary, level=self._level)


class _SummedMeasures(PairMeasures):
    """Measures whose sums DuckDB made."""

    def __init__(self, level: float, *, clustered: bool) -> None:
        super().__init__((), (), level, clustered=clustered, bounds=False)
        self.found: list[Measured] = []
        self.losses: list[Quality] = []
        self.at: dict[str, str] = {}

    def measures(self) -> tuple[Measured, ...]:
        return tuple(self.found)

    def quality(self) -> tuple[Quality, ...]:
        return tuple(self.losses)

    def infinite(self, *, name_rows: bool) -> dict[str, str]:
        return dict(self.at)
