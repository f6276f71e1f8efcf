"""One old model against one new model: whether it is worse, what changed, where, and whether that is more than retraining causes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from traintwice._files import refuse_overwriting
from traintwice._typed import typed
from traintwice.compare._answer_types import Answer, NoiseFloor
from traintwice.compare._answers import SAME_WITHIN, floor_answer, operating_answer, quality_answer, slices_answer
from traintwice.compare._arguments import check_level
from traintwice.compare._changed_rows import check_rows_file, write_rows
from traintwice.compare._collect import DiffAccumulator
from traintwice.compare._diff_sql import DiffSQL, can_be_left_to_sql
from traintwice.compare._draws import compare_draws
from traintwice.compare._estimates import interval
from traintwice.compare._floor import MARGIN, Pairs
from traintwice.compare._ledger import LAST, Ledger
from traintwice.compare._ledger_floor import opened_for, with_usual_changes
from traintwice.compare._matched import SOFT
from traintwice.compare._operating import check_thresholds, check_top_k
from traintwice.compare._options import RANKED, DiffOptions, distinct
from traintwice.compare._pair_measures import higher_is_better, measured, non_streaming
from traintwice.compare._results import (
    PREDICTED,
    Diff,
    Measured,
    Quality,
    Slice,
    TemperatureMatched,
)
from traintwice.compare._slices import SliceOptions, change_estimate
from traintwice.compare._tally import ACCURACY, BETWEEN, PRECISION, RECALL, Ratio
from traintwice.compare._wording import wording
from traintwice.errors import BadInput, TraintwiceError, cells_kept_out
from traintwice.metrics import Metric
from traintwice.predictions._inputs import one_model
from traintwice.predictions._reading import Reading
from traintwice.predictions._rows import Rows, items_of, open_rows
from traintwice.statistics._significance import p_of_zero
from traintwice.types import Estimate

FEW_EFFECTIVE_ROWS = 100
"""Below so many effective rows, weights leave too little to rely on."""


@typed
def diff(
    old: Any,
    new: Any,
    *,
    floor: Any = (),
    new_floor: Any = (),
    which: Sequence[Metric | str] = (),
    by_slice: Sequence[Metric | str] = (),
    thresholds: Sequence[float] = (),
    top_k: Sequence[float] = (),
    rank: bool = False,
    temperature_matched: bool = False,
    level: float = 0.95,
    margin: float = MARGIN,
    same_within: float = SAME_WITHIN,
    min_support: int = 100,
    listed: int = 20,
    rows_file: str | Path | None = None,
    no_rows: bool = False,
    waive: Collection[str | int] = (),
    details: bool | None = None,
    ledger: str | Path | Ledger | None = None,
    last: int = LAST,
    other_rows: bool = False,
    **reading: Unpack[Reading],
) -> Diff:
    r"""Compare the predictions of two models row by row.

    Args:
        old, new: each a file of predictions, a table, an array (``N K`` probabilities, ``N`` predicted labels, or ``N`` numbers in
            [0, 1] of a binary model), or `Predictions` of one model.
        floor: retrains of the old recipe: a glob, a directory, or a list of such or of arrays. Four or more are worth having.
            "ledger": the launches of ``ledger`` are the floor, see `usual_changes`.
        new_floor: retrains of the new recipe.
        which: further measures, or their names, from `traintwice.metrics`.
        by_slice: measures of every slice.
        thresholds: decisions "probability of the positive class >= t" of a binary model.
        top_k: swap sets of the k highest scores of a binary model: numbers of rows, or shares below 1.
        rank: also measures that need an order of all rows (AUC, Kendall's tau): reads all rows into memory.
        temperature_matched: also soft measures after each model was brought to its best temperature.
        level: nominal coverage of intervals.
        margin: the smallest ratio to the noise floor that matters; "within noise" means that the ratio is significantly below it.
        same_within: the largest change of accuracy that does not matter; of other measures of quality, as a share of the old value.
        min_support: the least rows of a slice.
        listed: how many regressed rows, and rows that moved most, are kept.
        rows_file: a Parquet file to write every row to, with old and new class, distance and instability.
        no_rows: keep ids and rows out of the result, and the contents of cells out of errors.
        waive: ids of rows that do not count.
        details: None leaves two unweighted binary models, or predicted labels, of two million rows or more to DuckDB, which is many
            times faster and leaves out what needs the rows (``left_out`` names it). True never does, False does at any size.
        ledger: a file to which the comparison is appended as one line, see `history`.
        last, other_rows: with ``floor="ledger"``: how many launches are the floor at most; also those on other rows.
        reading: which columns are what, see `open_predictions`; ``show`` names columns that are kept with the listed rows. With arrays,
            id, label, weight, cluster and draws are arrays, and by and show mappings from names to arrays.
    Returns:
        A `Diff`. Intervals are about these two models and new rows (new clusters of rows); those of a ratio to a floor also about new
        retrains, given this old model.
    Raises:
        BadInput: see `open_predictions`; ``new_floor`` without ``floor``; options out of range.
    Source:
        docs/concepts/definitions.md.
    Example:
        >>> d = diff(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]), label=np.array([0, 1, 0, 1]))
        >>> d["churn"].value, d["negative_flips"].value, d["accuracy"].value
        (0.5, 0.25, 0.0)
    """
    opened = opened_for(floor, ledger, last, other_rows)
    of_ledger = isinstance(floor, str) and floor == "ledger"
    models = [[_one(old, "old")], [_one(new, "new")], [] if of_ledger else _several(floor), _several(new_floor)]
    _check(models, level, margin, same_within, min_support, listed)
    further = distinct(which)
    one_pass = [m for m in further if m.definition.one_pass]
    counted = {r.name for r in BETWEEN} | {"accuracy", "recall", "precision"}
    between = [m for m in one_pass if m.definition.between_replicas and m.__name__ not in counted]
    quality = [m for m in one_pass if not m.definition.between_replicas and m.__name__ not in counted]
    options = DiffOptions(
        which=tuple(between),
        quality=tuple(quality),
        whole=distinct([*(RANKED if rank else ()), *[m for m in further if not m.definition.one_pass]]),
        thresholds=check_thresholds(thresholds),
        top_k=check_top_k(top_k),
        level=level,
        min_support=min_support,
        temperature_matched=temperature_matched,
        listed=0 if no_rows else listed,
        no_rows=no_rows,
        margin=margin,
        same_within=same_within,
        by_slice=distinct(by_slice),
        pairs=Pairs(len(models[2]), len(models[3])) if models[2] else None,
    )
    if rows_file is not None:
        rows_file = check_rows_file(rows_file)
        refuse_overwriting({"rows_file": rows_file}, [model for group in models for model in group])
    names = ["old", "new", *[f"retrain {i + 1} of old" for i in range(len(models[2]))]]
    names += [f"retrain {i + 1} of new" for i in range(len(models[3]))]
    every = [model for group in models for model in group]
    if no_rows:
        reading.pop("show", None)
    with cells_kept_out(no_rows), open_rows(every, names, **reading) as rows:
        if no_rows and rows.files is not None and (shown := set(rows.files.id_columns) & set(rows.files.groups)):
            raise BadInput(f"by: {', '.join(sorted(shown))} is an id, which no_rows (--no-rows) hides; group by another column")
        rows.waive = frozenset(str(i) for i in waive)
        if opened is not None:
            opened.begin(rows, [old, new])
        found = compare_rows(rows, options, details)
        if opened is not None and of_ledger:
            found = with_usual_changes(found, opened, margin)
        if rows_file is not None:
            write_rows(rows, rows_file, [0, *range(2, 2 + len(models[2]))])
    if opened is not None and opened is not ledger:
        opened.append(found)
    return found


def compare_rows(rows: Rows, options: DiffOptions, details: bool | None = None) -> Diff:
    """The comparison of the first two models of opened rows, those after them being retrains."""
    if rows.has_draws:
        return compare_draws(rows, options)
    if rows.files is not None and can_be_left_to_sql(rows, rows.files, options, details):
        return result_of(DiffSQL(rows, rows.files, options), rows, options)
    gathered = DiffAccumulator(rows, options)
    for block in rows.blocks():
        gathered.add(block)
    if not gathered.rows:
        raise BadInput("no rows are left to compare")
    return result_of(gathered, rows, options)


def result_of(g: DiffAccumulator, rows: Rows, options: DiffOptions) -> Diff:
    """The result of a comparison whose rows were seen."""
    level, names, words = options.level, rows.class_names, wording(rows.outcomes)
    identical = tuple(tuple(rows.summary.files[m] for m in group) for group in g.copies())
    copies = _copies_in_words(g.copies(), rows.summary.files)
    quality = [*_counted_quality(g, level), *g.measures.quality()]
    between = [*_counted_measures(g, level), *g.measures.measures()]
    left_out = g.left_out
    if options.whole:
        more_quality, more, without = non_streaming(rows.read().models(0, 2), options.whole, level)
        quality, between, left_out = quality + more_quality, between + more, left_out | without
    bounds = g.measures.bounds()
    if not rows.regression and g.base.has(ACCURACY[0]) and g.base.total("labelled").sum() == g.base.total("one").sum():
        bounds["lemma_1"] = 2.0 - float(g.base.value(ACCURACY[0])[0]) - float(g.base.value(ACCURACY[1])[0])
    slices: dict[str, tuple[Slice, ...]] = {}
    few = 0
    if g.slices is not None:
        slices, few = g.slices.result(SliceOptions(options.min_support, level, names))
    floors: dict[str, NoiseFloor] = {}
    if g.floors is not None:
        labelled = 0.0 if rows.regression else float(g.base.total("labelled").sum())
        floors = g.floors.result(labelled, g.weight / g.rows, level, options.margin, copies, words)
    by = {name: s for name, s in slices.items() if name not in (PREDICTED, rows.time_axis)}
    reviews = () if g.reviews is None else g.reviews.result()
    if g.reviews is not None and not reviews:
        left_out["reviews"] = "no label changed"
    matched = _matched(g, level, left_out)
    shown_floors = tuple(f for name, f in floors.items() if not name.startswith("decisions"))
    found = Diff(
        alignment=rows.summary,
        level=level,
        effective_rows=g.weight**2 / g.squares if g.squares != g.rows and g.squares else None,
        regression=rows.regression,
        answers=(),
        quality=tuple(quality),
        measures=tuple(between),
        bounds=bounds,
        calibration=g.measures.calibration(),
        floors=shown_floors,
        identical=identical,
        flow=None if g.flow is None else g.flow.result(rows.classes, names),
        confidence=() if g.confidence is None else g.confidence.result(),
        scores=() if g.scores is None else g.scores.result(),
        joint=None if g.joint is None else g.joint.result(),
        movement=None if g.movement is None else g.movement.result(_beyond(g, level)),
        decisions=g.decisions.result(level, floors),
        swap_sets=() if g.top is None else g.top.result(options.pairs, level, options.margin, copies, words),
        slices=tuple(s for column in by.values() for s in column),
        predicted=slices.get(PREDICTED, ()),
        periods=tuple(sorted(slices.get(rows.time_axis or "", ()), key=lambda s: s.value or "")),
        slices_left_out=few,
        min_support=options.min_support,
        regressed=g.regressed.result(),
        regressed_rows=g.regressed_rows,
        largest_changes=g.largest.result(),
        reviews=reviews,
        matched=matched,
        no_rows=options.no_rows,
        warnings=tuple(_warnings(g, identical)),
        left_out=g.measures.left_out | left_out,
        infinite=g.measures.infinite(name_rows=not options.no_rows),
        waived=rows.waived,
        outcomes=rows.outcomes,
    )
    return replace(found, answers=_answers(found, options, by))


def _answers(d: Diff, options: DiffOptions, by: Mapping[str, Sequence[Slice]]) -> tuple[Answer, ...]:
    by_name, words = {m.name: m for m in d.measures}, d.words
    floors = {f.name: f for f in d.floors}
    answers = [quality_answer(d.quality, d.level, options.same_within)]
    main = "regression_difference" if d.regression else "churn"
    if not d.regression:
        reason = d.left_out.get("negative_flips", "no labels given")
        answers.append(floor_answer("regressions", floors.get("negative_flips"), by_name.get("negative_flips"), reason, words))
    if any({d.old, d.new} <= set(group) for group in d.identical):
        said = "the two models give identical predictions, bit for bit"
        answers.append(
            Answer("disagreement", "identical", "inconclusive", f"Disagreement: {said}: is one model given twice?", said)
        )
    else:
        answers.append(floor_answer("disagreement", floors.get(main), by_name.get(main), "no value", words))
    if not d.regression:
        answers.append(slices_answer(d.slices, asked=bool(by)))
    operating = operating_answer(d.decisions, d.swap_sets, words)
    return (*answers, operating) if operating is not None else tuple(answers)


def _counted_quality(g: DiffAccumulator, level: float) -> list[Quality]:
    t, found = g.base, []
    if g.regression:
        return []
    wanted = [(ACCURACY, "lost", "won")]
    if not t.has(ACCURACY[0]):
        wanted, g.left_out["accuracy"] = [], "answers have scores between 0 and 1"
    if "positive" not in t.quantities:
        reason = "needs two classes" if t.total("labelled").sum() else "needs labels"
        g.left_out |= dict.fromkeys(("recall", "precision"), reason)
    else:
        wanted += [(RECALL, "hit_lost", "hit_won"), (PRECISION, "", "")]
    for (old, new, change), lost, won in wanted:
        if not all(t.total(r.bottom).sum() for r in (old, new)):
            g.left_out[old.name] = "needs labels" if old is ACCURACY[0] else "needs rows of the positive class"
            continue
        (summary,) = t.summaries(change)
        if lost:
            estimate, p = change_estimate(change, t, 0, level, lost, won, summary)
        else:
            estimate = interval(replace(summary, rows=np.full(2, summary.value)), level=level)
            p = p_of_zero(summary.value, summary.example_variance, max((summary.units or 2) - 1, 1))
        both = [interval(t.summaries(r)[0], level=level) for r in (old, new)]
        found.append(Quality(old.name, old.title, old.unit, both[0], both[1], estimate, p, higher_is_better(old.name)))
    return found


def _counted_measures(g: DiffAccumulator, level: float) -> list[Measured]:
    if g.base.rows.sum() == 0:
        return []
    found = []
    for ratio in (r for r in BETWEEN if g.base.has(r)):
        if not g.base.total(ratio.bottom).sum() > 0:
            g.left_out[ratio.name] = "needs labels" if not g.base.total("labelled").sum() else "its denominator is zero here"
            continue
        found.append(Measured(ratio.name, ratio.title, ratio.unit, False, interval(g.base.summaries(ratio)[0], level=level)))
    return found


def _matched(g: DiffAccumulator, level: float, left_out: dict[str, str]) -> TemperatureMatched | None:
    if g.matched is None:
        return None
    try:
        found = g.matched.result(SOFT, level, one_for_all=False)
    except TraintwiceError as reason:
        left_out["temperature_matched"] = str(reason)
        return None
    of = {m.__name__: m.definition for m in SOFT}
    old, new = found.temperatures
    of_measures = tuple(measured(of[name], e) for name, e in found.estimates.items())
    return TemperatureMatched(old, new, found.held_out, found.rows, of_measures)


def _beyond(g: DiffAccumulator, level: float) -> dict[str, Estimate]:
    t = g.tolerances
    return {name: interval(t.summaries(Ratio(name, name, {name: 1.0}, {"one": 1.0}))[0], level=level) for name in t.quantities}


def _copies_in_words(groups: list[list[int]], names: Sequence[str]) -> str | None:
    """Which retrains are copies, in words; None where none are."""
    copies = [group for group in groups if any(m > 1 for m in group)]
    if not copies:
        return None
    return "; ".join(
        f"the predictions of {', '.join(names[m] for m in group[:-1])} and {names[group[-1]]} are identical, bit for bit"
        for group in copies
    )


def _warnings(g: DiffAccumulator, identical: Sequence[Sequence[str]]) -> list[str]:
    found = [f"identical, bit for bit: {', '.join(group)} (copies, or a seed without effect)" for group in identical]
    if g.squares != g.rows and g.squares and g.weight**2 / g.squares < FEW_EFFECTIVE_ROWS:
        found.append(f"the weights leave {g.weight**2 / g.squares:.0f} effective rows, fewer than {FEW_EFFECTIVE_ROWS}")
    for m, model in enumerate(("old", "new")):
        auc = g.auc(m)
        if auc is not None and auc < 0.5:
            found.append(
                f"the score of the {model} model ranks against the labels (AUC {auc:.2f}); is --positive the right class?"
            )
    return found


def _check(
    models: Sequence[Sequence[Any]], level: float, margin: float, same_within: float, min_support: int, listed: int
) -> None:
    if models[3] and not models[2]:
        raise BadInput(
            "new_floor needs floor: the churn between retrains of the new recipe is compared with that of the old recipe"
        )
    check_level(level)
    if not 1 < margin < math.inf or not 0 <= same_within < 1:
        raise BadInput(
            f"margin, same_within: got {margin} and {same_within}, expected a ratio above 1 and a share from 0 to below 1"
        )
    if min_support < 1 or listed < 0:
        raise BadInput(f"min_support, listed: got {min_support} and {listed}, expected at least 1 and at least 0")


def _one(given: Any, name: str) -> Any:
    items = [one_model(given)] if isinstance(given, str | Path) else items_of(given)
    if len(items) != 1:
        raise BadInput(f"{name}: {len(items)} files or arrays were given, expected one model")
    return items[0]


def _several(given: Any) -> list[Any]:
    return [] if isinstance(given, list | tuple) and not given else items_of(given)
