"""Two models that answer each item several times: whether they differ by more than each differs from itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from traintwice.compare._answers import floor_answer, quality_answer, slices_answer
from traintwice.compare._changed_rows import plain_id
from traintwice.compare._collect import DiffOptions
from traintwice.compare._estimates import interval
from traintwice.compare._expressions import ACCURACY, ONE, Form, Ratio
from traintwice.compare._floor import judged
from traintwice.compare._parts import ChangedRow, NoiseFloor, Slice, SliceTest
from traintwice.compare._results import Diff, Measured, Quality, wording
from traintwice.compare._slices import with_q_values
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.predictions import DrawBlock, Rows
from traintwice.statistics._intervals import Part, half_width
from traintwice.statistics._significance import p_of_zero
from traintwice.types import Estimate

QUANTITIES = (
    "cross",
    "within",
    "lost",
    "won",
    "lost_within",
    "labelled",
    "right_0",
    "right_1",
    "twice",
    "cross_twice",
    "lost_twice",
    "labelled_twice",
)
"""Summed over items: the chance that a draw of one model differs from a draw of the other, or of the same model; of right and wrong."""

CHURN = Ratio("churn", "churn between draws", {"cross": 1.0}, {ONE: 1.0}, share=False)
LOST = Ratio("negative_flips", "negative flips between draws", {"lost": 1.0}, {"labelled": 1.0}, share=False)
WON = Ratio("positive_flips", "positive flips between draws", {"won": 1.0}, {"labelled": 1.0}, share=False)

FLOORS: tuple[tuple[Ratio, str, str, str], ...] = (
    (CHURN, "cross_twice", "within", "twice"),
    (LOST, "lost_twice", "lost_within", "labelled_twice"),
)
"""A measure between models, with the sums of itself, of its floor, and of items, over the items that both models answer twice."""


def item_quantities(block: DrawBlock) -> list[np.ndarray]:
    """What `QUANTITIES` names, for each item.

        cross = 1 − Σ_c p_c q_c;   within = mean over the models of R/(R − 1) · (1 − Σ_c p_c²);   lost = P(right) · P(other wrong)

    with p_c and q_c the shares of R draws of each model with class c.
    """
    draws = [np.asarray(c.sum(axis=1), dtype=np.float64) for c in block.counts]
    shares = [c / np.maximum(r, 1)[:, None] for c, r in zip(block.counts, draws, strict=True)]
    labels = block.labels
    known = labels >= 0
    columns = np.minimum(np.maximum(labels, 0), shares[0].shape[1] - 1)
    right = block.right or [np.where(known, s[np.arange(len(columns)), columns], 0.0) for s in shares]
    twice = (draws[0] > 1) & (draws[1] > 1)
    unbiased = [np.where(twice, r / np.maximum(r - 1, 1), 0.0) for r in draws]
    cross = 1 - (shares[0] * shares[1]).sum(axis=1)
    within = sum(u * (1 - (s * s).sum(axis=1)) for u, s in zip(unbiased, shares, strict=True)) / 2
    if block.graded:  # scores between 0 and 1 are not right or wrong
        right = [np.zeros_like(cross) for _ in right]
    lost, won = right[0] * (known - right[1]), right[1] * (known - right[0])
    lost_within = sum(u * r * (known - r) for u, r in zip(unbiased, right, strict=True)) / 2
    scores = block.right if block.graded and block.right else right
    found = (cross, within, lost, won, lost_within, known, *scores, twice, cross * twice, lost * twice, known & twice)
    return [np.asarray(f, dtype=np.float64) for f in found]


@dataclass(frozen=True)
class _Column:
    axis: Axis
    tally: Tally


def compare_draws(rows: Rows, options: DiffOptions) -> Diff:
    """The comparison of two models whose rows are repeated draws of items.

    Excess of an item: cross − (within old + within new)/2; intervals are over new items (clusters of items) alone.

    Raises:
        BadInput: retrains are given too; no item has two draws of both models.
    """
    if options.pairs is not None:
        raise BadInput("--draws and --floor exclude each other: with draws a model's own disagreement is the floor")
    clustered = rows.clusters is not None
    tally = _tally(clustered)
    by = {name: _Column(Axis(), _tally(clustered)) for name in rows.groups}
    lists: list[tuple[float, ChangedRow]] = []
    seen = lost_items = 0
    graded = False
    for block in rows.items():
        values, graded = item_quantities(block), block.graded
        tally.put(values, block.weights, clusters=block.clusters if clustered else None)
        for name, column in by.items():
            codes = column.axis.codes(block.groups[name])
            column.tally.put(values, block.weights, groups=codes, clusters=block.clusters if clustered else None)
        fall = values[QUANTITIES.index("right_0")] - values[QUANTITIES.index("right_1")]
        lost_items += int((fall > 0).sum())
        fresh = [
            (float(fall[n]), _row(block, int(n), seen, values, rows))
            for n in np.argsort(-fall, kind="stable")[: options.listed]
            if fall[n] > 0
        ]
        lists = sorted([*lists, *fresh], key=lambda item: (-item[0], item[1].position))[: options.listed]
        seen += len(values[0])
    if not tally.rows.sum():
        raise BadInput("no rows are left to compare")
    if not tally.total("twice").sum():
        raise BadInput("draws: no item has two draws of both models, so that how much a model differs from itself is not known")
    slices, few = _slices(by, options)
    return _result(rows, options, tally, slices, few, lists, lost_items, graded=graded)


def _tally(clustered: bool) -> Tally:
    return Tally(dict.fromkeys(QUANTITIES), clustered=clustered)


def _result(
    rows: Rows,
    options: DiffOptions,
    t: Tally,
    slices: Mapping[str, tuple[Slice, ...]],
    few: int,
    lists: Sequence[tuple[float, ChangedRow]],
    lost_items: int,
    *,
    graded: bool,
) -> Diff:
    level = options.level
    labelled = bool(t.total("labelled").sum())
    flips = labelled and not graded
    measures = [_measured(t, r, level) for r in (CHURN, LOST, WON) if r is CHURN or flips]
    floors = [_floor(t, *names, options) for names in FLOORS if names[0] is CHURN or flips]
    quality = [_accuracy(t, level)] if labelled else []
    if graded:
        quality = [replace(q, name="mean_score", title="mean score") for q in quality]
    reason = "answers have scores between 0 and 1" if graded else "needs labels"
    left_out = {} if flips else dict.fromkeys(("accuracy", "negative_flips", "positive_flips"), reason)
    every = tuple(s for name, part in slices.items() for s in part if name != rows.time_axis)
    by_name, of_floor = {m.name: m for m in measures}, {f.name: f for f in floors}
    outcomes = None if rows.outcomes is None else "graded" if graded else "outcomes"
    words = wording(outcomes)
    answers = (
        quality_answer(quality, level, options.same_within),
        floor_answer("regressions", of_floor.get("negative_flips"), by_name.get("negative_flips"), reason, words),
        floor_answer("disagreement", of_floor["churn"], by_name["churn"], "no value", words),
        slices_answer(every, asked=bool(slices)),
    )
    squares = float(t.moments.squares.sum())
    return Diff(
        alignment=rows.summary, level=level, effective_rows=float(t.total(ONE).sum()) ** 2 / squares if t.weighted else None,
        regression=False, answers=answers, quality=tuple(quality), measures=tuple(measures), bounds={}, calibration=(),
        floors=tuple(floors), identical=(), flow=None, confidence=(), scores=(), joint=None, movement=None, decisions=(),
        swap_sets=(), slices=every, predicted=(), periods=slices.get(rows.time_axis or "", ()), slices_left_out=few,
        min_support=options.min_support, regressed=tuple(row for _, row in lists), regressed_rows=lost_items, largest_changes=(),
        reviews=(), matched=None, no_rows=options.no_rows, warnings=(), left_out=left_out, infinite={}, waived=rows.waived,
        outcomes=outcomes,
    )  # fmt: skip


def _measured(t: Tally, ratio: Ratio, level: float) -> Measured:
    return Measured(ratio.name, ratio.title, ratio.unit, False, interval(t.summaries(ratio)[0], level=level))


def _accuracy(t: Tally, level: float, g: int = 0) -> Quality:
    old, new, change = (interval(replace(t.summaries(r)[g], share=False), level=level) for r in ACCURACY)
    p = p_of_zero(change.value, change.standard_error**2, max((change.units or 2) - 1, 1))
    return Quality("accuracy", "accuracy", "fraction", old, new, change, p, True)


def _floor(t: Tally, ratio: Ratio, cross: str, within: str, items: str, options: DiffOptions, g: int = 0) -> NoiseFloor:
    """The measure between models over that within each of them, on the log scale."""
    n, between, own = (float(t.total(name)[g]) for name in (items, cross, within))
    units = int(t.moments.units[g])
    gradient: Form = {cross: 1 / between, within: -1 / own} if between > 0 and own > 0 else {}
    variance = float(t.moments.variance(t.vector(gradient))[g]) if gradient else math.nan
    half = half_width((Part(variance, max(units - 1, 1)),), options.level) if not math.isnan(variance) else math.nan
    value = between / own if own > 0 else math.nan if between == 0 else math.inf
    low, high = (value * math.exp(-half), value * math.exp(half)) if math.isfinite(half) else (math.nan, math.nan)
    rows = round(n)
    of_ratio = Estimate(value, low, high, math.sqrt(variance) * value, 2, rows, options.level, "examples", units)
    excess = interval(
        t.summaries(Ratio("", "", {cross: 1.0, within: -1.0}, {items: 1.0}, scale="plain", share=False))[g], level=options.level
    )
    verdict = "beyond noise" if own == 0 and excess.low > 0 else judged(low, high, options.margin)
    title = ratio.title.removesuffix(" between draws")
    reason = f"{title} between draws of the two models against draws of one model"
    return NoiseFloor(
        ratio.name, title, "fraction", 0, 0, between / n, own / n, of_ratio, excess, (), None, None, verdict, options.margin, 0, reason
    )  # fmt: skip


def _slices(by: Mapping[str, _Column], options: DiffOptions) -> tuple[dict[str, tuple[Slice, ...]], int]:
    found = {name: list(_of_column(name, c, options)) for name, c in by.items()}
    few = sum(len(c.axis.numbers) - len(found[name]) for name, c in by.items())
    return with_q_values(found), few


def _of_column(name: str, column: _Column, options: DiffOptions) -> Iterator[Slice]:
    t, total = column.tally, float(column.tally.total(ONE).sum())
    for value, g in column.axis.numbers.items():
        if t.rows[g] < options.min_support or not t.total("twice")[g] > 0:
            continue
        churn = interval(t.summaries(CHURN)[g], level=options.level)
        floor = _floor(t, *FLOORS[0], options, g)
        p = p_of_zero(floor.excess.value, floor.excess.standard_error**2, max(int(t.moments.units[g]) - 1, 1))
        tests = [SliceTest("churn", floor.floor, floor.value, churn, p, 1.0)]
        change = lost = None
        if t.total("labelled")[g] > 0:
            quality = _accuracy(t, options.level, g)
            change, lost = quality.change, interval(t.summaries(LOST)[g], level=options.level)
            tests.append(SliceTest("accuracy", quality.old.value, quality.new.value, change, quality.p_value or 0.0, 1.0))
        text = None if value is None else str(value)
        yield Slice(
            name, text, int(t.rows[g]), float(t.total(ONE)[g] / total), churn, lost, change, floor.excess, tuple(tests), {}
        )


def _row(block: DrawBlock, n: int, seen: int, values: Sequence[np.ndarray], rows: Rows) -> ChangedRow:
    of: dict[str, Any] = dict(zip(QUANTITIES, values, strict=True))
    many = [int(c[n].sum()) for c in block.counts]
    old, new = (f"{round(of[f'right_{m}'][n] * many[m])} of {many[m]} right" for m in (0, 1))
    names = rows.class_names
    label = int(block.labels[n])
    further = {name: None if values[n] is None else str(values[n]) for name, values in block.shown.items()}
    shown = None if label < 0 else names[label] if names is not None else str(label)
    id_of = plain_id(block.ids[n])
    return ChangedRow(id_of, seen + n, old, new, None, None, shown, float(of["cross"][n]), None, further)
