"""The finish of a comparison of two models from sums that another engine made."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice import metrics
from traintwice.compare._collect import DiffAccumulator
from traintwice.compare._estimates import interval
from traintwice.compare._options import DiffOptions
from traintwice.compare._pair_measures import PairMeasures, measured, unpaired_change
from traintwice.compare._results import Measured, Quality
from traintwice.compare._slice_types import PREDICTED
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.metrics._definition import Scale, Summary
from traintwice.metrics._moments import Moments
from traintwice.predictions._rows import Rows
from traintwice.statistics._significance import p_of_zero
from traintwice.types import Estimate

UNCOUNTED = (
    *("brier", "calibration_error", "surrogate_churn", "delta_label", "relative_delta_1", "relative_delta_positive"),
    *("lemma_2", "tight_lemma_2", "confidence", "scores", "joint", "movement", "regressed", "largest_changes", "reviews"),
)


@dataclass(frozen=True)
class GroupSums:
    """Sums over the rows of a group, for `Moments.add_sums`.

    Attributes:
        value: of the group.
        rows, squares: number of rows, and Σ w².
        units: number of rows, or of clusters.
        linear, second: Σ w (1, u), and Σ a aᵀ over the units.
    """

    value: Any
    rows: float
    squares: float
    units: float
    linear: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class MeanSums:
    """Sums for the mean of a number t over some rows, of weight w: Σ over rows, then Σ of products over units.

    Attributes:
        rows, units: numbers of rows and of units.
        squares: Σ w² over rows.
        infinite: number of rows on which t is infinite, which the sums leave out.
    """

    rows: float
    units: float
    w: float
    t: float
    ww: float
    wt: float
    tt: float
    squares: float
    infinite: int = 0


class SummedDiff(DiffAccumulator):
    """The sums of `DiffAccumulator` made by another engine; what needs rows is left out."""

    def __init__(self, source: Rows, options: DiffOptions, *, reason: str) -> None:
        super().__init__(source, replace(options, listed=0, temperature_matched=False))
        self._level = options.level
        self.left_out |= dict.fromkeys(UNCOUNTED, reason)
        self.confidence = self.scores = self.joint = self.movement = self.reviews = self.ranks = None
        self.tolerances = Tally({})
        self.measures = self.summed = _SummedMeasures(options.level, clustered=self.clustered)

    def fill(self, source: Rows) -> None:
        """Take the sums.

        Raises:
            BadInput: no rows are left.
        """
        if not self.rows:
            raise BadInput("no rows are left to compare")
        self._take(self.base)
        for threshold, tally in self.decisions.tallies.items():
            self._take(tally, threshold=threshold)
        for name, column in self.slices.columns.items() if self.slices is not None else ():
            self._take(column.base, "v0" if name == PREDICTED else f"g{source.groups.index(name)}", column.axis)
        if self.flow is not None:
            counted = list(self.flow_counts())
            self.flow.add(*(np.array([cell[j] for cell in counted], dtype=np.float64) for j in range(3)))
        self.weight, self.squares = float(self.base.total("one").sum()), float(self.base.moments.squares.sum())
        self.regressed_rows = self.count_regressed()

    @abstractmethod
    def group_sums(self, tally: Tally, by: str | None, threshold: float | None) -> Iterable[GroupSums]:
        """Sums of the quantities of a tally: of all rows, by group (g0 …) or old class (v0), or at a threshold."""

    @abstractmethod
    def flow_counts(self) -> Iterable[tuple[int, int, int]]:
        """Old class, new class, number of rows."""

    @abstractmethod
    def count_regressed(self) -> int:
        """Number of rows that only the old model has right."""

    def add_means(self, total_variation: MeanSums, losses: tuple[MeanSums, MeanSums, MeanSums] | None) -> None:
        """Take the sums of the soft measures.

        Args:
            losses: log loss of the old model, of the new one, and its change; None where it is left out.
        """
        self.summed.found.append(measured(metrics.total_variation.definition, self._mean(total_variation, 2, "log", 1.0)))
        if losses is None:
            return
        old, new = (self._mean(loss, 1, "log", math.inf) for loss in losses[:2])
        zeros = [loss.infinite for loss in losses[:2]]
        change = self._mean(losses[2], 2, "plain", math.inf)
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

    def _take(self, tally: Tally, by: str | None = None, axis: Axis | None = None, threshold: float | None = None) -> None:
        for found in self.group_sums(tally, by, threshold):
            group = 0 if axis is None else axis.numbers.setdefault(found.value, len(axis.numbers))
            tally.moments.add_sums(group, found.rows, found.units, found.linear, found.second, found.squares)

    def _mean(self, s: MeanSums, models: int, scale: Scale, most: float) -> Estimate:
        value, variance = math.inf if s.infinite else s.t / s.w, math.nan
        if not s.infinite:
            moments, second = Moments(1), np.array([[s.ww, s.wt], [s.wt, s.tt]])
            moments.add_sums(0, s.rows, s.units, np.array([s.w, s.t]), second, s.squares)
            variance = float(moments.variance(np.array([-value, 1.0]) / s.w)[0])
        summary = Summary(
            value, np.full(models, value), None, variance, round(s.rows), units=round(s.units),
            effective=s.w**2 / s.squares, scale=scale, most=most,
        )  # fmt: skip
        return interval(summary, level=self._level)


class _SummedMeasures(PairMeasures):
    """Measures whose sums another engine made."""

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
