"""Changes in each group of rows, with the false discovery rate controlled over all groups and questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from traintwice.compare._changed_rows import name_of
from traintwice.compare._estimates import interval, p_of_no_change
from traintwice.compare._expressions import ACCURACY, BETWEEN, ONE, RECALL, Expression, Ratio, RowValues, changed
from traintwice.compare._floor import Pairs, pair_quantities
from traintwice.compare._parts import PREDICTED, Slice, SliceTest
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._definition import Summary, to_numpy
from traintwice.metrics._paired import PairedAccumulator
from traintwice.statistics._intervals import change_of_share
from traintwice.statistics._significance import (
    benjamini_hochberg,
    hypergeometric_mid_p,
    mcnemar,
    p_of_zero,
    slice_against_floor,
)
from traintwice.types import Estimate

CHURN, NEGATIVE = BETWEEN[0], BETWEEN[1]


def change_estimate(
    ratio: Ratio, tally: Tally, g: int, level: float, summary: Summary, *, mid: bool = False
) -> tuple[Estimate, float]:
    """The change of a share of a group from old to new, and its p-value of no change.

    Rows of equal weight that are units of their own: Bonett and Price's interval and McNemar's exact p (with ``mid`` its mid-p, for
    slices); else the cluster-robust variance with t.
    """
    found = interval(summary, level=level)
    if ratio.flips is None:
        return found, p_of_no_change(found)
    worse, better = (float(tally.total(name)[g]) for name in ratio.flips)
    if not (tally.clustered or tally.weighted):
        low, high = change_of_share(worse, better, float(tally.total(ratio.bottom)[g]), level)
        return replace(found, low=low, high=high), mcnemar(round(worse), round(better), mid=mid)
    if worse == better == 0 and summary.units:
        low, high = change_of_share(0, 0, summary.units, level)
        return replace(found, low=low, high=high), 1.0
    return found, p_of_no_change(found)


class Slices:
    """Sums of the rows of every slice of several columns.

    Args:
        columns: the group columns.
        quantities: of an old and a new model, see `base_quantities`.
        pairs: of models, where there are retrains.
        which: further measures wanted for every slice.
        clustered: units are clusters.
        predicted: also slices by predicted class.
    """

    def __init__(
        self,
        columns: Sequence[str],
        quantities: Mapping[str, Expression],
        pairs: Pairs | None,
        which: Sequence[Metric],
        *,
        clustered: bool,
        predicted: bool = True,
    ) -> None:
        names = (*columns, *([PREDICTED] if predicted else []))
        self.columns = {name: _Column(quantities, pairs, which, clustered=clustered) for name in names}

    def add(self, rows: RowValues) -> None:
        """Add rows of all models: old, new, retrains of old, retrains of new."""
        for name, column in self.columns.items():
            values = rows.block.votes[0] if name == PREDICTED else rows.block.groups[name]
            column.add(rows, column.axis.codes(to_numpy(values)))

    def result(
        self, min_support: int, level: float, class_names: Sequence[str] | None
    ) -> tuple[dict[str, tuple[Slice, ...]], int]:
        """Slices of at least ``min_support`` rows by column, significant ones first by size of effect; how many have fewer rows."""
        found = {name: list(column.slices(name, min_support, level, class_names)) for name, column in self.columns.items()}
        few = sum(len(column.axis.numbers) - len(found[name]) for name, column in self.columns.items())
        return with_q_values(found), few


def with_q_values(found: Mapping[str, Sequence[Slice]]) -> dict[str, tuple[Slice, ...]]:
    """Slices by column with the q-values of all their questions together, significant ones first by size of effect."""
    q_values = iter(benjamini_hochberg([t.p_value for slices in found.values() for s in slices for t in s.tests]))
    judged = {
        name: [replace(s, tests=tuple(replace(t, q_value=next(q_values)) for t in s.tests)) for s in slices]
        for name, slices in found.items()
    }
    return {name: tuple(sorted(slices, key=worse_first)) for name, slices in judged.items()}


def worse_first(s: Slice) -> tuple[bool, float, str]:
    """Significant slices first, by the largest change of quality or excess of churn; others by churn."""
    effects = [abs(t.change.value) for t in s.tests if t.question != "churn" and t.significant]
    effects += [s.tests[0].new - (s.tests[0].old or 0.0)] if s.moved else []
    return (not effects, -max(effects, default=s.churn.value), s.value or "")


class _Column:
    def __init__(
        self,
        quantities: Mapping[str, Expression],
        pairs: Pairs | None,
        which: Sequence[Metric],
        *,
        clustered: bool,
    ) -> None:
        self.axis = Axis()
        self.base = Tally(quantities, clustered=clustered)
        self.pairs = None if pairs is None else (pairs, Tally(pair_quantities(pairs, changed), clustered=clustered))
        self._which = {m.__name__: _summed(m, clustered=clustered) for m in which}

    def add(self, rows: RowValues, codes: np.ndarray) -> None:
        self.base.add(rows, groups=codes)
        if self.pairs is not None:
            self.pairs[1].add(rows, groups=codes)
        for accumulator in self._which.values():
            if isinstance(accumulator, PairedAccumulator):
                accumulator.add(rows.block.models(0, 1), rows.block.models(1, 2), groups=codes)
            else:
                accumulator.add(rows.block.models(0, 2), groups=codes)

    def slices(self, name: str, min_support: int, level: float, class_names: Sequence[str] | None) -> Iterator[Slice]:
        t = self.base
        if not len(t.rows):
            return
        total, per_slice = float(t.total(ONE).sum()), {r.name: t.summaries(r) for r in (CHURN, NEGATIVE, ACCURACY[2]) if t.has(r)}
        further = {key: a.by_group() for key, a in self._which.items()}
        has_recall = "positive" in t.quantities
        recall = t.summaries(RECALL[2]) if has_recall else None
        old_new = {of[0].name: [t.value(r) for r in of[:2]] for of in (ACCURACY, RECALL) if t.has(of[0])}
        spread = _Spread(t)
        for value, g in self.axis.numbers.items():
            if t.rows[g] < min_support or not t.total(ONE)[g] > 0:
                continue
            churn = interval(per_slice["churn"][g], level=level)
            floor = self._floor(g, level)
            p = spread.p_value(g) if floor is None else self._p_of_floor(g)
            tests = [SliceTest("churn", spread.rest(g) if floor is None else floor[0], churn.value, churn, p, 1.0)]
            accuracy = None
            if t.total("labelled")[g] > 0 and "accuracy" in old_new:
                accuracy, p = change_estimate(ACCURACY[2], t, g, level, per_slice["accuracy"][g], mid=True)
            if accuracy is not None and name != PREDICTED:  # rows chosen by the old model's answer favour the old model
                tests.append(SliceTest("accuracy", *_pair(old_new["accuracy"], g), accuracy, p, 1.0))
                if recall is not None and t.total("positive")[g] > 0:
                    change, p = change_estimate(RECALL[2], t, g, level, recall[g], mid=True)
                    tests.append(SliceTest("recall", *_pair(old_new["recall"], g), change, p, 1.0))
            yield Slice(
                column=name,
                value=name_of(int(str(value)), class_names) if name == PREDICTED else None if value is None else str(value),
                rows=int(t.rows[g]),
                share=float(t.total(ONE)[g] / total),
                churn=churn,
                negative_flips=None if not t.total("labelled")[g] > 0 else interval(per_slice["negative_flips"][g], level=level),
                accuracy_change=accuracy,
                excess=None if floor is None else floor[1],
                tests=tuple(tests),
                measures={
                    key: interval(of[g], level=level)
                    for key, of in further.items()
                    if g < len(of) and not math.isnan(of[g].value)
                },
            )

    def _floor(self, g: int, level: float = 0.95) -> tuple[float, Estimate] | None:
        """The floor of a group, and the excess of its churn."""
        if self.pairs is None:
            return None
        pairs, tally = self.pairs
        counts = np.array([tally.total(q)[g] for q in tally.quantities])
        rows = float(tally.total(ONE)[g])
        form = (pairs.cross(pairs.olds, pairs.news) - pairs.floor(pairs.olds, pairs.news)) / rows
        value = float(form @ counts)
        if abs(value) < 1e-12:  # equal counts, but for rounding
            value = 0.0
        variance = float(tally.moments.variance(np.concatenate([[-value / rows], form]))[g])
        if pairs.retrains > 1:
            variance += float(np.var(counts[1 : 1 + pairs.retrains] / rows, ddof=1)) * (1 + 1 / pairs.retrains)
        summary = Summary(value, np.full(2, value), None, variance, int(rows), units=int(tally.moments.units[g]))
        return float(pairs.floor(pairs.olds, pairs.news) @ counts) / rows, interval(summary, level=level)

    def _p_of_floor(self, g: int) -> float:
        """p-value of the churn of a group being what retraining causes."""
        if self.pairs is None:
            return 1.0
        pairs, tally = self.pairs
        counts = np.array([tally.total(q)[g] for q in tally.quantities])
        # Weighted rows count as the effective number of rows of equal weight.
        counts *= float(tally.total(ONE)[g] / tally.moments.squares[g])
        exact = 0.0 if pairs.new_retrains else slice_against_floor(float(counts[0]), counts[1:].tolist())
        if tally.clustered or tally.weighted or pairs.new_retrains:
            excess = self._floor(g)
            freedom = min(max(pairs.retrains - 1, 1), max(float(tally.moments.units[g]) - 1, 1))
            return 1.0 if excess is None else max(exact, p_of_zero(excess[1].value, excess[1].standard_error ** 2, freedom))
        return exact


class _Spread:
    """The churn of a group against that of all other rows."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._changed, self._one = tally.total("changed"), tally.total(ONE)
        self._variance = tally.variance(CHURN) if tally.clustered or tally.weighted else None

    def rest(self, g: int) -> float | None:
        """The churn of all other rows; None where there are none."""
        rest = float(self._one.sum() - self._one[g])
        return float(self._changed.sum() - self._changed[g]) / rest if rest > 0 else None

    def p_value(self, g: int) -> float:
        """Exact for rows of equal weight; with clusters or weights a t test on the sum of the variances of both parts."""
        changed, one = self._changed, self._one
        if self._variance is None:
            return hypergeometric_mid_p(round(changed[g]), round(one[g]), round(changed.sum()), round(one.sum()))
        rest = float(one.sum() - one[g])
        if not rest > 0:
            return 1.0
        others = np.arange(len(one)) != g
        weights = one[others] / rest
        of_rest = float(np.nansum(weights**2 * self._variance[others]))
        gap = float(changed[g] / one[g] - (changed.sum() - changed[g]) / rest)
        units = self._tally.moments.units
        freedom = max(min(float(units[g]), float(units[others].sum())) - 1, 1)
        own = float(self._variance[g])
        return p_of_zero(gap, own + of_rest if own > 0 else math.nan, freedom)


def _pair(values: Sequence[np.ndarray], g: int) -> tuple[float, float]:
    return float(values[0][g]), float(values[1][g])


def _summed(metric: Metric, *, clustered: bool) -> Accumulator | PairedAccumulator:
    """The sums of a measure between two models, or of the change of a measure of each.

    Raises:
        BadInput: the metric is neither a mean over rows nor a ratio of two.
    """
    if getattr(metric.definition, "forms", None) is None:
        raise BadInput(f"{metric.__name__} has no value by slice: it is neither a mean over rows nor a ratio of two such means")
    return (Accumulator if metric.definition.between_replicas else PairedAccumulator)(metric, clustered=clustered)


def worse_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Slices in which the new model is significantly worse, largest loss first."""
    return sorted((s for s in slices if s.worse), key=lambda s: s.worse[0].change.value)


def restless_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Slices whose churn is significantly above their floor, or above that of all other rows, largest first."""
    return sorted((s for s in slices if s.restless), key=lambda s: -s.churn.value)
