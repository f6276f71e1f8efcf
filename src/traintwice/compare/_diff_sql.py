"""A comparison of two models by sums in DuckDB, for very many rows: rows do not reach Python, and fewer parts are filled.

DuckDB supplies counts of rows by old class, new class and label (with clusters: sums by cluster, and their products), and a few
sums of scores; everything else is what the comparison in one pass does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare._collect import DiffAccumulator
from traintwice.compare._estimates import interval
from traintwice.compare._expressions import Expression, RowValues, decided, distance
from traintwice.compare._options import DiffOptions
from traintwice.compare._pair_measures import PairMeasures, measured, unpaired_change
from traintwice.compare._results import PREDICTED, Measured, Quality
from traintwice.compare._tally import Tally
from traintwice.errors import BadInput
from traintwice.metrics._definition import Scale, Summary
from traintwice.metrics._moments import Moments
from traintwice.predictions import AlignedPredictions, Predictions
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

BITS = {"a": "v0 = 1", "b": "v1 = 1"}
"""Whether each of two binary models predicts class 1; rows by both follow from counts of a, b, and both: much faster than grouping."""


def can_be_left_to_sql(rows: Rows, files: AlignedPredictions, options: DiffOptions, details: bool | None) -> bool:
    """Whether DuckDB makes the sums: very many rows of two models, and nothing asked for that needs the rows."""
    if details or rows.regression or rows.waive or options.pairs is not None or files.has_weights:
        return False
    if options.which or set(options.quality) - {metrics.log_loss} or options.whole or options.by_slice or options.top_k:
        return False
    if rows.clusters is not None and options.quality:
        return False
    if options.temperature_matched or rows.shown or (rows.has_probs and rows.classes != 2):
        return False
    return details is False or files.most_rows >= FROM_ROWS


class DiffSQL(DiffAccumulator):
    """The sums of `DiffAccumulator` from DuckDB."""

    def __init__(self, source: Rows, files: AlignedPredictions, options: DiffOptions) -> None:
        super().__init__(source, replace(options, listed=0, temperature_matched=False))
        self._files, self._level = files, options.level
        self.left_out |= dict.fromkeys(UNCOUNTED, NOT_COUNTED)
        self.confidence = self.scores = self.joint = self.movement = self.reviews = self.ranks = None
        self.tolerances = Tally({})
        self.measures = self.summed = _SummedMeasures(options.level, clustered=self.clustered)
        binary = self.classes == 2
        self._sums = self._binary_sums(options) if binary else {}
        self.rows = files.alignment.rows
        if not self.rows:
            raise BadInput("no rows are left to compare")
        self.weight = self.squares = float(self.rows)
        cells = self._binary_cells() if binary else files.counts_by({"v0": "v0", "v1": "v1", "y": "y"})
        self._add_cells(cells)
        self.regressed_rows = round(float(self.base.total("lost").sum()))
        if self.slices is not None:
            self._add_slices(source, cells)
        if binary:
            self._add_soft(options)
        else:
            self.left_out |= dict.fromkeys(("log_loss", "total_variation"), "needs probabilities")

    def copies(self) -> list[list[int]]:
        """The two models, where no prediction differs."""
        same = self._sums["tv"] == 0 if self._sums else not self.base.total("changed").sum()
        return [[0, 1]] if same else []

    def _binary_sums(self, options: DiffOptions) -> dict[str, float]:
        """Everything summed over the rows of two binary models, in the pass that matches the rows."""
        labelled = self._files.has_labels
        asked = {"a": "a", "b": "b", "ab": "a AND b", "tv": "abs(d)", "tv2": "d * d"}
        steps: list[Mapping[str, str]] = [BITS | {"d": "p0_1 - p1_1"}]
        if labelled:
            steps[0] = {**steps[0], "yes": "y = 1"}
            asked |= {"y": "yes", "ay": "a AND yes", "by": "b AND yes", "aby": "a AND b AND yes"}
        for i, t in enumerate(options.thresholds):
            old, new = decided(0, t), decided(1, t)
            asked |= {f"old{i}": old.sql, f"new{i}": new.sql, f"both{i}": (old & new).sql}
        if labelled and metrics.log_loss in options.quality:
            steps += [{f"q{m}": f"CAST(y AS DOUBLE) * p{m}_1 + (1 - CAST(y AS DOUBLE)) * p{m}_0" for m in (0, 1)}]
            steps += [{f"l{m}": f"CASE WHEN q{m} > 0 THEN -ln(q{m}) END" for m in (0, 1)}]
            asked |= {"l0": "l0", "l1": "l1", "l00": "l0 * l0", "l11": "l1 * l1", "gain2": "(l1 - l0) * (l1 - l0)"}
            asked |= {"zero0": "q0 = 0", "zero1": "q1 = 0"}
        return self._files.sums(asked, steps)

    def _binary_cells(self) -> list[dict[str, Any]]:
        s, labelled = self._sums, float(self._files.alignment.labelled)
        every = _table(s["a"], s["b"], s["ab"], float(self.rows))
        positive = _table(s["ay"], s["by"], s["aby"], s["y"]) if labelled else np.zeros((2, 2))
        with_label = every if labelled else np.zeros((2, 2))
        if 0 < labelled < self.rows:
            of_labelled = self._files.sums(
                {"a": "a AND known", "b": "b AND known", "ab": "a AND b AND known"}, (BITS | {"known": "y IS NOT NULL"},)
            )
            with_label = _table(of_labelled["a"], of_labelled["b"], of_labelled["ab"], labelled)
        parts = ((0, with_label - positive), (1, positive), (None, every - with_label))
        return [{"v0": a, "v1": b, "y": y, "rows": n} for y, counts in parts for (a, b), n in np.ndenumerate(counts) if n]

    def _add_cells(self, cells: Sequence[Mapping[str, Any]]) -> None:
        for block, counts in _blocks(cells):
            if self.clustered:
                continue
            self.base.add(RowValues(block), counts=counts)
        if self.clustered:
            self._add_clusters(self.base, None)
        if self.flow is not None:
            for block, counts in _blocks(cells):
                self.flow.add(block.votes[0], block.votes[1], counts)

    def _add_slices(self, source: Rows, cells: Sequence[Mapping[str, Any]]) -> None:
        for name, column in self.slices.columns.items() if self.slices is not None else ():
            key = "v0" if name == PREDICTED else f"g{source.groups.index(name)}"
            if self.clustered:
                self._add_clusters(column.base, key, column.axis.numbers)
                continue
            found = cells if name == PREDICTED else self._files.counts_by({"g": key, "v0": "v0", "v1": "v1", "y": "y"})
            for block, counts in _blocks(found):
                values = [
                    cell["v0" if name == PREDICTED else "g"] for cell in found if (cell["y"] is None) == (not block.has_labels)
                ]
                numbers = column.axis.numbers
                codes = np.array([numbers.setdefault(v, len(numbers)) for v in values], dtype=np.int64)
                column.base.add(RowValues(block), groups=codes, counts=counts)

    def _add_clusters(self, tally: Tally, by: str | None, numbers: dict[object, int] | None = None) -> None:
        """Sums by cluster (and group), and their products over clusters."""
        for value, rows, units, linear, second in self._products(tally.quantities, by):
            group = 0 if numbers is None else numbers.setdefault(value, len(numbers))
            tally.moments.add_sums(group, rows, units, linear, second, rows)

    def _products(
        self, quantities: Mapping[str, Expression], by: str | None
    ) -> list[tuple[Any, float, float, np.ndarray, np.ndarray]]:
        names = ["q0", *[f"q{i + 1}" for i in range(len(quantities))]]
        sums = ", ".join(
            f"sum(CAST({q.sql} AS DOUBLE)) AS {name}" for name, q in zip(names[1:], quantities.values(), strict=True)
        )
        inner = f"SELECT c, {f'{by} AS g, ' if by else ''}count(*)::DOUBLE AS q0, {sums} FROM {{rows}} GROUP BY c{f', {by}' if by else ''}"
        pairs = list(combinations_with_replacement(range(len(names)), 2))
        products = ", ".join(f"sum({names[i]} * {names[j]}) AS s{i}_{j}" for i, j in pairs)
        linear = ", ".join(f"sum({name}) AS t{i}" for i, name in enumerate(names))
        outer = f"SELECT {'g, ' if by else ''}count(*) AS units, {linear}, {products} FROM ({inner}){' GROUP BY g' if by else ''}"
        found = []
        for record in self._files.query(outer):
            second = np.zeros((len(names), len(names)))
            for i, j in pairs:
                second[i, j] = second[j, i] = record[f"s{i}_{j}"]
            totals = np.array([record[f"t{i}"] for i in range(len(names))])
            found.append((record.get("g"), float(totals[0]), float(record["units"]), totals, second))
        return found

    def _add_soft(self, options: DiffOptions) -> None:
        s, n = self._sums, float(self.rows)
        if self.clustered:
            ((_, _, units, linear, second),) = self._products({"tv": distance(0, 1, 2)}, None)
        else:
            units, linear = n, np.array([n, s["tv"]])
            second = np.array([[n, s["tv"]], [s["tv"], s["tv2"]]])
        self.summed.found.append(
            measured(metrics.total_variation.definition, self._mean(n, units, linear, second, 2, "log", 1.0))
        )
        for i, t in enumerate(options.thresholds):
            old, new, both = (s[f"{name}{i}"] for name in ("old", "new", "both"))
            tally = self.decisions.tallies[t]
            if self.clustered:
                self._add_clusters(tally, None)
                continue
            second = np.array([[n, old, new, both], [old, old, both, both], [new, both, new, both], [both, both, both, both]])
            tally.moments.add_sums(0, n, n, np.array([n, old, new, both]), second, n)
        if not self._files.alignment.labelled:
            self.left_out["log_loss"] = "needs labels"
        elif metrics.log_loss not in options.quality:
            self.left_out["log_loss"] = LOGARITHMS
        else:
            self._add_log_loss()

    def _add_log_loss(self) -> None:
        s, n = self._sums, float(self._files.alignment.labelled)
        zeros = [s["zero0"], s["zero1"]]

        def mean(total: float, squares: float, models: int, scale: Scale) -> Estimate:
            linear, second = np.array([n, total]), np.array([[n, total], [total, squares]])
            return self._mean(n, n, linear, second, models, scale, math.inf)

        old, new = (mean(math.inf if zeros[m] else s[f"l{m}"], s[f"l{m}{m}"], 1, "log") for m in (0, 1))
        change = mean(s["l1"] - s["l0"], s["gain2"], 2, "plain")
        p_value: float | None = p_of_zero(change.value, change.standard_error**2, n - 1)
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

    def _mean(
        self, rows: float, units: float, linear: np.ndarray, second: np.ndarray, models: int, scale: Scale, most: float
    ) -> Estimate:
        value = float(linear[1] / linear[0])
        variance = math.nan
        if math.isfinite(value):
            moments = Moments(1)
            moments.add_sums(0, rows, units, linear, second, rows)
            variance = float(moments.variance(np.array([-value, 1.0]) / linear[0])[0])
        found = Summary(value, np.full(models, value), None, variance, round(rows), units=round(units), scale=scale, most=most)
        return interval(found, level=self._level)


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


def _table(a: float, b: float, ab: float, rows: float) -> np.ndarray:
    """Rows by two truth values, from how many have the first, the second, and both."""
    return np.array([[rows - a - b + ab, b - ab], [a - ab, ab]])


def _blocks(cells: Sequence[Mapping[str, Any]]) -> list[tuple[Predictions, np.ndarray]]:
    """One row for each cell, with and without a label separately, and the number of rows it represents."""
    found = []
    for labelled in (True, False):
        part = [c for c in cells if (c["y"] is not None) == labelled]
        if part:
            votes = np.array([[c["v0"] for c in part], [c["v1"] for c in part]], dtype=np.int64)
            labels = np.array([c["y"] for c in part], dtype=np.int64) if labelled else None
            found.append((Predictions.trusted(votes, labels), np.array([c["rows"] for c in part], dtype=np.float64)))
    return found
