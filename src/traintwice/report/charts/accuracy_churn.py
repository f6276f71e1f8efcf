"""Accuracy against churn, one point for each recipe, with both intervals."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from traintwice import metrics
from traintwice.compare import interval
from traintwice.report.charts.labels import Point, place
from traintwice.report.style import INK, PALETTE, QUIET, SHAPES, Figure, finish, marks_of
from traintwice.study import Results

HEIGHT = {"wide": 420, "narrow": 400}
NOMINAL_WIDTH = {"wide": 780, "narrow": 290}
"""Widths of the plot that labels are placed for; the drawn width follows the page."""


def accuracy_churn(results: Results, *, level: float = 0.95) -> Figure:
    """Points at the estimates, crosses over their intervals, names beside them.

    Args:
        results: of a study.
        level: of the intervals.
    """
    records = records_of(results, level)
    listed = "; ".join(f"{r['recipe']}: churn {r['churn']:.2f} %, accuracy {r['accuracy']:.2f} %" for r in records)
    text = f"Accuracy against churn with intervals, one point for each recipe. {listed}."
    return Figure("accuracy-churn", text, _draw(records, text, "wide"), _draw(records, text, "narrow"))


def records_of(results: Results, level: float) -> list[dict[str, Any]]:
    """Accuracy and churn of every row in percent, with their intervals."""
    records = []
    for row in results.rows:
        record: dict[str, Any] = {"recipe": row}
        for name, metric in (("accuracy", metrics.accuracy), ("churn", metrics.churn)):
            estimate = interval(results.measure(metric, row), level=level)
            low, high = (estimate.value if math.isnan(bound) else bound for bound in (estimate.low, estimate.high))
            record |= {name: 100 * estimate.value, f"{name}_low": 100 * low, f"{name}_high": 100 * high}
        records.append(record)
    return records


def _draw(records: list[dict[str, Any]], text: str, size: str) -> dict[str, Any]:
    rows = [r["recipe"] for r in records]
    across, up = _domain(records, "churn"), _domain(records, "accuracy")
    width, height = NOMINAL_WIDTH[size], HEIGHT[size]
    points = [
        Point(
            (r["churn"] - across[0]) / (across[1] - across[0]) * width,
            (up[1] - r["accuracy"]) / (up[1] - up[0]) * height,
            r["recipe"],
        )
        for r in records
    ]
    labelled = [
        {**record, "dx": label.dx, "dy": label.dy, "align": label.align, "far": label.far}
        for record, label in zip(records, place(points, width, height), strict=True)
    ]
    base = alt.Chart(alt.NamedData("recipes"))
    x = alt.X(
        "churn:Q",
        title="churn (%): fewer flips to the left",
        scale=alt.Scale(domain=across, nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(domain=up, nice=False, zero=False), axis=alt.Axis(tickCount=6))
    colour = alt.Color("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, PALETTE)), legend=None)
    shape = alt.Shape("recipe:N", scale=alt.Scale(domain=rows, range=marks_of(rows, SHAPES)), legend=None)
    tooltip = [alt.Tooltip("recipe:N")] + [
        alt.Tooltip(f"{measure}{end}:Q", title=f"{measure}{end.replace('_', ' ')} (%)", format=".2f")
        for measure in ("churn", "accuracy")
        for end in ("", "_low", "_high")
    ]
    line: dict[str, Any] = {"opacity": 0.5, "strokeWidth": 1.5, "aria": False}
    name: dict[str, Any] = {"baseline": "middle", "fontSize": 12, "aria": False}
    beside: dict[str, Any] = {offset: alt.ExprRef(f"datum.{offset}") for offset in ("dx", "dy", "align")}
    leader: dict[str, Any] = {
        "x2Offset": beside["dx"],
        "y2Offset": beside["dy"],
        "color": QUIET,
        "strokeWidth": 0.7,
        "aria": False,
    }
    chart = alt.layer(
        base.mark_rule(**line).encode(x=alt.X("churn_low:Q"), x2="churn_high:Q", y=y, color=colour),
        base.mark_rule(**line).encode(x=x, y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q", color=colour),
        base.transform_filter("datum.far").mark_rule(**leader).encode(x=x, y=y, x2="churn", y2="accuracy"),
        base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
        base.mark_text(**beside, **name, stroke="white", strokeWidth=4, strokeJoin="round").encode(x=x, y=y, text="recipe:N"),
        base.mark_text(**beside, **name, color=INK).encode(x=x, y=y, text="recipe:N"),
        alt.Chart(alt.NamedData("corner"))
        .mark_text(align="left", baseline="top", dx=8, dy=6, fontSize=12, color=QUIET, aria=False)
        .encode(x=alt.value(0), y=alt.value(0), text="text:N"),
    ).properties(width="container", height=height)
    return finish(chart, text, recipes=labelled, corner=[{"text": "↖ better"}])


def _domain(records: list[dict[str, Any]], name: str) -> tuple[float, float]:
    low, high = min(r[f"{name}_low"] for r in records), max(r[f"{name}_high"] for r in records)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room
