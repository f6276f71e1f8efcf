"""Forest plot: the difference of every recipe from the baseline, for studies of many recipes."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from traintwice._formatting import decimals_for, format_cell, number
from traintwice.compare import Difference
from traintwice.report._findings import in_points, kinds_of
from traintwice.report._layout import span_of_most
from traintwice.report._style import INK, KIND_COLOURS, KIND_FILLS, KIND_SHAPES, QUIET, Figure, finish
from traintwice.study import Verdict

MEASURES = ("churn", "accuracy")
LINE = {"wide": 21, "narrow": 38}
"""Height of a row in pixels; in the narrow form the name is above the bar."""

NAMES = {"wide": 235, "narrow": 185}
"""Width of the names in pixels; longer names are cut, and whole in the tooltip."""

EDGE_MARKS = {"lower": "▼ ", "price": "▽ ", "higher": "▲ ", "inconclusive": ""}
"""Mark before the number of a difference that is outside the axis."""

Record = dict[str, Any]
Span = tuple[float, float]


def forest(found: Verdict) -> Figure:
    """A bar for the interval of each difference in churn, largest drop first; next to it accuracy and costs.

    Args:
        found: the verdict on the study.
    Returns:
        The figure. The axes cover most intervals (`span_of_most`). A bar that is cut ends in an arrow, a difference outside is printed as a
        number, and the note names each.
    """
    findings = sorted(
        [*found.lower, *found.lower_at_a_price, *found.higher, *found.inconclusive], key=lambda f: f.churn.estimate.value
    )
    kinds = kinds_of(found)
    differences = {"churn": [f.churn for f in findings], "accuracy": [f.accuracy for f in findings]}
    digits = {name: decimals_for([d.estimate for d in differences[name]], "fraction") for name in MEASURES}
    spans = {name: _span(differences[name]) for name in MEASURES}
    records = []
    for f in findings:
        record: Record = {"row": f.row, "kind": kinds[f.row]}
        record |= {"train": format_cell(f.cost.train, "cost", 0), "serve": format_cell(f.cost.serve, "cost", 0)}
        for name, difference in (("churn", f.churn), ("accuracy", f.accuracy)):
            record |= _ends(name, difference, spans[name], digits[name])
        record |= {
            "churn_edge": f"{EDGE_MARKS[record['kind']]}{record['churn_number']}",
            "accuracy_edge": record["accuracy_number"],
        }
        record["right"] = f"{record['accuracy_number']} · {record['train']} · {record['serve']}"
        records.append(record)
    listed = "; ".join(f"{r['row']}: churn {r['churn_text']}, accuracy {r['accuracy_text']}" for r in records)
    text = f"Differences from {found.baseline} in percentage points with intervals, the largest drop in churn first. {listed}."
    wide, narrow = _wide(records, spans, text), _narrow(records, spans["churn"], text)
    return Figure("forest", text, wide, narrow, _note(records))


def _span(differences: list[Difference]) -> Span:
    """Range of the axis; it contains zero."""
    low, high = span_of_most([end for d in differences for end in _interval(d)])
    return min(low, -0.1), max(high, 0.1)


def _interval(difference: Difference) -> Span:
    estimate = difference.estimate
    if math.isnan(estimate.low):
        return 100 * estimate.value, 100 * estimate.value
    return 100 * estimate.low, 100 * estimate.high


def _ends(name: str, difference: Difference, span: Span, digits: int) -> Record:
    """A difference as drawn: its bar cut to the axis, and the side of the cut."""
    value, (low, high) = 100 * difference.estimate.value, _interval(difference)
    return {
        f"{name}_value": value,
        f"{name}_low": min(max(low, span[0]), span[1]),
        f"{name}_high": min(max(high, span[0]), span[1]),
        f"{name}_cut": "both"
        if low < span[0] and high > span[1]
        else "left"
        if low < span[0]
        else "right"
        if high > span[1]
        else "",
        f"{name}_outside": "left" if value < span[0] else "right" if value > span[1] else "",
        f"{name}_significant": difference.significant,
        f"{name}_number": number(difference.estimate.value, "points", digits, sign=True),
        f"{name}_text": in_points(difference, digits),
    }


def _note(records: list[Record]) -> str:
    cut = [f"{r['row']}, {name} {r[f'{name}_text']}" for name in MEASURES for r in records if r[f"{name}_cut"]]
    if not cut:
        return ""
    return f"The axes cover most intervals. Intervals that are cut, with an arrow: {'; '.join(cut)}."


def _bars(records: list[Record], name: str, span: Span, y: alt.Y, title: str) -> list[Any]:
    base = alt.Chart(alt.NamedData("differences"))
    scale = alt.Scale(domain=span, nice=False, zero=False)
    axis = alt.Axis(orient="top", tickCount=5, format="+~f", labelExpr="datum.value == 0 ? '0' : datum.label")
    x = alt.X(f"{name}_value:Q", title=title, scale=scale, axis=axis)
    kinds = list(KIND_COLOURS)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_COLOURS.values())), legend=None)
    tooltip = [
        alt.Tooltip("row:N", title="recipe"),
        alt.Tooltip("churn_text:N", title="churn (pp)"),
        alt.Tooltip("accuracy_text:N", title="accuracy (pp)"),
        alt.Tooltip("train:N", title="cost to train"),
        alt.Tooltip("serve:N", title="cost to serve"),
    ]
    low, high = alt.X(f"{name}_low:Q", scale=scale, title=title, axis=axis), f"{name}_high"
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color=QUIET, strokeWidth=1, aria=False)
    within = base.transform_filter(f"datum.{name}_outside == ''")
    if name == "churn":
        shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_SHAPES.values())), legend=None)
        fill = alt.Fill("kind:N", scale=alt.Scale(domain=kinds, range=list(KIND_FILLS.values())), legend=None)
        bars = base.mark_rule(strokeWidth=2, opacity=0.75, aria=False).encode(x=low, x2=high, y=y, color=colour)
        marks = within.mark_point(size=70, opacity=1, strokeWidth=1.5).encode(
            x=x, y=y, stroke=colour, fill=fill, shape=shape, tooltip=tooltip
        )
    else:
        filled = alt.when(f"datum.{name}_significant").then(alt.value(INK)).otherwise(alt.value("#ffffff"))
        bars = base.mark_rule(strokeWidth=1.5, color=QUIET, aria=False).encode(x=low, x2=high, y=y)
        marks = within.mark_point(size=45, opacity=1, strokeWidth=1.5, stroke=INK).encode(x=x, y=y, fill=filled, tooltip=tooltip)
    layers = [zero.encode(x=alt.X("at:Q", title=title, scale=scale, axis=axis)), bars, marks]
    for side, edge, align, dx in (("left", span[0], "left", 9), ("right", span[1], "right", -9)):
        cut = base.transform_filter(f"datum.{name}_cut == '{side}' || datum.{name}_cut == 'both'")
        arrow: dict[str, Any] = {"shape": f"triangle-{side}", "size": 60, "opacity": 1, "filled": True, "color": INK}
        number: dict[str, Any] = {"align": align, "dx": dx, "baseline": "middle", "fontSize": 11, "color": INK, "aria": False}
        at = alt.X(datum=edge, scale=scale, axis=axis, title=title)
        outside = base.transform_filter(f"datum.{name}_outside == '{side}'")
        if any(r[f"{name}_cut"] in (side, "both") for r in records):
            layers.append(cut.mark_point(**arrow).encode(x=at, y=y, tooltip=tooltip))
        if any(r[f"{name}_outside"] == side for r in records):
            layers.append(outside.mark_text(**number).encode(x=at, y=y, text=f"{name}_edge:N"))
    return layers


def _rows(records: list[Record], *, names: bool, grid: bool = True) -> alt.Y:
    axis = alt.Axis(title=None, labels=names, labelLimit=NAMES["wide"], labelColor=INK, ticks=False, domain=False, grid=grid)
    return alt.Y("row:N", sort=None, scale=alt.Scale(domain=[r["row"] for r in records]), axis=axis)


def _wide(records: list[Record], spans: dict[str, Span], text: str) -> dict[str, Any]:
    height = alt.Step(LINE["wide"])
    churn = alt.layer(*_bars(records, "churn", spans["churn"], _rows(records, names=True), "churn (pp): fewer flips to the left"))
    accuracy = alt.layer(*_bars(records, "accuracy", spans["accuracy"], _rows(records, names=False), "accuracy (pp)"))
    costs = [
        alt.Chart(alt.NamedData("differences"), title=alt.Title(title, fontSize=12, fontWeight="normal", color=INK, offset=10))
        .mark_text(baseline="middle", fontSize=12, color=QUIET, aria=False)
        .encode(x=alt.value(22), y=_rows(records, names=False, grid=False), text=f"{name}:N")
        .properties(width=44, height=height)
        for name, title in (("train", "train"), ("serve", "serve"))
    ]
    parts = [churn.properties(width=290, height=height), accuracy.properties(width=150, height=height), *costs]
    return finish(alt.hconcat(*parts, spacing=12), text, differences=records, zero=[{"at": 0}])


def _narrow(records: list[Record], span: Span, text: str) -> dict[str, Any]:
    y = alt.Y("row:N", sort=None, scale=alt.Scale(domain=[r["row"] for r in records], padding=1), axis=None)
    base = alt.Chart(alt.NamedData("differences"))
    line: dict[str, Any] = {"dy": -15, "baseline": "middle", "fontSize": 12, "aria": False}
    halo: dict[str, Any] = {"stroke": "white", "strokeWidth": 4, "strokeJoin": "round"}
    left, right = (alt.X(datum=edge, scale=alt.Scale(domain=span, nice=False, zero=False)) for edge in span)
    chart = alt.layer(
        *_bars(records, "churn", span, y, "churn (pp): fewer flips to the left"),
        base.mark_text(**line, **halo, align="left", limit=NAMES["narrow"]).encode(x=left, y=y, text="row:N"),
        base.mark_text(**line, align="left", limit=NAMES["narrow"], color=INK).encode(x=left, y=y, text="row:N"),
        base.mark_text(**line, **halo, align="right").encode(x=right, y=y, text="right:N"),
        base.mark_text(**line, align="right", color=QUIET).encode(x=right, y=y, text="right:N"),
    ).properties(width="container", height=LINE["narrow"] * (len(records) + 1))
    return finish(chart, text, differences=records, zero=[{"at": 0}])
