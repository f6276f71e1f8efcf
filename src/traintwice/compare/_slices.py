"""Changes in each group of rows, with the false discovery rate controlled over all groups and questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from traintwice.compare._changed_rows import name_of
from traintwice.compare._estimates import interval, p_of_no_change
from traintwice.compare._expressions import (
    ACCURACY,
    BETWEEN,
    MEAN_SCORE,
    ONE,
    RECALL,
    Expression,
    Form,
    Ratio,
    RowValues,
    changed,
)
from traintwice.compare._floor import Pairs, pair_quantities
from traintwice.compare._parts import PREDICTED, Slice, SliceTest
from traintwice.compare._tally import Axis, Tally
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics._accumulator import PairedAccumulator, check_groups
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._summaries import Summary
from traintwice.statistics._inference import (
    benjamini_hochberg,
    change_of_share,
    hypergeometric_mid_p,
    mcnemar,
    p_of_zero,
    slice_against_floor,
)
from traintwice.types import Estimate

CHURN, NEGATIVE = BETWEEN[:2]

QUESTIONS: tuple[tuple[Literal["accuracy", "mean score", "recall"], tuple[Ratio, Ratio, Ratio], str], ...] = (
    ("accuracy", ACCURACY, "labelled"),
    ("mean score", MEAN_SCORE, "labelled"),
    ("recall", RECALL, "positive"),
)
"""Questions asked of a slice besides churn, with the quantity of the rows that they are about."""


def change_estimate(
    ratio: Ratio, tally: Tally, g: int, level: float, summary: Summary, *, mid: bool = False
) -> tuple[Estimate, float]:
    """The change of a share of a group from old to new, and its p-value of no change.

    Rows of equal weight that are units of their own: Bonett and Price's interval and McNemar's exact p (with ``mid`` its mid-p, for
    slices); else the (cluster-robust) variance with t, its degrees of freedom from the rows (clusters) that change. With weights the
    interval is at least as wide as Bonett and Price's of as many rows of equal weight, and p at least as large as in a sign test of the
    rows that change.
    """
    found = interval(summary, level=level)
    if ratio.flips is None:
        return found, p_of_no_change(found)
    flips: Form = dict.fromkeys(ratio.flips, 1.0)
    worse, better = (float(tally.total(name)[g]) for name in flips)
    if not (tally.clustered or tally.weighted):
        low, high = change_of_share(worse, better, float(tally.total(ratio.bottom)[g]), level)
        return replace(found, low=low, high=high), mcnemar(round(worse), round(better), mid=mid)
    if worse == better == 0 and summary.units:
        low, high = change_of_share(0, 0, summary.independent, level)
        return replace(found, low=low, high=high), 1.0
    summary = replace(summary, effective_clusters=float(tally.clusters(flips)[g]))
    found, p = interval(summary, level=level), p_of_zero(summary.value, summary.example_variance, summary.freedom)
    if tally.clustered:
        return found, p
    rows = summary.independent * summary.base
    size = rows / float(tally.total(ratio.bottom)[g])
    low, high = change_of_share(worse * size, better * size, rows, level)
    return replace(found, low=min(low, found.low), high=max(high, found.high)), max(p, 2.0**-summary.freedom)


class SliceSums:
    """Sums of the rows of every slice of one group column, or of the class that the old model predicts."""

    def __init__(
        self, name: str, quantities: Mapping[str, Expression], pairs: Pairs | None, which: Sequence[Metric], *, clustered: bool
    ) -> None:
        self.name, self.axis, self.base = name, Axis(), Tally(quantities, clustered=clustered)
        self._floor = None if pairs is None else (pairs, Tally(pair_quantities(pairs, changed), clustered=clustered))
        self._which = {m.__name__: _summed(m, clustered=clustered) for m in which}

    def add(self, rows: RowValues) -> None:
        codes = self.axis.codes(to_numpy(rows.block.votes[0] if self.name == PREDICTED else rows.block.groups[self.name]))
        self.base.add(rows, groups=codes)
        if self._floor is not None:
            self._floor[1].add(rows, groups=codes)
        for accumulator in self._which.values():
            if isinstance(accumulator, PairedAccumulator):
                accumulator.add(rows.pair.models(0, 1), rows.pair.models(1, 2), groups=codes)
            else:
                accumulator.add(rows.pair, groups=codes)

    def slices(self, min_support: int, level: float, class_names: Sequence[str] | None) -> Iterator[Slice]:
        """The slices of at least ``min_support`` rows, without q-values."""
        t = self.base
        if not len(t.rows):
            return
        ones, labelled = t.total(ONE), t.total("labelled")
        summaries = {r: t.summaries(r) for r in (CHURN, NEGATIVE, ACCURACY[2], MEAN_SCORE[2], RECALL[2]) if t.has(r)}
        values = {r: t.value(r).tolist() for r in (*ACCURACY[:2], *MEAN_SCORE[:2], *RECALL[:2]) if t.has(r)}
        excesses = [] if self._floor is None else _excesses(*self._floor)
        further = {key: a.by_group() for key, a in self._which.items()}
        exact = not (t.clustered or t.weighted)
        variance = None if exact else np.array([s.example_variance for s in summaries[CHURN]])
        for value, g in self.axis.numbers.items():
            if t.rows[g] < min_support or not ones[g] > 0:
                continue
            churn, excess = interval(summaries[CHURN][g], level=level), None
            if self._floor is None:
                against, p = _against_the_rest(t, variance, g)
            else:
                against, excess, p = _against_floor(*self._floor, g, level, excesses[g])
            tests = [SliceTest("churn", against, churn.value, churn, p, 1.0)]
            accuracy = lost = None
            if labelled[g] > 0:
                lost = interval(summaries[NEGATIVE][g], level=level)
            for question, (old, new, change), rows in QUESTIONS:
                if not (t.has(change) and t.total(rows)[g] > 0):
                    continue
                estimate, p = change_estimate(change, t, g, level, summaries[change][g], mid=True)
                if question != "recall":
                    accuracy = estimate
                if self.name != PREDICTED:  # rows chosen by the old model's answer favour the old model
                    tests.append(SliceTest(question, values[old][g], values[new][g], estimate, p, 1.0))
            text = None if value is None else str(value)
            yield Slice(
                column=self.name,
                value=name_of(int(str(value)), class_names) if self.name == PREDICTED else text,
                rows=int(t.rows[g]),
                share=float(ones[g] / ones.sum()),
                churn=churn,
                negative_flips=lost,
                accuracy_change=accuracy,
                excess=excess,
                tests=tuple(tests),
                measures={
                    key: interval(of[g], level=level)
                    for key, of in further.items()
                    if g < len(of) and not math.isnan(of[g].value)
                },
            )


def slices_of(
    columns: Sequence[SliceSums], min_support: int, level: float, class_names: Sequence[str] | None
) -> tuple[dict[str, tuple[Slice, ...]], int]:
    """Slices of at least ``min_support`` rows by column, significant ones first by size of effect; how many have fewer rows."""
    found = {column.name: list(column.slices(min_support, level, class_names)) for column in columns}
    return with_q_values(found), sum(len(column.axis.numbers) - len(found[column.name]) for column in columns)


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


def _excesses(pairs: Pairs, t: Tally) -> list[Summary]:
    """The churn less the floor of every group."""
    form = pairs.cross(pairs.olds, pairs.news) - pairs.floor(pairs.olds, pairs.news)
    top = dict(zip(t.quantities, form.tolist(), strict=True))
    return t.summaries(Ratio("", "", top, {ONE: 1.0}, scale="plain", share=False, most=math.inf))


def _against_floor(pairs: Pairs, t: Tally, g: int, level: float, s: Summary) -> tuple[float, Estimate, float]:
    """The floor of a group, the excess of its churn (also as a summary), and the p-value of that being what retraining causes."""
    counts, rows, units = np.array([t.total(q)[g] for q in t.quantities]), float(t.total(ONE)[g]), s.units or 1
    value, variance = s.value, s.example_variance
    if abs(value) < 1e-12:  # equal counts, but for rounding
        value = 0.0
    if pairs.retrains > 1:
        variance += float(np.var(counts[1 : 1 + pairs.retrains] / rows, ddof=1)) * (1 + 1 / pairs.retrains)
    both = np.full(2, value)
    excess = interval(replace(s, value=value, rows=both, example_variance=variance, clustered=False), level=level)
    # Weighted rows count as the effective number of rows of equal weight.
    effective = counts * rows / float(t.moments.squares[g])
    p = 0.0 if pairs.new_retrains else slice_against_floor(float(effective[0]), effective[1:].tolist())
    if t.clustered or t.weighted or pairs.new_retrains:
        p = max(p, p_of_zero(value, variance, min(max(pairs.retrains - 1, 1), units - 1)))
    return float(pairs.floor(pairs.olds, pairs.news) @ counts) / rows, excess, p


def _against_the_rest(t: Tally, variance: np.ndarray | None, g: int) -> tuple[float | None, float]:
    """The churn of all other rows, None where there are none, and the p-value of that of a group being the same.

    Exact for rows of equal weight; with clusters or weights, a t test on the sum of the variances of both parts.
    """
    changed, one = t.total("changed"), t.total(ONE)
    rest = float(one.sum() - one[g])
    churn = float(changed.sum() - changed[g]) / rest if rest > 0 else None
    if variance is None:
        return churn, hypergeometric_mid_p(round(changed[g]), round(one[g]), round(changed.sum()), round(one.sum()))
    if churn is None:
        return None, 1.0
    others, units, overall = np.arange(len(one)) != g, t.moments.units, float(changed.sum() / one.sum())
    # Where no unit of a group, or each, changes, or there is one unit, the variance is that of the share of all rows.
    variance = np.where(variance > 0, variance, overall * (1 - overall) / np.maximum(units, 1))
    of_rest = float(np.nansum((one[others] / rest) ** 2 * variance[others]))
    freedom = min(float(units[g]), float(units[others].sum())) - 1
    return churn, p_of_zero(float(changed[g] / one[g]) - churn, float(variance[g]) + of_rest, freedom)


def _summed(metric: Metric, *, clustered: bool) -> Accumulator | PairedAccumulator:
    """The sums of a measure between two models, or of the change of a measure of each; raise `BadInput` where it has none."""
    check_groups(metric.definition)
    return (Accumulator if metric.definition.between_replicas else PairedAccumulator)(metric, clustered=clustered)


def worse_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Slices in which the new model is significantly worse, largest loss first."""
    return sorted((s for s in slices if s.worse), key=lambda s: s.worse[0].change.value)


def restless_slices(slices: Sequence[Slice]) -> list[Slice]:
    """Slices whose churn is significantly above their floor, or above that of all other rows, largest first."""
    return sorted((s for s in slices if s.restless), key=lambda s: -s.churn.value)
