"""From the sums over the rows of two models to the result of their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from traintwice.compare._answer_types import Answer, NoiseFloor
from traintwice.compare._answers import floor_answer, operating_answer, quality_answer, slices_answer
from traintwice.compare._collect import DiffAccumulator
from traintwice.compare._estimates import interval
from traintwice.compare._options import DiffOptions
from traintwice.compare._pair_measures import higher_is_better, measured, non_streaming
from traintwice.compare._results import Diff, Measured, Quality, TemperatureMatched
from traintwice.compare._slice_types import PREDICTED, Slice
from traintwice.compare._slices import SliceOptions, change_estimate
from traintwice.compare._tally import ACCURACY, BETWEEN, PRECISION, RECALL, Ratio
from traintwice.compare._temperature import SOFT
from traintwice.compare._wording import wording
from traintwice.errors import TraintwiceError
from traintwice.metrics._identical import are_identical, identical_in_words
from traintwice.predictions._rows import Rows
from traintwice.statistics._significance import p_of_zero
from traintwice.types import Estimate

FEW_EFFECTIVE_ROWS = 100
"""Below so many effective rows, weights leave too little to rely on."""


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
    return "; ".join(are_identical([names[m] for m in group]) for group in copies)


def _warnings(g: DiffAccumulator, identical: Sequence[Sequence[str]]) -> list[str]:
    found = identical_in_words(identical)
    if g.squares != g.rows and g.squares and g.weight**2 / g.squares < FEW_EFFECTIVE_ROWS:
        found.append(f"the weights leave {g.weight**2 / g.squares:.0f} effective rows, fewer than {FEW_EFFECTIVE_ROWS}")
    for m, model in enumerate(("old", "new")):
        auc = g.auc(m)
        if auc is not None and auc < 0.5:
            found.append(
                f"the score of the {model} model ranks against the labels (AUC {auc:.2f}); is --positive the right class?"
            )
    return found
