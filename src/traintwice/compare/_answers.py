"""The questions about a new model, answered from the numbers of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traintwice._formatting import between, change, cut, decimals_for, probability, times, value_of
from traintwice.compare._floor import NO_VERDICT, advice
from traintwice.compare._parts import (
    WORST_FIRST,
    Answer,
    Concern,
    Decisions,
    NoiseFloor,
    Question,
    Slice,
    SliceTest,
    SwapSet,
    slice_name,
)
from traintwice.compare._results import RETRAINS, Measured, Quality, Wording
from traintwice.compare._slices import restless_slices, worse_slices
from traintwice.statistics._inference import holm

SAME_WITHIN = 0.005
"""Largest change of accuracy that does not matter, unless another is given; of other measures, the same share of the old value."""

LONGEST_NAME = 60

PRIMARY = ("accuracy", "mean_score", "log_loss", "mean_absolute_error", "root_mean_squared_error")
"""Measures of quality that the answer rests on, where they have a value."""

ALSO_NAMED = ("recall", "precision")
"""Measures of quality of two classes that the answer names where they fall and accuracy does not, as at another operating point."""


def quality_answer(quality: Sequence[Quality], level: float, same_within: float) -> Answer:
    """Whether the new model is worse, better, or the same within a margin.

    Worse or better: significant at the level after Holm's adjustment over accuracy and log loss (a regression: mean absolute error and
    root mean squared error), and the interval of the change excludes 0.
    No change that matters: the whole interval of each is inside the margin, and so is that of recall and of precision where they fall
    significantly after Bonferroni's adjustment. Else inconclusive.
    """
    asked = [q for q in quality if q.name in PRIMARY and q.p_value is not None and not math.isnan(q.change.value)]
    if not asked and quality:
        said = "there are too few rows to estimate a variance"
        return Answer("quality", "inconclusive", "inconclusive", f"Quality: inconclusive: {said}.", said)
    if not asked:
        return Answer("quality", "no labels", "unknown", "Quality is not known: there are no labels.", "needs labels")
    adjusted = holm([q.p_value or 0.0 for q in asked])
    clear = [q for q, p in zip(asked, adjusted, strict=True) if p <= 1 - level and q.change.excludes_zero]
    better = [q for q in clear if _gain(q) > 0]
    worse = [q for q in clear if _gain(q) < 0]
    detail = "; ".join(_change_in_words(q) for q in (worse or better or asked)[:2])
    fallen = [q for q in quality if q.name in ALSO_NAMED and q.p_value is not None and q.p_value <= (1 - level) / len(ALSO_NAMED)]
    fallen = [q for q in fallen if q.change.excludes_zero and _gain(q) < 0 and not _inside(q, same_within)]
    if worse:
        but = f", although {better[0].title} is better" if better else ""
        return Answer("quality", "worse", "problem", f"The new model is worse: {detail}{but}.", detail)
    detail += "".join(f", but {_change_in_words(q)}" for q in fallen)
    if better:
        return Answer("quality", "better", "fine", f"The new model is better: {detail}.", detail)
    margin = f"{100 * same_within:g} pp" if asked[0].unit == "fraction" else f"{100 * same_within:g} % of the old value"
    inside = all(_inside(q, same_within) for q in asked)
    if inside and not fallen:
        said = f"no change that matters (within {margin})"
        return Answer("quality", "no change that matters", "fine", f"Quality: {said}: {detail}.", f"{detail}; margin {margin}")
    open_to = "" if inside else f"; a change of more than {margin} is not excluded"
    return Answer("quality", "inconclusive", "inconclusive", f"Quality: inconclusive: {detail}{open_to}.", detail)


def floor_answer(
    question: Question, floor: NoiseFloor | None, measured: Measured | None, without: str, words: Wording = RETRAINS
) -> Answer:
    """Whether a measure is more than retraining causes; ``without`` says why it has no value."""
    if measured is None:
        return Answer(question, "no value", "unknown", f"{question.capitalize()}: {without}.", without)
    value = with_interval(measured, words)
    if floor is None:
        return Answer(question, words.none, "unknown", f"{question.capitalize()}: {value}; {words.unknown}.", value)
    verdict, concern = _of_floor(floor, words)
    if math.isnan(floor.ratio.low) or NO_VERDICT in floor.reason:
        detail = f"{value}; {floor.reason.removeprefix('inconclusive: ')}"
        return Answer(question, verdict, concern, f"{question.capitalize()}: {verdict}: {detail}.", detail)
    over_all = f"; over all pairs of an old and a new model {value_of(floor.value, floor.unit)}" if floor.new_retrains else ""
    detail = f"{value}{over_all}, {_ratio(floor, words)}"
    if floor.verdict == "within noise":
        above = "above the floor, but " if floor.ratio.low > 1 else ""
        detail += f", {above}below the margin of {floor.margin:g}"
    return Answer(question, verdict, concern, f"{question.capitalize()}: {verdict}: {detail}{advice(floor, words)}.", detail)


def slices_answer(every: Sequence[Slice], *, asked: bool, of_items: bool = False) -> Answer:
    """Groups in which the new model is worse, or changes more than its floor or the other rows.

    Items of an evaluation (``of_items``) differ in churn from task to task, so more churn than elsewhere is expected there.
    """
    if not every:
        said, way = ("no group has enough rows", "--min-support N") if asked else ("no groups given", "--by COLUMN")
        detail = f"to include smaller groups: {way}" if asked else f"to look into groups: {way}"
        return Answer("slices", said, "unknown", f"Slices: {said} ({way}).", detail)
    worse, restless = worse_slices(every), restless_slices(every)
    named = [*(_loss_in_words(s, s.worse[0]) for s in worse), *(_churn_in_words(s) for s in restless if s not in worse)]
    detail = " · ".join(named[:3])
    many = f"{len(every):,} group{'s' if len(every) > 1 else ''}"
    if worse:
        return Answer(
            "slices", f"worse in {len(worse):,} of {many}", "problem", f"Worse in {len(worse):,} of {many}: {detail}.", detail
        )
    if restless:
        floor = every[0].excess is not None
        said = f"churn above {'its floor' if floor else 'the rest'} in {len(restless):,} of {many}"
        concern: Concern = "problem" if floor else "unknown" if of_items else "inconclusive"
        return Answer("slices", said, concern, f"{said.capitalize()}: {detail}.", detail)
    return Answer("slices", "no significant difference", "fine", f"Slices: no significant difference in {many}.", many)


def operating_answer(decisions: Sequence[Decisions], swap_sets: Sequence[SwapSet], words: Wording = RETRAINS) -> Answer | None:
    """Whether decisions at thresholds, or the rows of highest score, change more than retraining causes, the worst first; None without."""
    parts = [(f"score ≥ {d.threshold:g}", f"{value_of(d.changed, 'fraction')} of decisions change", d.floor) for d in decisions]
    parts += [(f"top {s.rows:,}", f"{s.swapped:,} rows swapped", s.floor) for s in swap_sets]
    if not parts:
        return None
    judged: list[tuple[str, Concern, str]] = []
    for where, said, f in parts:
        verdict: tuple[str, Concern] = (words.none, "unknown") if f is None else _of_floor(f, words)
        judged.append((*verdict, f"{where}: {said}{'' if f is None else f', {_ratio(f, words)}'}"))
    judged.sort(key=lambda j: WORST_FIRST.index(j[1]))
    worst, concern, _ = judged[0]
    detail = " · ".join(said for _, _, said in judged)
    return Answer("operating point", worst, concern, f"Operating point: {worst}: {detail}.", detail)


def with_interval(measured: Measured, words: Wording = RETRAINS) -> str:
    """A measure in words: "churn 6.31 % (6.27 to 6.35)"."""
    ends = between(measured.estimate, measured.unit)
    value = f"{value_of(measured.estimate, measured.unit)}{f' ({ends})' if ends else ''}"
    return f"{value} {words.lost}" if measured.name == "negative_flips" else f"{measured.title} {value}"


def _of_floor(floor: NoiseFloor, words: Wording) -> tuple[str, Concern]:
    if floor.verdict == "beyond noise":
        return words.causes, "problem"
    return ("within noise", "fine") if floor.verdict == "within noise" else ("inconclusive", "inconclusive")


def _ratio(floor: NoiseFloor, words: Wording) -> str:
    """A ratio in words: "1.07 × floor of 5.90 % (0.96 to 1.19; 5 retrains)"."""
    of_new = f" and {floor.new_retrains}{words.of_new}" if floor.new_retrains else ""
    ends = f"{times(floor.ratio.low, word=False)} to {times(floor.ratio.high, word=False)}"
    given = f"{words.count(floor.retrains)}{of_new}" if floor.retrains else "draws of one model"
    if math.isnan(floor.ratio.value):
        return f"as in {given}"
    if not math.isnan(floor.ratio.low):
        given = f"{ends}; {given}"
    return f"{times(floor.ratio.value, word=False)} × floor of {value_of(floor.floor, floor.unit)} ({given})"


def _gain(q: Quality) -> float:
    """The change, positive where the new model is better."""
    return q.change.value if q.higher_is_better else -q.change.value


def _inside(q: Quality, same_within: float) -> bool:
    margin = same_within if q.unit == "fraction" else same_within * abs(q.old.value)
    return -margin <= q.change.low and q.change.high <= margin


def _change_in_words(q: Quality) -> str:
    digits = decimals_for([q.change], q.unit)
    both = f"{value_of(q.old, q.unit, digits)} → {value_of(q.new, q.unit, digits)}"
    return f"{q.title} {both} ({change(q.change, q.unit).replace(' (', ', ', 1).removesuffix(')')})"


def _name(s: Slice) -> str:
    return cut(slice_name(s.column, s.value), LONGEST_NAME)


def _loss_in_words(s: Slice, t: SliceTest) -> str:
    old = "" if t.old is None else f"{value_of(t.old, 'fraction', 1)} → "
    return f"{_name(s)}: {t.question} {old}{value_of(t.new, 'fraction', 1)} (q {probability(t.q_value)})"


def _churn_in_words(s: Slice) -> str:
    t = s.tests[0]
    against = "" if t.old is None else f" against {value_of(t.old, 'fraction', 1)} elsewhere"
    if s.excess is not None and t.old is not None:
        against = f", {t.new / t.old:.1f} × its floor" if t.old > 0 else ", its floor is 0"
    return f"{_name(s)}: churn {value_of(t.new, 'fraction', 1)}{against} (q {probability(t.q_value)})"
