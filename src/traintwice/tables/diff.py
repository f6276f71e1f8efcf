"""A comparison of two models as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from traintwice.tables.format import between, change, decimals_for, number, probability, value_of
from traintwice.tables.sheet import Line, Sheet
from traintwice.tables.table import Cell, Column, Row, Table, Unit
from traintwice.tables.width import cut, visible

if TYPE_CHECKING:
    from traintwice.compare import Diff, MovedRow, Slice
    from traintwice.types import Estimate

ORDER = {
    "same order": "rows in the same order, every id compared",
    "joined": "rows joined by id",
    "by position": "rows matched by position, ids not compared",
}

ONE_LINE = {"positive_flips": "right after wrong", "negative_flips": "wrong after right", "lateral_flips": "wrong → wrong"}
"""Measures that share a line on the terminal: where labels changed, how."""

DETAILS = (
    "brier",
    "calibration_error",
    "churn_correct",
    "churn_incorrect",
    "churn_to_error",
    "delta_label",
    "relative_delta_1",
    "relative_delta_positive",
    "win_loss_ratio",
)
"""Measures that wait for who asks for all of them."""

MOST_SLICES, MOST_MOVED, MOST_NAMED = 10, 5, 3
"""On the terminal; the HTML report has more, JSON everything."""

LONGEST_NAME = 40
"""Of a slice or class in a sentence."""

LONGEST_ID = 200
"""Of an id or a slice in a table; JSON and --rows have the whole."""

SIGNIFICANT = 0.05
"""Slices with a larger q-value are not named in a sentence."""


def diff_sheet(diff: Diff, *, every: bool = False) -> Sheet:
    """What was joined, quality, churn and its noise, flips, where it happens, what is missing.

    Args:
        diff: of two models.
        every: with every measure; else with those that fit on a screen, and how many more there are.
    """
    tables = [t for t in (slices_table(diff, most=MOST_SLICES), moved_table(diff, most=MOST_MOVED)) if t is not None]
    unseen = sum(name in DETAILS for name in (*[m.name for m in diff.measures], *[q.name for q in diff.quality]))
    more = (f"{unseen} more measures in --report, --markdown and --json",) if unseen and not every else ()
    return Sheet(
        headline=headline(diff),
        verdict=verdict_sentence(diff),
        lines=tuple(_lines(diff, () if every else DETAILS)),
        paragraphs=tuple(_paragraphs(diff)),
        tables=tuple(tables),
        notes=(*notes(diff), *more),
    )


def headline(diff: Diff) -> str:
    """The files, how their rows were matched, and what their columns mean."""
    found = diff.alignment
    layout = visible(found.layouts[0])
    parts = [f"{visible(diff.old)} → {visible(diff.new)}", f"{found.rows:,} {ORDER[found.order]}", layout]
    if found.label is not None and "labels in" not in layout:
        parts.append(f"labels in {visible(found.label)}")
    if diff.weighted:
        parts.append(f"weighted by {visible(found.weight or 'weights')}")
    return " · ".join(parts)


def verdict_sentence(diff: Diff) -> str:
    """What the comparison comes to, in a sentence."""
    if diff.floor is not None:
        return sentence(diff.floor.reason)
    if diff.regression or not any(m.name == "churn" for m in diff.measures):
        first = diff.measures[0]
        said = f"{first.title} between the two models is {value_of(first.estimate, first.unit)}"
    else:
        churn = diff["churn"]
        ends = between(churn, "fraction")
        said = f"{value_of(churn, 'fraction')} of the rows get another label{f' ({ends})' if ends else ''}"
    accuracy = next((q for q in diff.quality if q.name == "accuracy"), None)
    if accuracy is not None:
        said += f"; accuracy changes by {change(accuracy.change, 'fraction')}"
    return f"{said}. How much of it retraining alone would bring cannot be told without retrains of the old recipe (--floor)."


def notes(diff: Diff) -> Iterator[str]:
    """What must be known to read the numbers: other layouts, rows left out, measures left out, infinite ones."""
    found = diff.alignment
    if len(set(found.layouts)) > 1:
        yield from (f"{visible(name)}: {visible(layout)}" for name, layout in zip(found.files, found.layouts, strict=True))
    for name, count in zip(found.files, found.dropped, strict=True):
        if count:
            yield f"{visible(name)}: {rows_in_words(count)} left out, ids missing elsewhere or on several rows"
    if diff.waived:
        yield f"{rows_in_words(diff.waived)} waived by id"
    if found.label is not None and found.labelled < found.rows:
        yield f"{found.rows - found.labelled:,} of {found.rows:,} rows have no label and count only where none is needed"
    retrains = "" if diff.floor is None else "; that of the excess about new retrains too"
    yield f"intervals: {100 * diff.level:g} %, about these two models and new rows{retrains}"
    if diff.slices_left_out:
        yield f"{diff.slices_left_out:,} slices of fewer than {diff.min_support:,} rows are not shown (--min-support)"
    yield from (f"{visible(name)} is infinite: {visible(where)}" for name, where in diff.infinite.items())
    yield from left_out(diff.left_out)


def rows_in_words(count: int) -> str:
    """A number of rows.

    >>> rows_in_words(1), rows_in_words(2000)
    ('1 row', '2,000 rows')
    """
    return f"{count:,} row{'' if count == 1 else 's'}"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop.

    >>> sentence("within noise: ruled out")
    'Within noise: ruled out.'
    """
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    """What has no value here, by the reason why.

    >>> list(left_out({"brier": "needs labels", "accuracy": "needs labels"}))
    ['left out: brier, accuracy (needs labels)']
    """
    for reason in dict.fromkeys(reasons.values()):
        names = ", ".join(visible(name) for name, given in reasons.items() if given == reason)
        yield f"left out: {names} ({visible(reason)})"


def slice_name(column: str, value: str | None) -> str:
    """The name of a slice: country=BR, class 'refund', country is missing."""
    if value is None:
        return f"{visible(column)} is missing"
    shown = cut(visible(value), LONGEST_ID)
    return f"class '{shown}'" if column == "predicted class" else f"{visible(column)}={shown}"


def slices_table(diff: Diff, *, most: int | None = None) -> Table | None:
    """Slices, smallest q-value first; None where there are none."""
    if not diff.slices:
        return None
    columns = [Column("rows", "rows", "text"), Column("churn", "churn", "fraction")]
    if any(s.excess is not None for s in diff.slices):
        columns.append(Column("excess", "excess, points", "points"))
    if any(s.accuracy_change is not None for s in diff.slices):
        columns.append(Column("accuracy", "accuracy change, points", "points"))
    extra = list(dict.fromkeys(name for s in diff.slices for name in s.measures))
    columns += [Column(name, name.replace("_", " "), "number") for name in extra]
    columns.append(Column("q", "q", "text"))
    shown = diff.slices[:most]
    rows = tuple(Row(slice_name(s.column, s.value), _slice_cells(s)) for s in shown)
    rest = len(diff.slices) - len(shown)
    left = (f"{rest:,} more slices in --report and --json",) if rest > 0 else ()
    tested = "excess churn" if diff.floor is not None else "churn unlike that of all other rows"
    return Table(f"Where it happens (q: {tested}, false discoveries controlled over all slices)", tuple(columns), rows, left)


def moved_table(diff: Diff, *, most: int | None = None) -> Table | None:
    """The rows that moved most; None where there are none or they are kept out."""
    shown = diff.moved[:most]
    if not shown:
        return None
    columns = [Column("change", "old → new", "text")]
    if any(r.old_probability is not None for r in shown):
        columns.append(Column("probability", "of the old class" if not diff.regression else "value", "text"))
    if any(r.label is not None for r in shown):
        columns.append(Column("label", "label", "text"))
    columns.append(Column("distance", "distance", "number"))
    if any(r.instability is not None for r in shown):
        columns.append(Column("instability", "instability", "number"))
    return Table("The rows that moved most", tuple(columns), tuple(Row(row_name(r), _moved_cells(r)) for r in shown))


def row_name(row: MovedRow) -> str:
    """The id of a row, or its place."""
    return cut(visible(str(row.id)), LONGEST_ID) if row.id is not None else f"row {row.position:,}"


def _lines(diff: Diff, without: Collection[str]) -> Iterator[Line]:
    for quality in (q for q in diff.quality if q.name not in without):
        digits = decimals_for([quality.change], quality.unit)
        both = f"{value_of(quality.old, quality.unit, digits)} → {value_of(quality.new, quality.unit, digits)}"
        yield Line(quality.title, both, change(quality.change, quality.unit))
    measures = {m.name: m for m in diff.measures if m.name not in without}
    flips = [name for name in ONE_LINE if name in measures]
    if "churn" in measures:
        yield Line("churn", value_of(measures["churn"].estimate, "fraction"), _ends(measures["churn"].estimate, "fraction", diff))
        yield from _floor_lines(diff)
    for name in flips:
        measured = measures[name]
        yield Line(
            measured.title,
            value_of(measured.estimate, measured.unit),
            f"{_ends(measured.estimate, measured.unit)} {ONE_LINE[name]}".strip(),
        )
    for name, measured in measures.items():
        if name != "churn" and name not in flips:
            yield Line(measured.title, value_of(measured.estimate, measured.unit), _ends(measured.estimate, measured.unit))
        if name == "regression_difference":
            yield from _floor_lines(diff)
    if diff.matched is not None:
        matched = diff.matched
        for measured in matched.measures:
            said = f"{_ends(measured.estimate, measured.unit)} at temperatures {matched.old:.3g} and {matched.new:.3g}".strip()
            yield Line(f"{measured.title} (T)", value_of(measured.estimate, measured.unit), said)
    for d in diff.decisions:
        parts = f"to positive {value_of(d.to_positive, 'fraction')}, to negative {value_of(d.to_negative, 'fraction')}"
        yield Line(
            f"score ≥ {d.threshold:g} changed", value_of(d.changed, "fraction"), f"{_ends(d.changed, 'fraction')} {parts}".strip()
        )
    for s in diff.swap_sets:
        positive = ""
        if s.entered_positive is not None and s.left_positive is not None:
            came, went = (value_of(share, "fraction", 1) for share in (s.entered_positive, s.left_positive))
            positive = f"; positive: {came} of those entering, {went} of those leaving"
        yield Line(f"top {s.rows:,} shared", value_of(s.overlap, "fraction", 1), f"{s.swapped:,} rows swapped{positive}")


def _floor_lines(diff: Diff) -> Iterator[Line]:
    floor = diff.floor
    if floor is None:
        return
    unit: Unit = "number" if diff.regression else "fraction"
    digits = decimals_for([floor.excess], unit)
    retrains = f"{floor.retrains} retrain{'' if floor.retrains == 1 else 's'} of its recipe"
    both = f", {floor.new_retrains} of the new" if floor.new_retrains else ""
    if floor.new_retrains:
        yield Line(
            "between recipes",
            value_of(floor.churn, unit, digits),
            "(mean over all pairs of an old and a new model)",
            inner=True,
        )
    yield Line("noise floor", value_of(floor.floor, unit, digits), f"(old against {retrains}{both})", inner=True)
    ends = between(floor.excess, unit, digits)
    said = f"({ends})" if ends else "(no interval: too few retrains)"
    excess = f"{number(floor.excess.value, unit, digits)}{'' if diff.regression else ' points'}"
    yield Line("excess", excess, f"{said} → {floor.verdict}", inner=True)


def _paragraphs(diff: Diff) -> Iterator[tuple[str, str]]:
    parts = []
    outstanding = [s for s in diff.slices if s.q_value < SIGNIFICANT and _worse(s, diff)]
    for s in outstanding[:MOST_NAMED]:
        excess = f"excess {number(s.excess.value, 'fraction', 1)}, " if s.excess is not None else ""
        parts.append(
            f"{cut(slice_name(s.column, s.value), LONGEST_NAME)} {value_of(s.churn, 'fraction', 1)} ({excess}q {probability(s.q_value)})"
        )
    for review in diff.reviews:
        if math.isclose(review.share, 0.1) and not math.isnan(review.caught):
            parts.append(f"{100 * review.caught:.0f} % of flips lie in the 10 % least stable rows")
    if diff.flow is not None and diff.flow.cells:
        cell = diff.flow.cells[0]
        came, went = (cut(visible(name), LONGEST_NAME) for name in (cell.old, cell.new))
        parts.append(f"most often {came} → {went}, {value_of(cell.share, 'fraction')} of all rows")
    if parts:
        yield "Where", " · ".join(parts)


def _worse(s: Slice, diff: Diff) -> bool:
    return s.excess.value > 0 if s.excess is not None else s.churn.value > diff["churn"].value


def _ends(estimate: Estimate, unit: str, diff: Diff | None = None) -> str:
    ends = between(estimate, unit)
    if not ends:
        return ""
    return f"({ends})" if diff is None else f"({ends}, these two models, new rows)"


def _slice_cells(s: Slice) -> dict[str, Cell]:
    return {
        "rows": f"{s.rows:,}",
        "churn": s.churn,
        "excess": s.excess,
        "accuracy": s.accuracy_change,
        "q": probability(s.q_value).removeprefix("= ") if not math.isnan(s.q_value) else "–",
        **s.measures,
    }


def _moved_cells(row: MovedRow) -> dict[str, Cell]:
    known = row.old_probability is not None and row.new_probability is not None
    return {
        "change": " → ".join(cut(visible(name), LONGEST_NAME) for name in (row.old, row.new)),
        "probability": f"{row.old_probability:.3f} → {row.new_probability:.3f}" if known else None,
        "label": cut(visible(row.label), LONGEST_NAME) if row.label is not None else None,
        "distance": row.distance,
        "instability": row.instability,
    }
