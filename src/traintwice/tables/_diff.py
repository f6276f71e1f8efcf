"""Sheet of a comparison of two models: answers first, then the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from traintwice._formatting import value_of, visible
from traintwice.compare._results import Diff, worst
from traintwice.tables import _diff_tables as tables
from traintwice.tables._sheet import Line, Sheet
from traintwice.tables._words import (
    against_floor,
    counted,
    findings,
    headline,
    left_out,
    margin_in_words,
    sentence,
    slice_name,
)

MOST_IN_ANSWER = 3
"""Number of slices that the answer itself names."""

MOST_NAMED, MOST_ROWS = 6, 3
"""Number of slices that a paragraph names, and of rows in the short form."""


def diff_sheet(diff: Diff, *, every: bool = False, rows: int = MOST_ROWS) -> Sheet:
    """Headline, answers and verdict; with ``every`` also noise floors, slices with findings, every table and every note.

    Without it the sheet fits on a screen, with ``rows`` regressed rows.
    """
    shown = tables.every_table(diff) if every else [tables.regressed(diff, most=rows)]
    return Sheet(
        headline=headline(diff.alignment),
        verdict=f"Verdict: {sentence(visible(diff.headline))}",
        lines=answers(diff),
        paragraphs=tuple(("Warning", sentence(visible(w))) for w in diff.warnings) + (tuple(_paragraphs(diff)) if every else ()),
        tables=tuple(table for table in shown if table is not None),
        notes=(*notes(diff), *left_out(diff.left_out)) if every else tuple(_short_notes(diff)),
        concern=worst(diff.answers).concern,
    )


def answers(diff: Diff) -> tuple[Line, ...]:
    """One line for each answer: question, verdict, numbers."""
    return tuple(Line(a.question.capitalize(), visible(a.verdict), visible(a.detail), a.concern) for a in diff.answers)


def notes(diff: Diff) -> Iterator[str]:
    """Notes on the numbers: layouts, rows left out, infinite measures, targets of the intervals, slices left out."""
    yield from _unusual(diff)
    retrains = f"; ratios to a floor: also for new {diff.words.many}" if _has_ratios(diff) else ""
    yield f"intervals: {100 * diff.level:g} %, for these two models on {_new_rows(diff)}{retrains}"
    if count := diff.slices_left_out:
        fewer = f"of fewer than {diff.min_support:,} rows {'is' if count == 1 else 'are'} not shown (--min-support)"
        yield f"{counted(count, 'slice')} {fewer}"


def _unusual(diff: Diff) -> Iterator[str]:
    """Notes that not every comparison has: layouts that differ, rows left out, waived or without labels, infinite measures."""
    found = diff.alignment
    if len(set(found.layouts)) > 1:
        yield from (f"{visible(name)}: {visible(layout)}" for name, layout in zip(found.files, found.layouts, strict=True))
    for name, count in zip(found.files, found.dropped, strict=True):
        if count:
            yield f"{visible(name)}: {counted(count, 'row')} left out (ids missing in another file, or on several rows)"
    if diff.waived:
        yield f"{counted(diff.waived, 'row')} waived by id"
    if found.label is not None and found.labelled < found.rows:
        yield f"{found.rows - found.labelled:,} of {found.rows:,} rows have no label; measures that need labels leave these rows out"
    if diff.effective_rows is not None:
        yield f"effective number of rows under these weights: {diff.effective_rows:,.0f}"
    yield from map(visible, diff.floor_notes)
    yield from (f"{visible(name)} is infinite: {visible(where)}" for name, where in diff.infinite.items())


def _new_rows(diff: Diff) -> str:
    """What intervals are for."""
    return "new rows" if diff.alignment.cluster is None else "new clusters of rows"


def _has_ratios(diff: Diff) -> bool:
    return diff.floor is not None and diff.floor.retrains > 0


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
    ratios = f" (ratios: also new {diff.words.many})" if _has_ratios(diff) else ""
    count = sum(1 for _ in left_out({k: v for k, v in diff.left_out.items() if k not in asked})) + bool(diff.slices_left_out)
    more = f" · {counted(count, 'more note')}: --full" if count else ""
    yield f"{100 * diff.level:g} % intervals for {_new_rows(diff)}{ratios}{more}"
