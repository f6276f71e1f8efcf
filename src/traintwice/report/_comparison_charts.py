"""Charts of a diff: joint density, flow, confidence, slices, periods. Names from files are data, which Vega draws as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import altair as alt

from traintwice._formatting import cut, visible
from traintwice.compare._parts import Joint, Slice, slice_name
from traintwice.compare._results import Diff
from traintwice.report._style import INK, PALETTE, QUIET, Figure, bounds, drawn, numbers
from traintwice.tables._words import findings
from traintwice.types import Estimate

BLUES = ["#eef4f9", "#b9d3e7", "#6fa8cf", "#2f7fb3", "#0b4a78"]
BLUE, ORANGE = PALETTE[1], PALETTE[2]
MOST_NAME = 48
"""Width of a name in a chart, in columns; tables have whole names."""

MOST_MATRIX_CLASSES = 15
MOST_CELLS = 12
MOST_SLICES = 30
"""Slices in a chart, in both widths; significant ones are among them first."""

KINDS = ("significant", "not significant")

Records = list[dict[str, Any]]


def density_chart(joint: Joint) -> Figure:
    """Old against new: number of rows in each square (blue), and of rows whose label changed (orange)."""
    step = (joint.high - joint.low) / joint.bins
    cells = [
        {
            "old": joint.low + i * step,
            "old_end": joint.low + (i + 1) * step,
            "new": joint.low + j * step,
            "new_end": joint.low + (j + 1) * step,
            "rows": rows,
            "flips": flips,
        }
        for i, j, rows, flips in joint.cells
    ]
    flips = sum(cell[3] for cell in joint.cells)
    most = max((cell[3] for cell in joint.cells), default=0)
    total = sum(cell[2] for cell in joint.cells)
    what = {"score": "score", "confidence": "confidence", "number": "prediction"}[joint.kind]
    text = f"The new model's {what} against the old model's, {total:,} rows" + (
        f", on {flips:,} of which the label changed." if joint.kind != "number" else "."
    )

    def draw(size: int) -> Any:
        scale = alt.Scale(domain=(joint.low, joint.high), nice=False, zero=False)
        axis = alt.Axis(tickCount=5, grid=False)
        squares = (
            alt.Chart(alt.NamedData("cells"))
            .mark_rect(aria=False)
            .encode(
                x=alt.X("old:Q", title=f"{what}, old model", scale=scale, axis=axis),
                x2="old_end",
                y=alt.Y("new:Q", title=f"{what}, new model", scale=scale, axis=axis),
                y2="new_end",
                color=alt.Color(
                    "rows:Q",
                    scale=alt.Scale(type="log", range=BLUES),
                    legend=alt.Legend(title="rows", orient="top", gradientLength=size // 3, tickCount=3, format="~s"),
                ),
                tooltip=[*numbers(".3~f", old="old from", new="new from"), *numbers(",", "rows", flips="labels changed")],
            )
        )
        mark: dict[str, Any] = {"color": QUIET, "strokeDash": [3, 3], "strokeWidth": 1, "aria": False}
        ends = alt.Chart(alt.NamedData("ends"))
        layers = [squares, ends.mark_line(**mark).encode(x=alt.X("end:Q", scale=scale), y=alt.Y("end:Q", scale=scale))]
        if flips:
            layers.append(
                alt.Chart(alt.NamedData("cells"))
                .transform_filter("datum.flips > 0")
                .transform_calculate(x="(datum.old + datum.old_end) / 2", y="(datum.new + datum.new_end) / 2")
                .mark_point(filled=True, color=ORANGE, opacity=0.85, stroke="white", strokeWidth=0.5, aria=False)
                .encode(
                    x=alt.X("x:Q", scale=scale),
                    y=alt.Y("y:Q", scale=scale),
                    size=alt.Size(
                        "flips:Q",
                        scale=alt.Scale(rangeMin=6, rangeMax=(size / joint.bins) ** 2),
                        legend=alt.Legend(
                            title="labels changed", orient="top", values=sorted({1, most}), format="~s", symbolFillColor=ORANGE
                        ),
                    ),
                )
            )
        return alt.layer(*layers, width=size, height=size)

    return drawn("density", text, draw, (420,), (250,), {"cells": cells, "ends": [{"end": joint.low}, {"end": joint.high}]})


def flow_chart(diff: Diff) -> Figure | None:
    """Old label to new label: a field for each pair of classes; with two or many classes, bars for the largest flows."""
    flow = diff.flow
    if flow is None or not flow.cells:
        return None
    first = flow.cells[0]
    old, new = (cut(visible(name), MOST_NAME) for name in (first.old, first.new))
    text = f"Changes of the predicted label. Most often from {old} to {new}: {first.rows:,} rows."
    classes = len(flow.classes)
    if flow.counts is not None and 2 < classes <= MOST_MATRIX_CLASSES:
        names = unique([cut(visible(c), 20) for c in flow.classes])
        cells = [
            {"old": names[i], "new": names[j], "rows": count}
            for i, line in enumerate(flow.counts)
            for j, count in enumerate(line)
            if i != j
        ]
        return drawn("flow", text, partial(_matrix, names), (min(46 * classes, 460),), (185,), {"flow": cells})
    shown = flow.cells[:MOST_CELLS]
    names = unique([f"{cut(visible(c.old), 20)} → {cut(visible(c.new), 20)}" for c in shown])
    bars = [{"flow": name, "rows": c.rows, "share": 100 * c.share} for name, c in zip(names, shown, strict=True)]
    return drawn("flow", text, partial(_bars, names), (420,), (150,), {"flow": bars})


def confidence_chart(diff: Diff) -> Figure | None:
    """Churn in each band of the old model's confidence; larger points hold more rows."""
    bands = [b for b in diff.confidence if b.rows and b.churn is not None]
    if len(bands) < 2:
        return None
    records = [
        {
            "confidence": (b.low + b.high) / 2,
            "band": f"{b.low:g} to {b.high:g}",
            "churn": 100 * (b.churn or 0.0),
            "rows": b.rows,
        }
        for b in bands
    ]
    first, last = records[0]["churn"], records[-1]["churn"]
    text = f"Churn by the old model's confidence: {first:.1f} % in its lowest band, {last:.1f} % in its highest."

    def draw(width: int, height: int) -> Any:
        base = alt.Chart(alt.NamedData("bands")).encode(
            x=alt.X(
                "confidence:Q", title="confidence of the old model", scale=alt.Scale(domain=(0, 1)), axis=alt.Axis(tickCount=5)
            ),
            y=alt.Y("churn:Q", title="churn (%)", axis=alt.Axis(tickCount=5)),
        )
        points = base.mark_point(filled=True, color=BLUE, opacity=1).encode(
            size=alt.Size(
                "rows:Q",
                scale=alt.Scale(rangeMin=25, rangeMax=260),
                legend=alt.Legend(title="rows", orient="top", tickCount=3, format="~s", symbolFillColor=BLUE),
            ),
            tooltip=[alt.Tooltip("band:N", title="confidence"), *numbers(".2f", churn="churn (%)"), *numbers(",", "rows")],
        )
        return alt.layer(base.mark_line(color=BLUE, strokeWidth=1.8), points, width=width, height=height)

    return drawn("confidence", text, draw, (520, 260), (250, 190), {"bands": records})


def _matrix(names: list[str], size: int) -> Any:
    axis: dict[str, Any] = {"domain": False, "ticks": False, "grid": False, "labelLimit": 110 if size > 200 else 80}
    return (
        alt.Chart(alt.NamedData("flow"))
        .mark_rect(aria=False, stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("new:N", sort=names, title="new label", scale=alt.Scale(domain=names), axis=alt.Axis(labelAngle=-45, **axis)),
            y=alt.Y("old:N", sort=names, title="old label", scale=alt.Scale(domain=names), axis=alt.Axis(**axis)),
            color=alt.Color(
                "rows:Q",
                scale=alt.Scale(range=BLUES, domainMin=0),
                legend=alt.Legend(title="rows that changed", orient="top", gradientLength=160, tickCount=4, format="~s"),
            ),
            tooltip=[alt.Tooltip("old:N"), alt.Tooltip("new:N"), alt.Tooltip("rows:Q", format=",")],
        )
        .properties(width=size, height=size)
    )


def _bars(names: list[str], width: int) -> Any:
    return (
        alt.Chart(alt.NamedData("flow"))
        .mark_bar(color=BLUE, height=14)
        .encode(
            x=alt.X("rows:Q", title="rows", axis=alt.Axis(tickCount=4, format="~s")),
            y=alt.Y(
                "flow:N", sort=names, title=None, axis=alt.Axis(labelLimit=220 if width > 200 else 130, domain=False, ticks=False)
            ),
            tooltip=[alt.Tooltip("flow:N"), *numbers(",", "rows"), *numbers(".2f", share="share of all rows (%)")],
        )
        .properties(width=width, height=alt.Step(24))
    )


def forest_chart(name: str, what: str, slices: Sequence[Slice], overall: float, same_axis: Sequence[Slice] = ()) -> Figure | None:
    """Churn of each slice with its interval, and its noise floor if there are retrains. `same_axis`: slices of another chart."""
    if not slices:
        return None
    records = _records(slices)
    significant = sum(r["kind"] == KINDS[0] for r in records)
    text = f"Churn of {len(records)} {what}, {significant} with a significant finding; churn of all rows {100 * overall:.2f} %."
    shown = sorted(sorted(range(len(records)), key=lambda i: records[i]["kind"] != KINDS[0])[:MOST_SLICES])
    note = f"{len(shown)} of {len(records)}, significant ones first; the table has more." if len(records) > len(shown) else ""
    end = max(r["high"] for r in (*(records[i] for i in shown), *_records(same_axis)[:MOST_SLICES]))
    data = {"slices": [records[i] for i in shown], "all": [{"overall": 100 * overall}]}
    return drawn(name, text, partial(_forest, data["slices"], end), (460, 220), (165, 110), data, note)


def periods_chart(diff: Diff) -> Figure | None:
    """Churn by period, and change of accuracy if there are labels, in the order of time."""
    if not diff.periods:
        return None
    first, last = diff.periods[0], diff.periods[-1]
    ends = [f"{100 * s.churn.value:.2f} % in {cut(slice_name(s.column, s.value), MOST_NAME)}" for s in (first, last)]
    text = f"Churn over {len(diff.periods)} periods: {ends[0]}, {ends[1]}."
    names = [r["slice"].partition("=")[2] or r["slice"] for r in _records(diff.periods)]
    floors = [s.tests[0].old if s.tests and s.excess is not None else None for s in diff.periods]
    rows = {"churn (%)": _over_time(names, [s.churn for s in diff.periods], floors)}
    if all(s.accuracy_change is not None for s in diff.periods):
        changes = [s.accuracy_change for s in diff.periods if s.accuracy_change is not None]
        rows["change of accuracy (pp)"] = _over_time(names, changes, [None] * len(changes))
    data = {f"periods_{number}": records for number, records in enumerate(rows.values())}

    def draw(width: int) -> Any:
        return alt.vconcat(*(_period(name, title, data[name], width) for name, title in zip(data, rows, strict=True)))

    return drawn("periods", text, draw, (560,), (230,), data)


def _records(slices: Sequence[Slice]) -> Records:
    names = unique([cut(slice_name(s.column, s.value), MOST_NAME) for s in slices])
    records = []
    for name, s in zip(names, slices, strict=True):
        record = {
            "slice": name,
            "rows": s.rows,
            "churn": 100 * s.churn.value,
            **bounds(s.churn),
            "q": s.q_value if s.tests else None,
            "kind": KINDS[0 if s.worse or (s.tests and s.restless) else 1],
            "found": "; ".join(findings(s)) if s.tests else "",
        }
        if s.tests and s.excess is not None and s.tests[0].old is not None:
            record["floor"] = 100 * s.tests[0].old
        records.append(record)
    return records


def _over_time(names: Sequence[str], estimates: Sequence[Estimate], floors: Sequence[float | None]) -> Records:
    return [
        {"period": name, "value": 100 * e.value, **bounds(e), **({} if floor is None else {"floor": 100 * floor})}
        for name, e, floor in zip(names, estimates, floors, strict=True)
    ]


def _forest(records: Records, end: float, width: int, label: int) -> Any:
    names = [r["slice"] for r in records]
    y = alt.Y(
        "slice:N", sort=names, title=None, axis=alt.Axis(labelLimit=label, labelPadding=8, domain=False, ticks=False, grid=True)
    )
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=list(KINDS), range=[ORANGE, BLUE]), legend=alt.Legend(title=None, orient="top")
    )
    base = alt.Chart(alt.NamedData("slices"))
    tooltip = [
        alt.Tooltip("slice:N"),
        *numbers(".2f", churn="churn (%)", low="from (%)", high="to (%)"),
        *numbers(",", "rows"),
        *numbers(".2g", "q"),
        alt.Tooltip("found:N", title="significant"),
    ]
    layers = [
        alt.Chart(alt.NamedData("all"))
        .mark_rule(color=QUIET, strokeDash=[3, 3], aria=False)
        .encode(x=alt.X("overall:Q", title="churn (%)", scale=alt.Scale(domain=(0, end), nice=True), axis=alt.Axis(tickCount=5))),
        base.mark_rule(strokeWidth=1.8, aria=False).encode(x="low:Q", x2="high:Q", y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(x="churn:Q", y=y, color=colour, tooltip=tooltip),
    ]
    if any("floor" in record for record in records):
        tooltip = numbers(".2f", floor="noise floor (%)")
        layers.append(base.mark_tick(color=INK, thickness=2, size=12).encode(x="floor:Q", y=y, tooltip=tooltip))
    return alt.layer(*layers, width=width, height=alt.Step(22))


def _period(name: str, title: str, records: Records, width: int) -> Any:
    base = alt.Chart(alt.NamedData(name)).encode(
        x=alt.X("period:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=110, labelOverlap=True))
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
    tooltip = [alt.Tooltip("period:N"), *numbers(".2f", value=title, low="from", high="to")]
    layers = [
        base.mark_area(color=BLUE, opacity=0.15, aria=False).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
        base.mark_line(color=BLUE, strokeWidth=1.8, aria=False).encode(y=y),
        base.mark_point(filled=True, color=BLUE, size=50, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    if any("floor" in record for record in records):
        layers.append(base.mark_line(color=INK, strokeDash=[3, 3], strokeWidth=1.2, aria=False).encode(y="floor:Q"))
    return alt.layer(*layers, width=width, height=170)


def unique(names: list[str]) -> list[str]:
    """The names, with a number after repeated ones."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
