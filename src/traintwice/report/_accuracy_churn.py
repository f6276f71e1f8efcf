"""Charts of accuracy against churn, one point for each recipe: with few recipes all are named, with many only the significant ones."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from traintwice import metrics
from traintwice.compare import interval
from traintwice.report._findings import kinds_of
from traintwice.report._layout import Point, place, span_of_most
from traintwice.report._style import (
    INK,
    KIND_COLOURS,
    KIND_FILLS,
    KIND_SHAPES,
    PALETTE,
    QUIET,
    SHAPES,
    Figure,
    finish,
    marks_of,
)
from traintwice.study import Results, Verdict

HEIGHT = {"wide": 420, "narrow": 400}
NOMINAL_WIDTH = {"wide": 780, "narrow": 290}
"""Widths of the plot that labels are placed for; the drawn width is that of the page."""

MEASURES = ("churn", "accuracy")

Record = dict[str, Any]
Spans = dict[str, tuple[float, float]]


def accuracy_churn(results: Results, *, level: float = 0.95) -> Figure:
    """Named points with the intervals of both measures as crosses.

    Args:
        results: of a study.
        level: of the intervals.
    """
    records = records_of(results, level)
    rows = [r["recipe"] for r in records]
    spans = {name: _span(records, name) for name in MEASURES}
    text = f"Accuracy against churn with intervals, one point for each recipe. {_listed(records)}."

    def draw(size: str) -> dict[str, Any]:
        x, y = _axes(spans)
        colour = alt.Color("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, PALETTE)), legend=None)
        shape = alt.Shape("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, SHAPES)), legend=None)
        base = alt.Chart(alt.NamedData("recipes"))
        points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip())
        layers = [*_crosses(base, x, y, colour, ("low", "high"), opacity=0.5, strokeWidth=1.5), *_named(base, x, y, points)]
        chart = alt.layer(*layers).properties(width="container", height=HEIGHT[size])
        return finish(chart, text, recipes=_placed(records, spans, size), corner=CORNER)

    return Figure("accuracy-churn", text, draw("wide"), draw("narrow"))


def accuracy_churn_of_many(results: Results, found: Verdict) -> Figure:
    """As `accuracy_churn`, with names and crosses only of the baseline and of recipes whose churn differs significantly.

    Args:
        results: of a study.
        found: the verdict on it.
    Returns:
        The figure. The axes cover most intervals (`span_of_most`); the note names every recipe outside.
    """
    kinds = {found.baseline: "baseline", **kinds_of(found)}
    records = [{**record, "kind": kinds[record["recipe"]]} for record in records_of(results, found.level)]
    spans = {name: span_of_most([r[f"{name}_{end}"] for r in records for end in ("low", "high")]) for name in MEASURES}
    within = [r for r in records if all(spans[name][0] <= r[name] <= spans[name][1] for name in MEASURES)]
    for r in within:
        for name in MEASURES:
            r[f"{name}_from"] = max(r[f"{name}_low"], spans[name][0])
            r[f"{name}_to"] = min(r[f"{name}_high"], spans[name][1])
    outside = [r for r in records if r not in within]
    note = f"Outside the axes, which cover most intervals: {_listed(outside)}." if outside else ""
    text = f"Accuracy against churn, one mark for each recipe. {_listed(records)}."
    grey = [r for r in within if r["kind"] == "inconclusive"]
    named = [r for r in within if r["kind"] != "inconclusive"]

    def draw(size: str) -> dict[str, Any]:
        x, y = _axes(spans)
        kind = list(KIND_COLOURS)
        colour = alt.Color("kind:N", scale=alt.Scale(domain=kind, range=list(KIND_COLOURS.values())), legend=None)
        fill = alt.Fill("kind:N", scale=alt.Scale(domain=kind, range=list(KIND_FILLS.values())), legend=None)
        shape = alt.Shape("kind:N", scale=alt.Scale(domain=kind, range=list(KIND_SHAPES.values())), legend=None)
        marks: dict[str, Any] = {"x": x, "y": y, "stroke": colour, "fill": fill, "shape": shape, "tooltip": _tooltip()}
        base = alt.Chart(alt.NamedData("named"))
        others = alt.Chart(alt.NamedData("grey")).mark_point(size=28, opacity=1, strokeWidth=1.2).encode(**marks)
        points = base.mark_point(size=90, opacity=1, strokeWidth=1.5).encode(**marks)
        crosses = _crosses(base, x, y, colour, ("from", "to"), opacity=0.3, strokeWidth=1.2)
        chart = alt.layer(*crosses, others, *_named(base, x, y, points)).properties(width="container", height=HEIGHT[size])
        return finish(chart, text, named=_placed(named, spans, size), grey=grey, corner=CORNER)

    return Figure("accuracy-churn", text, draw("wide"), draw("narrow"), note)


def records_of(results: Results, level: float) -> list[Record]:
    """Accuracy and churn of every recipe in percent, with their intervals."""
    records = []
    for row in results.rows:
        record: Record = {"recipe": row}
        for name, metric in (("accuracy", metrics.accuracy), ("churn", metrics.churn)):
            estimate = interval(results.measure(metric, row), level=level)
            low, high = (estimate.value if math.isnan(bound) else bound for bound in (estimate.low, estimate.high))
            record |= {name: 100 * estimate.value, f"{name}_low": 100 * low, f"{name}_high": 100 * high}
        records.append(record)
    return records


CORNER = [{"text": "↖ better"}]


def _listed(records: list[Record]) -> str:
    return "; ".join(f"{r['recipe']}: churn {r['churn']:.2f} %, accuracy {r['accuracy']:.2f} %" for r in records)


def _span(records: list[Record], name: str) -> tuple[float, float]:
    low, high = min(r[f"{name}_low"] for r in records), max(r[f"{name}_high"] for r in records)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _placed(records: list[Record], spans: Spans, size: str) -> list[Record]:
    """The records with the places of their names."""
    width, height = NOMINAL_WIDTH[size], HEIGHT[size]
    across, up = spans["churn"], spans["accuracy"]
    points = [
        Point(
            (r["churn"] - across[0]) / (across[1] - across[0]) * width,
            (up[1] - r["accuracy"]) / (up[1] - up[0]) * height,
            r["recipe"],
        )
        for r in records
    ]
    labels = place(points, width, height)
    return [
        {**r, "dx": label.dx, "dy": label.dy, "align": label.align, "far": label.far}
        for r, label in zip(records, labels, strict=True)
    ]


def _axes(spans: Spans) -> tuple[alt.X, alt.Y]:
    scales = {name: alt.Scale(domain=spans[name], nice=False, zero=False) for name in MEASURES}
    axis = alt.Axis(tickCount=6)
    x = alt.X("churn:Q", title="churn (%): fewer flips to the left", scale=scales["churn"], axis=axis)
    return x, alt.Y("accuracy:Q", title="accuracy (%)", scale=scales["accuracy"], axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    numbers = [(measure, end) for measure in MEASURES for end in ("", "_low", "_high")]
    return [
        alt.Tooltip("recipe:N"),
        *(alt.Tooltip(f"{m}{end}:Q", title=f"{m}{end.replace('_', ' ')} (%)", format=".2f") for m, end in numbers),
    ]


def _crosses(base: Any, x: alt.X, y: alt.Y, colour: alt.Color, ends: tuple[str, str], **line: Any) -> list[Any]:
    first, last = ends
    return [
        base.mark_rule(**line, aria=False).encode(x=alt.X(f"churn_{first}:Q"), x2=f"churn_{last}", y=y, color=colour),
        base.mark_rule(**line, aria=False).encode(x=x, y=alt.Y(f"accuracy_{first}:Q"), y2=f"accuracy_{last}", color=colour),
    ]


def _named(base: Any, x: alt.X, y: alt.Y, points: Any) -> list[Any]:
    """The points with their names, and lines to names that are far away."""
    offset: dict[str, Any] = {name: alt.ExprRef(f"datum.{name}") for name in ("dx", "dy", "align")}
    line: dict[str, Any] = {"x2Offset": offset["dx"], "y2Offset": offset["dy"], "color": QUIET, "strokeWidth": 0.7, "aria": False}
    text: dict[str, Any] = {**offset, "baseline": "middle", "fontSize": 12, "aria": False}
    return [
        base.transform_filter("datum.far").mark_rule(**line).encode(x=x, y=y, x2="churn", y2="accuracy"),
        points,
        base.mark_text(**text, stroke="white", strokeWidth=4, strokeJoin="round").encode(x=x, y=y, text="recipe:N"),
        base.mark_text(**text, color=INK).encode(x=x, y=y, text="recipe:N"),
        alt.Chart(alt.NamedData("corner"))
        .mark_text(align="left", baseline="top", dx=8, dy=6, fontSize=12, color=QUIET, aria=False)
        .encode(x=alt.value(0), y=alt.value(0), text="text:N"),
    ]
