"""The report of a diff as one HTML page."""

from __future__ import annotations

from traintwice._formatting import visible
from traintwice._versions import made_by
from traintwice.compare._results import Diff
from traintwice.gates._budgets import GateResult
from traintwice.report._cards import MARKS, cards_of_diff
from traintwice.report._document import render
from traintwice.report._plots import CHARTS
from traintwice.tables import _diff_tables as tables
from traintwice.tables._diff import bounds, notes, reviews
from traintwice.tables._gate import CONCERNS, budgets_table, gate_sentence
from traintwice.tables._words import against_floor, left_out, margin_in_words, matching, sentence

MOST_SLICES = 200
"""Rows of a table of slices on the page; JSON has all."""


def page(diff: Diff, gate: GateResult | None = None) -> str:
    """The whole report.

    Args:
        diff: of two models.
        gate: its outcome and budgets come first; None for a comparison without budgets.
    Returns:
        An HTML document. Everything from files is escaped. Its content security policy forbids every connection and all scripts but
        its own two. It has ids and rows only if ``diff`` has them.
    """
    figures = [figure for draw in CHARTS.values() if (figure := draw(diff)) is not None]
    numbers = (
        tables.quality(diff),
        tables.disagreement(diff),
        tables.floors(diff),
        tables.decisions(diff),
        tables.swap_sets(diff),
        tables.movement(diff),
        tables.calibration(diff),
    )
    parts = {"slices": diff.slices, "predicted": diff.predicted, "periods": diff.periods}
    return render(
        "diff.html.j2",
        figures,
        names=(visible(diff.old), visible(diff.new)),
        made=made_by(),
        facts=matching(diff.alignment),
        gate=None if gate is None else (gate_sentence(gate), CONCERNS[gate.outcome], budgets_table(gate)),
        verdict=sentence(visible(diff.headline)),
        cards=cards_of_diff(diff),
        marks=MARKS,
        warnings=[sentence(visible(w)) for w in diff.warnings],
        floors=[sentence(against_floor(floor)) for floor in diff.floors],
        noise=diff.words.noise,
        margin=sentence(margin_in_words(diff.floors[0], diff.words)) if diff.floors else "",
        shown={figure.name for figure in figures},
        kind=diff.joint.kind if diff.joint is not None else "",
        bins=diff.joint.bins if diff.joint is not None else 0,
        parts={name: tables.slices(diff, found, "", most=MOST_SLICES) for name, found in parts.items()},
        numbers=[table for table in numbers if table is not None],
        rows=[table for table in (tables.regressed(diff), tables.largest_changes(diff)) if table is not None],
        no_rows=diff.no_rows,
        notes=[*notes(diff), *left_out(diff.left_out)],
        sentences=[sentence(text) for text in (reviews(diff), bounds(diff)) if text],
        files=[
            (visible(name), visible(layout)) for name, layout in zip(diff.alignment.files, diff.alignment.layouts, strict=True)
        ],
    )
