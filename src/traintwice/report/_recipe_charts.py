"""Charts of all recipes: accuracy against churn, one point for each; for many recipes also their differences from the baseline."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice import metrics
from traintwice._formatting import decimals_for, format_cell, number
from traintwice.compare import Difference, interval
from traintwice.report._findings import KINDS, grouped, in_points, kinds_of
from traintwice.report._style import INK, QUIET, Figure, Point, bounds, by_kind, by_row, finish, numbers, place, span_of_most
from traintwice.study import Results, Verdict

HEIGHT = {"wide": 420, "narrow": 400}
NOMINAL_WIDTH = {"wide": 780, "narrow": 290}
"""Widths of the plot that labels are placed for; the drawn width is that of the page."""

CORNER = [{"text": "↖ better"}]

LINE = {"wide": 21, "narrow": 38}
"""Height of a row of the forest plot in pixels; in the narrow form the name is above the bar."""

NAMES = {"wide": 235, "narrow": 185}
"""Width of the names in pixels; longer names are cut, and whole in the tooltip."""

MEASURES = ("churn", "accuracy")

Record = dict[str, Any]
Span = tuple[float, float]
Spans = dict[str, Span]


def accuracy_churn(results: Results, *, level: float = 0.95) -> Figure:
    """Named points with the intervals of both measures as crosses."""
    records = _records(results, level)
    rows = [r["recipe"] for r in records]
    spans = {name: _span(records, name) for name in MEASURES}
    text = f"Accuracy against churn with intervals, one point for each recipe. {_listed(records)}."

    def draw(size: str) -> dict[str, Any]:
        x, y = _axes(spans)
        colour, shape, _ = by_row(rows)
        base = alt.Chart(alt.NamedData("recipes"))
        points = base.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip())
        layers = [*_crosses(base, x, y, colour, ("low", "high"), opacity=0.5, strokeWidth=1.5), *_named(base, x, y, points)]
        chart = alt.layer(*layers, width="container", height=HEIGHT[size])
        return finish(chart, text, recipes=_placed(records, spans, size), corner=CORNER)

    return Figure("accuracy-churn", text, draw("wide"), draw("narrow"))


def accuracy_churn_of_many(results: Results, found: Verdict) -> Figure:
    """As `accuracy_churn`, with names and crosses only of the baseline and of recipes whose churn differs significantly.

    The axes cover most intervals (`span_of_most`); the note names every recipe outside.
    """
    kinds = {found.baseline: "baseline", **kinds_of(found)}
    records = [{**record, "kind": kinds[record["recipe"]]} for record in _records(results, found.level)]
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
        colour, fill, shape = by_kind()
        marks: dict[str, Any] = {"x": x, "y": y, "stroke": colour, "fill": fill, "shape": shape, "tooltip": _tooltip()}
        base = alt.Chart(alt.NamedData("named"))
        others = alt.Chart(alt.NamedData("grey")).mark_point(size=28, opacity=1, strokeWidth=1.2).encode(**marks)
        points = base.mark_point(size=90, opacity=1, strokeWidth=1.5).encode(**marks)
        crosses = _crosses(base, x, y, colour, ("from", "to"), opacity=0.3, strokeWidth=1.2)
        chart = alt.layer(*crosses, others, *_named(base, x, y, points), width="container", height=HEIGHT[size])
        return finish(chart, text, named=_placed(named, spans, size), grey=grey, corner=CORNER)

    return Figure("accuracy-churn", text, draw("wide"), draw("narrow"), note)


def _records(results: Results, level: float) -> list[Record]:
    """Accuracy and churn of every recipe in percent, with their intervals."""
    records = []
    for row in results.rows:
        record: Record = {"recipe": row}
        for name, metric in (("accuracy", metrics.accuracy), ("churn", metrics.churn)):
            estimate = interval(results.measure(metric, row), level=level)
            record |= {name: 100 * estimate.value, **{f"{name}_{end}": at for end, at in bounds(estimate).items()}}
        records.append(record)
    return records


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
    fields = [f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")]
    return [alt.Tooltip("recipe:N"), *numbers(".2f", **{field: f"{field.replace('_', ' ')} (%)" for field in fields})]


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


def forest(found: Verdict) -> Figure:
    """A bar for the interval of each difference in churn, largest drop first; next to it accuracy and costs.

    The axes cover most intervals (`span_of_most`). A bar that is cut ends in an arrow, a difference outside is printed as a number,
    and the note names each.
    """
    kinds = kinds_of(found)
    findings = sorted((f for group in grouped(found).values() for f in group), key=lambda f: f.churn.estimate.value)
    differences = {"churn": [f.churn for f in findings], "accuracy": [f.accuracy for f in findings]}
    digits = {name: decimals_for([d.estimate for d in differences[name]], "fraction") for name in MEASURES}
    spans = {name: _span_with_zero(differences[name]) for name in MEASURES}
    records = []
    for f in findings:
        record: Record = {"row": f.row, "kind": kinds[f.row]}
        record |= {"train": format_cell(f.cost.train, "cost", 0), "serve": format_cell(f.cost.serve, "cost", 0)}
        for name, difference in (("churn", f.churn), ("accuracy", f.accuracy)):
            record |= _ends(name, difference, spans[name], digits[name])
        mark = "" if record["kind"] == "inconclusive" else f"{KINDS[record['kind']].mark} "
        record |= {"churn_edge": f"{mark}{record['churn_number']}", "accuracy_edge": record["accuracy_number"]}
        record["right"] = f"{record['accuracy_number']} · {record['train']} · {record['serve']}"
        records.append(record)
    listed = "; ".join(f"{r['row']}: churn {r['churn_text']}, accuracy {r['accuracy_text']}" for r in records)
    text = f"Differences from {found.baseline} in percentage points with intervals, the largest drop in churn first. {listed}."
    wide, narrow = _wide(records, spans, text), _narrow(records, spans["churn"], text)
    return Figure("forest", text, wide, narrow, _note(records))


def _span_with_zero(differences: list[Difference]) -> Span:
    low, high = span_of_most([end for d in differences for end in bounds(d.estimate).values()])
    return min(low, -0.1), max(high, 0.1)


def _ends(name: str, difference: Difference, span: Span, digits: int) -> Record:
    """A difference as drawn: its bar cut to the axis, and the side of the cut."""
    value, (low, high) = 100 * difference.estimate.value, bounds(difference.estimate).values()
    cut = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): ""}
    return {
        f"{name}_value": value,
        f"{name}_low": min(max(low, span[0]), span[1]),
        f"{name}_high": min(max(high, span[0]), span[1]),
        f"{name}_cut": cut[low < span[0], high > span[1]],
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
    colour, fill, shape = by_kind()
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
