"""Accuracy against churn of many recipes: names for those that are settled, small grey marks for the rest."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice.report.charts.accuracy_churn import HEIGHT, NOMINAL_WIDTH, records_of
from traintwice.report.charts.labels import Point, place
from traintwice.report.charts.span import span_of_most
from traintwice.report.choice import kinds_of
from traintwice.report.style import INK, KIND_COLOURS, KIND_FILLS, KIND_SHAPES, QUIET, Figure, finish
from traintwice.study import Results, Verdict

Record = dict[str, Any]
MEASURES = ("churn", "accuracy")


def accuracy_churn_of_many(results: Results, found: Verdict) -> Figure:
    """As `accuracy_churn`, with names and crosses only of the baseline and of rows whose churn is settled.

    Args:
        results: of a study.
        found: the verdict on it.
    Returns:
        The figure. The axes reach as far as most intervals do (`span_of_most`); rows outside are left out, and the note names each.
    """
    kinds = {found.baseline: "baseline", **kinds_of(found)}
    records = [{**record, "kind": kinds[record["recipe"]]} for record in records_of(results, found.level)]
    spans = {name: span_of_most([r[f"{name}_{end}"] for r in records for end in ("low", "high")]) for name in MEASURES}
    within = [r for r in records if all(spans[name][0] <= r[name] <= spans[name][1] for name in MEASURES)]
    for r in within:
        for name in MEASURES:
            r[f"{name}_from"] = max(r[f"{name}_low"], spans[name][0])
            r[f"{name}_to"] = min(r[f"{name}_high"], spans[name][1])
    outside = [_point(r) for r in records if r not in within]
    note = f"Outside the axes, which reach as far as most intervals do: {'; '.join(outside)}." if outside else ""
    text = f"Accuracy against churn, one mark for each recipe. {'; '.join(_point(r) for r in records)}."
    return Figure("accuracy-churn", text, _draw(within, spans, text, "wide"), _draw(within, spans, text, "narrow"), note)


def _point(record: Record) -> str:
    return f"{record['recipe']}: churn {record['churn']:.2f} %, accuracy {record['accuracy']:.2f} %"


def _draw(records: list[Record], spans: dict[str, tuple[float, float]], text: str, size: str) -> dict[str, Any]:
    width, height = NOMINAL_WIDTH[size], HEIGHT[size]
    across, up = spans["churn"], spans["accuracy"]
    grey = [r for r in records if r["kind"] == "unsettled"]
    named = [r for r in records if r["kind"] != "unsettled"]
    points = [
        Point(
            (r["churn"] - across[0]) / (across[1] - across[0]) * width,
            (up[1] - r["accuracy"]) / (up[1] - up[0]) * height,
            r["recipe"],
        )
        for r in named
    ]
    labelled = [
        {**r, "dx": label.dx, "dy": label.dy, "align": label.align, "far": label.far}
        for r, label in zip(named, place(points, width, height), strict=True)
    ]
    x = alt.X(
        "churn:Q",
        title="churn (%): fewer flips to the left",
        scale=alt.Scale(domain=across, nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    y = alt.Y("accuracy:Q", title="accuracy (%)", scale=alt.Scale(domain=up, nice=False, zero=False), axis=alt.Axis(tickCount=6))
    kinds = list(KIND_COLOURS)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_COLOURS.values())), legend=None)
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_FILLS.values())), legend=None)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_SHAPES.values())), legend=None)
    tooltip = [alt.Tooltip("recipe:N")] + [
        alt.Tooltip(f"{measure}{end}:Q", title=f"{measure}{end.replace('_', ' ')} (%)", format=".2f")
        for measure in MEASURES
        for end in ("", "_low", "_high")
    ]
    base = alt.Chart(alt.NamedData("named"))
    line: dict[str, Any] = {"opacity": 0.3, "strokeWidth": 1.2, "aria": False}
    name: dict[str, Any] = {"baseline": "middle", "fontSize": 12, "aria": False}
    beside: dict[str, Any] = {offset: alt.ExprRef(f"datum.{offset}") for offset in ("dx", "dy", "align")}
    leader: dict[str, Any] = {"x2Offset": beside["dx"], "y2Offset": beside["dy"], "color": QUIET, "strokeWidth": 0.7}
    chart = alt.layer(
        base.mark_rule(**line).encode(x=alt.X("churn_from:Q"), x2="churn_to:Q", y=y, color=colour),
        base.mark_rule(**line).encode(x=x, y=alt.Y("accuracy_from:Q"), y2="accuracy_to:Q", color=colour),
        alt.Chart(alt.NamedData("grey"))
        .mark_point(size=28, opacity=1, strokeWidth=1.2)
        .encode(x=x, y=y, stroke=colour, fill=fill, shape=shape, tooltip=tooltip),
        base.transform_filter("datum.far").mark_rule(**leader, aria=False).encode(x=x, y=y, x2="churn", y2="accuracy"),
        base.mark_point(size=90, opacity=1, strokeWidth=1.5).encode(
            x=x, y=y, stroke=colour, fill=fill, shape=shape, tooltip=tooltip
        ),
        base.mark_text(**beside, **name, stroke="white", strokeWidth=4, strokeJoin="round").encode(x=x, y=y, text="recipe:N"),
        base.mark_text(**beside, **name, color=INK).encode(x=x, y=y, text="recipe:N"),
        alt.Chart(alt.NamedData("corner"))
        .mark_text(align="left", baseline="top", dx=8, dy=6, fontSize=12, color=QUIET, aria=False)
        .encode(x=alt.value(0), y=alt.value(0), text="text:N"),
    ).properties(width="container", height=height)
    return finish(chart, text, named=labelled, grey=grey, corner=[{"text": "↖ better"}])
