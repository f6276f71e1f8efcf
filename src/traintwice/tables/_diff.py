"""Sheet of a comparison of two models: answers first, then the tables of the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from traintwice._formatting import between, change, cut, digits_of, number, probability, times, value_of, visible, with_interval
from traintwice.compare._parts import ChangedRow, Slice, slice_name
from traintwice.compare._results import Diff, worst
from traintwice.metrics import ALL
from traintwice.tables._sheet import Cell, Column, Line, Row, Sheet, Table, text_columns
from traintwice.tables._words import (
    against_floor,
    counted,
    findings,
    grouped,
    headline,
    left_out,
    margin_in_words,
    plain_title,
    sentence,
    warned,
)

MOST_IN_ANSWER = 3
"""Number of slices that the answer itself names."""

MOST_NAMED, MOST_ROWS = 6, 3
"""Number of slices that a paragraph names, and of rows in the short form."""

LONGEST_CLASS = 40
"""Width of a class name in a cell, in columns."""

MOST_SLICES = 50
"""Rows of a table of slices; JSON has all."""


def diff_sheet(diff: Diff, *, every: bool = False, rows: int = MOST_ROWS) -> Sheet:
    """Headline, answers and verdict; with ``every`` also noise floors, slices with findings, every table and every note.

    Without it the sheet fits on a screen, with ``rows`` regressed rows.
    """
    shown = every_table(diff) if every else [regressed(diff, most=rows)]
    return Sheet(
        headline=headline(diff.alignment),
        verdict=f"Verdict: {sentence(visible(diff.headline))}",
        lines=answers(diff),
        paragraphs=warned(diff.warnings) + (tuple(_paragraphs(diff)) if every else ()),
        tables=tuple(table for table in shown if table is not None),
        notes=(*notes(diff), *left_out(diff.left_out)) if every else tuple(_short_notes(diff)),
        concern=worst(diff.answers).concern,
    )


def answers(diff: Diff) -> tuple[Line, ...]:
    """One line for each answer: question, verdict, numbers."""
    return tuple(Line(a.question.capitalize(), visible(a.verdict), visible(a.detail), a.concern) for a in diff.answers)


def notes(diff: Diff, *, of_slices: bool = True) -> Iterator[str]:
    """Notes on the numbers: layouts, rows left out, infinite measures, targets of the intervals, slices left out (``of_slices``)."""
    yield from _unusual(diff)
    retrains = f"; ratios to a floor: also for new {diff.words.many}" if diff.floor is not None and diff.floor.retrains else ""
    yield f"intervals: {100 * diff.level:g} %, for these two models on {_new_rows(diff)}{retrains}"
    if of_slices and (count := diff.slices_left_out):
        fewer = f"of fewer than {diff.min_support:,} rows {'is' if count == 1 else 'are'} not shown (--min-support)"
        yield f"{counted(count, 'slice')} {fewer}"


def _unusual(diff: Diff) -> Iterator[str]:
    """Notes that not every comparison has: layouts that differ, rows left out, waived or without labels, infinite measures."""
    found = diff.alignment
    row, label, twice = ("item", "score", "") if found.outcomes else ("row", "label", ", or on several rows")
    files = list(zip(found.files, found.layouts, found.dropped, strict=True))
    yield from grouped([(name, visible(layout)) for name, layout, _ in files if layout != found.layouts[0]])
    why = f"left out (ids missing in another file{twice})"
    yield from grouped([(name, f"{counted(count, row)} {why}") for name, _, count in files if count])
    if diff.waived:
        yield f"{counted(diff.waived, 'row')} waived by id"
    if found.label is not None and found.labelled < found.rows:
        some = f"{found.rows - found.labelled:,} of {found.rows:,} {row}s have no {label}; measures that need {label}s leave them out"
        yield some + ", and for churn no score is an answer of its own" * found.outcomes
    if diff.effective_rows is not None:
        yield f"effective number of rows under these weights: {diff.effective_rows:,.0f}"
    yield from map(visible, diff.floor_notes)
    yield from (f"{visible(name)} is infinite: {visible(where)}" for name, where in diff.infinite.items())


def _new_rows(diff: Diff) -> str:
    return "new rows" if diff.alignment.cluster is None else "new clusters of rows"


def reviews(diff: Diff) -> str:
    """Share of the changed labels found among the least stable rows; "" if unknown."""
    known = [r for r in diff.reviews if not math.isnan(r.caught)]
    parts = [f"{100 * r.caught:.0f} % among the {100 * r.share:g} % least stable rows" for r in known]
    return f"changed labels: {', '.join(parts)}" if parts else ""


def bounds(diff: Diff) -> str:
    """Upper bounds on churn by the lemmas; "" if there are none."""
    parts = [f"{name.replace('_', ' ')} {value_of(bound, 'fraction', 2)}" for name, bound in diff.bounds.items()]
    return f"upper bounds on churn: {', '.join(parts)}" if parts else ""


def _paragraphs(diff: Diff) -> Iterator[tuple[str, str]]:
    """Noise floors and slices with findings, in words."""
    if diff.floors:
        each = "; ".join(against_floor(floor) for floor in diff.floors)
        yield "Noise floor", f"{each} ({margin_in_words(diff.floors[0], diff.words)})."
    found = [slice_name(s.column, s.value) for s in (*diff.slices, *diff.predicted, *diff.periods) if any(findings(s))]
    if len(found) > MOST_IN_ANSWER:
        more = [f"{len(found) - MOST_NAMED:,} more"] if len(found) > MOST_NAMED else []
        yield "Slices with a significant finding", ", ".join([*found[:MOST_NAMED], *more])


def _short_notes(diff: Diff) -> Iterator[str]:
    """Unusual notes, options without an answer, and one line with the target of the intervals and the number of further notes."""
    yield from _unusual(diff)
    asked = {name: reason for name, reason in diff.left_out.items() if name in ("thresholds", "top_k")}
    yield from left_out(asked)
    ratios = f" (ratios: also new {diff.words.many})" if diff.floor is not None and diff.floor.retrains else ""
    count = sum(1 for _ in left_out({k: v for k, v in diff.left_out.items() if k not in asked})) + bool(diff.slices_left_out)
    more = f" · {counted(count, 'more note')}: --full" if count else ""
    yield f"{100 * diff.level:g} % intervals for {_new_rows(diff)}{ratios}{more}"


def every_table(diff: Diff) -> tuple[Table | None, ...]:
    return (
        quality(diff),
        disagreement(diff),
        floors(diff),
        decisions(diff),
        swap_sets(diff),
        slices(diff, diff.slices, "Slices"),
        slices(diff, diff.predicted, "By the class that the old model predicts"),
        slices(diff, diff.periods, "By period"),
        regressed(diff),
        movement(diff),
        calibration(diff),
        flow(diff),
        largest_changes(diff),
    )


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row], *notes: str) -> Table | None:
    """A table; None without rows."""
    return Table(title, tuple(columns), tuple(rows), notes) if rows else None


def quality(diff: Diff) -> Table | None:
    """Each measure of quality: old, new, change and p-value."""
    rows = []
    for q in diff.quality:
        digits = digits_of(q.change, q.unit)
        p = "–" if q.p_value is None or math.isnan(q.p_value) else probability(q.p_value).removeprefix("= ")
        cells = {"old": value_of(q.old, q.unit, digits), "new": value_of(q.new, q.unit, digits)}
        rows.append(Row(plain_title(q.title), {**cells, "change": change(q.change, q.unit), "p": p}))
    return _table("Quality", text_columns("old", "new", "change", "p"), rows)


def disagreement(diff: Diff) -> Table | None:
    """Every measure of disagreement; also soft measures at matched temperatures if requested."""
    measures, notes = [(plain_title(m.title), m) for m in diff.measures], []
    if soft := [m.title for m in diff.measures if m.soft]:
        notes.append(f"soft measures, which depend on confidence: {', '.join(soft)}")
    if (matched := diff.matched) is not None:
        measures += [(f"{plain_title(m.title)}, matched", m) for m in matched.measures]
        at = f"at temperatures {matched.old:.3g} and {matched.new:.3g}"
        notes.append(f"matched: {at}, fitted to log loss on {matched.held_out:,} held-out rows")
    rows = [Row(title, {"value": with_interval(m.estimate, m.unit)}) for title, m in measures]
    return _table("Between old and new", text_columns("value"), rows, *notes)


def floors(diff: Diff) -> Table | None:
    """Every change with a noise floor: churn, negative flips, decisions, swap sets."""
    further = [*(d.floor for d in diff.decisions), *(s.floor for s in diff.swap_sets)]
    wanted = [*diff.floors, *(f for f in further if f is not None)]
    rows = []
    for f in wanted:
        digits, ends = digits_of(f.excess, f.unit), [times(end, word=False) for end in (f.ratio.low, f.ratio.high)]
        cells = {
            "value": value_of(f.value, f.unit, digits),
            "floor": value_of(f.floor, f.unit, digits),
            "ratio": times(f.ratio.value, word=False),
            "ends": "" if math.isnan(f.ratio.low) else " to ".join(ends),
            "excess": change(f.excess, f.unit),
            "verdict": f.verdict,
            "more": "" if not f.more_retrains else f"{f.more_retrains:,} more",
        }
        rows.append(Row(visible(f.title), cells))
    titles = {"value": "change", "floor": "floor", "ratio": "times the floor", "ends": "interval"}
    titles |= {"excess": "excess", "verdict": "verdict"}
    if any(f.more_retrains for f in wanted):
        titles["more"] = f"{diff.words.many} to decide"
    notes = [f"within noise means below {f.margin:g} times the floor" for f in wanted[:1]]
    notes += [diff.words.basis for f in wanted[:1] if not f.new_retrains]
    return _table(f"Against {diff.words.noise}", text_columns(**titles), rows, *notes)


def decisions(diff: Diff) -> Table | None:
    """Decisions at each threshold: share of positive decisions, and changes in both directions."""
    titles = ("positive, old", "positive, new", "changed", "to positive", "to negative")
    rows = [
        (f"score ≥ {d.threshold:g}", (d.old_positive, d.new_positive, d.changed, d.to_positive, d.to_negative))
        for d in diff.decisions
    ]
    return _fractions("Decisions", titles, rows)


def swap_sets(diff: Diff) -> Table | None:
    """Top-k sets of both models: overlap, swapped rows, and positives among rows that entered and left."""
    titles = ("in both", "swapped", "positive of entering", "positive of leaving")
    rows = [(f"top {s.rows:,}", (s.overlap, s.swapped / s.rows, s.entered_positive, s.left_positive)) for s in diff.swap_sets]
    return _fractions("Rows of highest score", titles, rows)


def slices(diff: Diff, parts: Sequence[Slice], title: str, *, most: int = MOST_SLICES) -> Table | None:
    """Slices in their order, with the significant findings of each; columns without any value are left out."""
    graded, units = diff.outcomes == "graded", {m.__name__: m.definition.unit for m in ALL}
    columns = [
        Column("rows", "rows", "text"),
        Column("churn", "churn", "fraction"),
        Column("against", "its floor" if any(s.excess is not None for s in parts[:1]) else "other rows", "fraction"),
        Column("regressed", "lower score" if graded else "right → wrong", "fraction"),
        Column("accuracy", f"{'mean score' if graded else 'accuracy'}, pp", "points"),
        *(Column(n, n.replace("_", " "), units.get(n, "number")) for n in dict.fromkeys(n for s in parts for n in s.measures)),
        *text_columns(q="q", found="significant"),
    ]
    notes = [f"{len(parts) - most:,} more slices in --json"] if len(parts) > most else []
    against = "its floor" if diff.floors else "the churn of all other rows"
    asked = list(dict.fromkeys(t.question for s in parts for t in s.tests if t.question != "churn"))
    others = f", {' and '.join(asked)} against no change" if asked else ""
    notes.append(f"q: churn against {against}{others} (Benjamini-Hochberg over all slices)")
    rows = [Row(slice_name(s.column, s.value), _slice_cells(s)) for s in parts]
    return _table(title, filled(columns, rows), rows[:most], *notes)


def filled(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns in which some row has a value."""
    return [c for c in columns if any(row.cells.get(c.key) is not None for row in rows)]


def regressed(diff: Diff, *, most: int | None = None) -> Table | None:
    """The first rows that went from right to wrong; for a regression the rows that got worse most."""
    shown = diff.regressed[:most]
    what = "Rows that got worse" if diff.regression else diff.words.regressed
    return _rows(diff, shown, f"{what} (first {len(shown):,} of {diff.regressed_rows:,})", distance=diff.regression)


def largest_changes(diff: Diff) -> Table | None:
    return _rows(diff, diff.largest_changes, "Largest changes", distance=True)


def movement(diff: Diff) -> Table | None:
    """Distances between old and new probabilities: shares beyond each tolerance, quantiles, KL divergence in both directions."""
    moved = diff.movement
    if moved is None:
        return None
    cells = [(f"moved by more than {name}", value_of(e, "fraction"), between(e, "fraction")) for name, e in moved.beyond.items()]
    cells += [(f"{_percent(share)} of rows moved by at most", number(q, "number", 4), "") for share, q in moved.quantiles.items()]
    for title, kl in (("KL(old ‖ new)", moved.kl_old_new), ("KL(new ‖ old)", moved.kl_new_old)):
        cells += [(f"{title}, {'mean' if key == 'mean' else _percent(key)}", number(v, "number", 4), "") for key, v in kl.items()]
    rows = [Row(name, {"value": value, "ends": ends}) for name, value, ends in cells]
    return _table("How far probabilities moved (total variation distance)", text_columns(value="", ends="interval"), rows)


def calibration(diff: Diff) -> Table | None:
    """Calibration error of each model, and its expected value for a calibrated model."""
    titles = ("calibration error", "if perfectly calibrated", "less chance")
    return _fractions("Calibration", titles, [(c.model, (c.ece, c.if_calibrated, c.debiased)) for c in diff.calibration])


def flow(diff: Diff) -> Table | None:
    """The most frequent changes from one predicted class to another."""
    if diff.flow is None:
        return None
    cells = diff.flow.cells[:10]
    rows = [Row(_both(c.old, c.new), {"rows": f"{c.rows:,}", "share": c.share}) for c in cells]
    more = diff.flow.changed_cells - len(cells)
    columns = (*text_columns("rows"), Column("share", "of all rows", "fraction"))
    return _table("Where predicted classes went", columns, rows, *([f"{more:,} more pairs of classes"] if more > 0 else []))


def _rows(diff: Diff, shown: Sequence[ChangedRow], title: str, *, distance: bool) -> Table | None:
    columns = [
        *text_columns(label="truth" if diff.regression else "label", change="old → new", probability="P(old class)"),
        *([Column("distance", "distance")] if distance else []),
        Column("instability", "instability"),
        *(Column(f"shown:{name}", visible(name), "text") for name in dict.fromkeys(name for r in shown for name in r.shown)),
    ]
    rows = [Row(f"row {r.position:,}" if r.id is None else visible(str(r.id)), _row_cells(r)) for r in shown]
    return _table(title, filled(columns, rows), rows)


def _row_cells(row: ChangedRow) -> dict[str, Cell]:
    known = row.old_probability is not None and row.new_probability is not None
    return {
        "change": _both(row.old, row.new),
        "probability": f"{row.old_probability:.3f} → {row.new_probability:.3f}" if known else None,
        "label": cut(visible(row.label), LONGEST_CLASS) if row.label is not None else None,
        "distance": row.distance,
        "instability": row.instability,
        **{f"shown:{name}": "–" if value is None else cut(visible(value), LONGEST_CLASS) for name, value in row.shown.items()},
    }


def _slice_cells(s: Slice) -> dict[str, Cell]:
    return {
        **s.measures,
        "rows": f"{s.rows:,}",
        "churn": s.churn,
        "against": s.tests[0].old if s.tests else None,
        "regressed": s.negative_flips,
        "accuracy": s.accuracy_change,
        "q": probability(s.q_value).removeprefix("= ") if s.tests else "–",
        "found": "; ".join(findings(s)),
    }


def _fractions(title: str, titles: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]]) -> Table | None:
    columns = [Column(name, name, "fraction") for name in titles]
    return _table(title, columns, [Row(name, dict(zip(titles, cells, strict=True))) for name, cells in rows])


def _both(old: str, new: str) -> str:
    return " → ".join(cut(visible(name), LONGEST_CLASS) for name in (old, new))


def _percent(share: str) -> str:
    return f"{100 * float(share):g} %"
