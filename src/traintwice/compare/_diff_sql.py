"""A comparison of two models by sums in DuckDB, for very many rows: rows do not reach Python, and fewer parts are filled.

DuckDB makes one table of cells in the pass that matches the rows: counts of rows, and sums of scores and losses, by old class, new
class, label, groups and cluster. Everything else are queries over the cells, and what the comparison in one pass does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare._options import DiffOptions
from traintwice.compare._summed import GroupSums, MeanSums, SummedDiff
from traintwice.compare._tally import Tally
from traintwice.predictions import AlignedPredictions
from traintwice.predictions._rows import Rows

FROM_ROWS = 2_000_000
"""Rows from which DuckDB makes the sums unless details are asked for."""

NOT_COUNTED = "left out beyond 2,000,000 rows, for speed; details=True (--details) brings it"

LOGARITHMS = "left out beyond 2,000,000 rows, for speed; which=['log_loss'] (--also log_loss) brings it"


def can_be_left_to_sql(rows: Rows, files: AlignedPredictions, options: DiffOptions, details: bool | None) -> bool:
    """Whether DuckDB makes the sums: very many rows of two models, and nothing asked for that needs the rows."""
    if details or rows.regression or rows.waive or options.pairs is not None or files.has_weights:
        return False
    if options.which or set(options.quality) - {metrics.log_loss} or options.whole or options.by_slice or options.top_k:
        return False
    if options.temperature_matched or rows.shown or (rows.has_probs and rows.classes != 2):
        return False
    return details is False or files.most_rows >= FROM_ROWS


class DiffSQL(SummedDiff):
    """The sums of `DiffAccumulator` from DuckDB: one table of cells from the pass that matches the rows, and queries over it."""

    def __init__(self, source: Rows, files: AlignedPredictions, options: DiffOptions) -> None:
        super().__init__(source, options, reason=NOT_COUNTED)
        self._files = files
        self._cells = files.cells(*self._wanted(options))
        self.rows = files.alignment.rows
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

    def flow_counts(self) -> list[tuple[int, int, int]]:
        """Old class, new class, number of rows."""
        counted = self._query("SELECT v0, v1, sum(rows) AS n FROM {cells} GROUP BY ALL")
        return [(cell["v0"], cell["v1"], cell["n"]) for cell in counted]

    def count_regressed(self) -> int:
        """Number of rows that only the old model has right."""
        return round(float(self.base.total("lost").sum()))

    def group_sums(self, tally: Tally, by: str | None, threshold: float | None) -> Iterator[GroupSums]:
        """Sums of the quantities in every group, and of their products over units: rows, or clusters."""
        key = by or "NULL"
        values = ["1::DOUBLE", *(f"CAST({q.sql} AS DOUBLE)" for q in tally.quantities.values())]
        if self.clustered:
            of_units = ", ".join(f"sum(rows * {value}) AS q{i}" for i, value in enumerate(values))
            units = f"SELECT {key} AS g, 1 AS k, {of_units} FROM {{cells}} GROUP BY c, g"
        else:
            each = ", ".join(f"{value} AS q{i}" for i, value in enumerate(values))
            units = f"SELECT {key} AS g, rows AS k, {each} FROM {{cells}}"
        pairs = list(combinations_with_replacement(range(len(values)), 2))
        linear = ", ".join(f"sum(k * q{i}) AS t{i}" for i in range(len(values)))
        products = ", ".join(f"sum(k * q{i} * q{j}) AS s{i}_{j}" for i, j in pairs)
        for record in self._query(f"SELECT g, sum(k) AS units, {linear}, {products} FROM ({units}) GROUP BY g ORDER BY g"):
            totals, second = np.array([record[f"t{i}"] for i in range(len(values))]), np.zeros((len(values), len(values)))
            for i, j in pairs:
                second[i, j] = second[j, i] = record[f"s{i}_{j}"]
            yield GroupSums(record["g"], totals[0], totals[0], float(record["units"]), totals, second)

    def _sums(self, total: str, squares: str, zeros: str | None = None) -> MeanSums:
        """Sums for a mean over the rows (those with a label, for a loss); two columns of the cells have sums of values and squares."""
        rows = f"FROM {{cells}} WHERE {'TRUE' if total == 'tv' else 'y IS NOT NULL'}"
        units = f"SELECT 1 AS k, sum(rows) AS n, sum({total}) AS t, sum({zeros or '0'}) AS z {rows} GROUP BY c"
        sums = "sum(k) AS units, sum(n) AS n, fsum(t) AS t, sum(n * n) AS nn, fsum(n * t) AS nt, fsum(t * t) AS tt"
        if not self.clustered:
            units = f"SELECT rows AS n, {total} AS t, {squares} AS tt, {zeros or '0'} AS z {rows}"
            sums = "sum(n) AS units, sum(n) AS n, fsum(t) AS t, sum(n) AS nn, fsum(t) AS nt, fsum(tt) AS tt"
        (found,) = self._query(f"SELECT {sums}, sum(z) AS z FROM ({units})")
        s = {name: float(value) for name, value in found.items()}
        return MeanSums(s["n"], s["units"], s["n"], s["t"], s["nn"], s["nt"], s["tt"], s["n"], int(s["z"]))
