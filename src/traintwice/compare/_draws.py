"""Two models that answer each item several times: whether they differ by more than each differs from itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from traintwice.compare._answers import floor_answer, quality_answer, slices_answer
from traintwice.compare._changed_rows import Ranked, largest, name_of, plain_id
from traintwice.compare._estimates import interval, p_of_no_change
from traintwice.compare._expressions import ACCURACY, ONE, Ratio
from traintwice.compare._floor import judged
from traintwice.compare._inputs import DiffOptions, warnings_of_rows
from traintwice.compare._parts import ChangedRow, NoiseFloor, Slice, SliceTest
from traintwice.compare._results import Diff, Quality, wording
from traintwice.compare._slices import with_q_values
from traintwice.compare._soft_measures import measured
from traintwice.compare._tally import Axis, Tally
from traintwice.errors import BadInput
from traintwice.predictions import DrawBlock, Rows
from traintwice.statistics._inference import Part, half_width
from traintwice.types import Estimate

QUANTITIES = (
    *("cross", "within", "lost", "won", "lost_within", "labelled", "right_0", "right_1"),
    *("twice", "cross_twice", "lost_twice", "labelled_twice"),
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

    with p_c and q_c the shares of R draws of each model with class c. Where draws have scores, lost is P(score of the new model is lower).
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
    lost, won, lost_within = block.flips or (
        right[0] * (known - right[1]),
        right[1] * (known - right[0]),
        sum(u * r * (known - r) for u, r in zip(unbiased, right, strict=True)) / 2,
    )
    found = (cross, within, lost, won, lost_within * twice, known, *right, twice, cross * twice, lost * twice, known & twice)
    return [np.asarray(f, dtype=np.float64) for f in found]


def compare_draws(rows: Rows, options: DiffOptions) -> Diff:
    """The comparison of two models whose rows are repeated draws of items; intervals are over new items, or clusters of items."""
    if options.pairs is not None:
        raise BadInput("--draws and --floor exclude each other: with draws a model's own disagreement is the floor")
    clustered, level = rows.clusters is not None, options.level
    t = Tally(dict.fromkeys(QUANTITIES), clustered=clustered)
    columns = {name: (Axis(), Tally(dict.fromkeys(QUANTITIES), clustered=clustered)) for name in rows.groups}
    listed: Ranked = []
    seen = lost_items = 0
    graded = False
    for block in rows.items():
        values, clusters, graded = item_quantities(block), block.clusters if clustered else None, block.graded
        t.put(values, block.weights, clusters=clusters)
        for name, (axis, of_column) in columns.items():
            of_column.put(values, block.weights, groups=axis.codes(block.groups[name]), clusters=clusters)
        fall = values[QUANTITIES.index("right_0")] - values[QUANTITIES.index("right_1")]
        lost_items += int((fall > 0).sum())
        listed = largest(listed, fall, partial(_row, block, seen, values, rows), options.listed)
        seen += len(fall)
    if not t.rows.sum():
        raise BadInput("no rows are left to compare")
    if not t.total("twice").sum():
        raise BadInput("draws: no item has two draws of both models, so that how much a model differs from itself is not known")
    question: Literal["accuracy", "mean score"] = "mean score" if graded else "accuracy"
    found = {name: list(_slices(name, *column, options, question)) for name, column in columns.items()}
    few = sum(len(axis.numbers) - len(found[name]) for name, (axis, _) in columns.items())
    slices = with_q_values(found)
    labelled = bool(t.total("labelled").sum())
    measures = {
        r.name: measured(r, interval(t.summaries(r)[0], level=level)) for r in ((CHURN, LOST, WON) if labelled else (CHURN,))
    }
    floors = {names[0].name: _floor(t, *names, options) for names in (FLOORS if labelled else FLOORS[:1])}
    quality = (_quality(t, level, question),) if labelled else ()
    every = tuple(s for name, part in slices.items() for s in part if name != rows.time_axis)
    left_out = {"accuracy": "answers have scores between 0 and 1, with a mean_score"} if graded else {}
    if not labelled:
        left_out = dict.fromkeys(("accuracy", "negative_flips", "positive_flips"), "needs labels")
    outcomes = None if rows.outcomes is None else "graded" if graded else "outcomes"
    words = wording(outcomes, draws=True)
    return Diff(
        alignment=rows.summary,
        level=level,
        effective_rows=float(t.total(ONE).sum()) ** 2 / float(t.moments.squares.sum()) if t.weighted else None,
        answers=(
            quality_answer(quality, level, options.same_within),
            floor_answer("regressions", floors.get("negative_flips"), measures.get("negative_flips"), "needs labels", words),
            floor_answer("disagreement", floors["churn"], measures["churn"], "no value", words),
            slices_answer(every, asked=bool(slices)),
        ),
        quality=quality,
        measures=tuple(measures.values()),
        floors=tuple(floors.values()),
        slices=every,
        periods=slices.get(rows.time_axis or "", ()),
        slices_left_out=few,
        min_support=options.min_support,
        regressed=tuple(row for _, row in listed),
        regressed_rows=lost_items,
        no_rows=options.no_rows,
        left_out=left_out,
        waived=rows.waived,
        outcomes=outcomes,
        warnings=tuple(warnings_of_rows(rows.summary)),
    )


def _quality(t: Tally, level: float, title: str, g: int = 0) -> Quality:
    old, new, change = (interval(replace(t.summaries(r)[g], share=False), level=level) for r in ACCURACY)
    return Quality(title.replace(" ", "_"), title, "fraction", old, new, change, p_of_no_change(change), True)


def _floor(t: Tally, ratio: Ratio, cross: str, within: str, items: str, options: DiffOptions, g: int = 0) -> NoiseFloor:
    """The measure between models over that within each of them, on the log scale."""
    n, between, own = (float(t.total(name)[g]) for name in (items, cross, within))
    s = t.summaries(Ratio("", "", {cross: 1.0}, {within: 1.0}, share=False))[g]
    units = s.units or 1
    variance = s.example_variance / s.value**2 if s.value > 0 else math.nan  # of the logarithm
    half = half_width((Part(variance, units - 1),), options.level) if not math.isnan(variance) else math.nan
    value = between / own if own > 0 else math.nan if between == 0 else math.inf
    low, high = (value * math.exp(-half), value * math.exp(half)) if math.isfinite(half) else (math.nan, math.nan)
    rows = round(n)
    of_ratio = Estimate(value, low, high, math.sqrt(variance) * value, 2, rows, options.level, "examples", units)
    excess = interval(
        t.summaries(Ratio("", "", {cross: 1.0, within: -1.0}, {items: 1.0}, scale="plain", share=False))[g], level=options.level
    )
    title, verdict = ratio.title.removesuffix(" between draws"), judged(low, high, options.margin)
    reason = f"{title} between draws of the two models against draws of one model"
    if own == 0:
        reason = "two draws never differ" if between == 0 else "two draws of one model never differ"
        verdict = "within noise" if between == 0 else "beyond noise" if excess.low > 0 else verdict
    return NoiseFloor(
        name=ratio.name,
        title=title,
        unit="fraction",
        retrains=0,
        new_retrains=0,
        value=between / n,
        floor=own / n,
        ratio=of_ratio,
        excess=excess,
        each=(),
        within_old=None,
        within_new=None,
        verdict=verdict,
        margin=options.margin,
        more_retrains=0,
        reason=reason,
    )


def _slices(
    name: str, axis: Axis, t: Tally, options: DiffOptions, question: Literal["accuracy", "mean score"]
) -> Iterator[Slice]:
    total = float(t.total(ONE).sum())
    for value, g in axis.numbers.items():
        if t.rows[g] < options.min_support or not t.total("twice")[g] > 0:
            continue
        churn = interval(t.summaries(CHURN)[g], level=options.level)
        floor = _floor(t, *FLOORS[0], options, g)
        tests = [SliceTest("churn", floor.floor, floor.value, churn, p_of_no_change(floor.excess), 1.0)]
        change = lost = None
        if t.total("labelled")[g] > 0:
            quality = _quality(t, options.level, question, g)
            change, lost = quality.change, interval(t.summaries(LOST)[g], level=options.level)
            tests.append(SliceTest(question, quality.old.value, quality.new.value, change, quality.p_value or 0.0, 1.0))
        yield Slice(
            column=name,
            value=None if value is None else str(value),
            rows=int(t.rows[g]),
            share=float(t.total(ONE)[g] / total),
            churn=churn,
            negative_flips=lost,
            accuracy_change=change,
            excess=floor.excess,
            tests=tuple(tests),
            measures={},
        )


def _row(block: DrawBlock, seen: int, values: Sequence[np.ndarray], rows: Rows, n: int) -> ChangedRow:
    of: dict[str, Any] = dict(zip(QUANTITIES, values, strict=True))
    many = [int(c[n].sum()) for c in block.counts]
    means = [float(of[f"right_{m}"][n]) for m in (0, 1)]
    old, new = (f"{mean:.2f}" if block.graded else f"{round(mean * r)} of {r} right" for mean, r in zip(means, many, strict=True))
    label = -1 if block.right is not None else int(block.labels[n])  # scores have no label
    further = {name: None if values[n] is None else str(values[n]) for name, values in block.shown.items()}
    shown, far = None if label < 0 else name_of(label, rows.class_names), float(of["cross"][n])
    return ChangedRow(plain_id(block.ids[n]), seen + n, old, new, None, None, shown, far, None, further)
