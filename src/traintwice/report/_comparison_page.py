"""The report of a diff: one HTML page, or its charts one by one for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from traintwice._formatting import change, value_of, visible, with_interval
from traintwice._names import no_attribute
from traintwice._typed import typed
from traintwice.compare._parts import Answer
from traintwice.compare._results import Diff
from traintwice.errors import Undefined, require
from traintwice.gates._budgets import GateResult
from traintwice.tables import _diff as tables
from traintwice.tables._gate import CONCERNS, budgets_table, gate_sentence
from traintwice.tables._words import against_floor, left_out, margin_in_words, matching, sentence

require("altair", extra="report", purpose="a chart")

import altair as alt  # noqa: E402

from traintwice.report._comparison_charts import confidence_chart, density_chart, flow_chart, forest_chart, periods_chart  # noqa: E402
from traintwice.report._document import MARKS, Card, render  # noqa: E402
from traintwice.report._style import Figure  # noqa: E402

MOST_SLICES = 200
"""Rows of a table of slices on the page; JSON has all."""

MEASURES = {"regressions": ("negative_flips",), "disagreement": ("churn", "regression_difference")}
"""Measures that an answer rests on; the first that has a value is the number of the card."""


def _overall(diff: Diff) -> float:
    return next((m.estimate.value for m in diff.measures if m.name == "churn"), 0.0)


CHARTS: dict[str, tuple[Callable[[Diff], Figure | None], str]] = {
    "density": (lambda diff: None if diff.joint is None else density_chart(diff.joint), "probabilities or numbers"),
    "flow": (flow_chart, "labels that change"),
    "slices": (
        lambda diff: forest_chart("slices", "slices", diff.slices, _overall(diff), diff.predicted),
        "a column of groups (by=…)",
    ),
    "predicted": (
        lambda diff: forest_chart("predicted", "predicted classes", diff.predicted, _overall(diff), diff.slices),
        "classes with enough rows",
    ),
    "periods": (periods_chart, "a column of time (time=…)"),
    "confidence": (confidence_chart, "probabilities"),
}
"""Every chart of a comparison by name, None where it has no numbers for the chart; and what it must have for it."""


def page(diff: Diff, gate: GateResult | None = None) -> str:
    """The whole page; the outcome and the budgets of a gate come first. It has ids and rows only if ``diff`` has them."""
    figures = [figure for draw, _ in CHARTS.values() if (figure := draw(diff)) is not None]
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
        notes=[*tables.notes(diff), *left_out(diff.left_out)],
        sentences=[sentence(text) for text in (tables.reviews(diff), tables.bounds(diff)) if text],
        files=[
            (visible(name), visible(layout)) for name, layout in zip(diff.alignment.files, diff.alignment.layouts, strict=True)
        ],
    )


def cards_of_diff(diff: Diff) -> list[Card]:
    """One card for each answer, in the order of the answers."""
    numbers = dict(_numbers(diff))
    return [
        Card(a.question.capitalize(), visible(a.verdict), a.concern, value, _parts(a, value))
        for a in diff.answers
        for value in (numbers.get(a.question, ""),)
    ]


def _parts(answer: Answer, value: str) -> tuple[str, ...]:
    """The detail of an answer in lines, without the number that the card shows."""
    detail = visible(answer.detail)
    if value.endswith(")"):
        for mark in (",", ";"):
            detail = detail.replace(f" {value}{mark}", mark, 1)
        detail = detail.removesuffix(f" {value}").removeprefix(value).strip()
    return tuple(detail.split("; " if answer.question == "quality" else " · "))


def _numbers(diff: Diff) -> Iterator[tuple[str, str]]:
    """The number of each answer that has one."""
    details = {a.question: a.detail for a in diff.answers}
    for q in diff.quality:
        if details.get("quality", "").startswith(q.title):  # the measure that decided
            yield "quality", change(q.change, q.unit)
            break
    known = {m.name: m for m in diff.measures}
    for question, names in MEASURES.items():
        for name in names:
            if name in known:
                yield question, with_interval(known[name].estimate, known[name].unit)
    operating = {f"score ≥ {d.threshold:g}": with_interval(d.changed, "fraction") for d in diff.decisions}
    operating |= {f"top {s.rows:,}": value_of(s.swapped / s.rows, "fraction") for s in diff.swap_sets}
    for where, number in operating.items():
        if details.get("operating point", "").startswith(f"{where}: "):  # the worst
            yield "operating point", number


class Plots:
    """The charts of a comparison as Altair charts: ``found.plot.slices()``. Calling it draws the first chart that there is.

    Args:
        diff: of two models.
    """

    def __init__(self, diff: Diff) -> None:
        self._diff = diff

    def __call__(self) -> Any:
        """The first of the charts for which there are numbers.

        Raises:
            Undefined: there are numbers for none.
        """
        for name in ("slices", *CHARTS):
            if (figure := CHARTS[name][0](self._diff)) is not None:
                return _altair(figure)
        raise Undefined("plot: this comparison has no numbers for any chart")

    def density(self) -> Any:
        """Old against new: scores, confidence or numbers."""
        return self._chart("density")

    def flow(self) -> Any:
        """Where predicted classes went."""
        return self._chart("flow")

    def slices(self) -> Any:
        """Churn of each slice with its interval, and its noise floor if there are retrains."""
        return self._chart("slices")

    def predicted(self) -> Any:
        """The same by the class that the old model predicts."""
        return self._chart("predicted")

    def periods(self) -> Any:
        """Churn and the change of accuracy over time."""
        return self._chart("periods")

    def confidence(self) -> Any:
        """Churn by the confidence of the old model."""
        return self._chart("confidence")

    def _chart(self, name: str) -> Any:
        draw, needs = CHARTS[name]
        if (figure := draw(self._diff)) is None:
            raise Undefined(f"plot.{name}: this comparison does not have what the chart needs: {needs}")
        return _altair(figure)

    def __dir__(self) -> list[str]:
        return sorted(CHARTS)

    def __repr__(self) -> str:
        return f"charts: {', '.join(f'plot.{name}()' for name in CHARTS)}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise no_attribute("'plot'", name, CHARTS)


def _altair(figure: Figure) -> Any:
    """A chart of Altair, on white as notebooks may be dark."""
    return alt.Chart.from_dict({**figure.wide, "config": {**figure.wide["config"], "background": "white"}})


@typed
def plots_of(result: Diff | GateResult) -> Plots:
    """The charts of a comparison, or of the comparison that a gate rests on.

    Raises:
        MissingExtra: Altair is not installed.
    """
    return Plots(result.diff if isinstance(result, GateResult) else result)
