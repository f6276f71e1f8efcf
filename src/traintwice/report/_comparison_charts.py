"""Charts of a diff: joint density, flow, confidence. Names from files are data, which Vega draws as text."""

from __future__ import annotations

from typing import Any

import altair as alt

from traintwice._formatting import cut, visible
from traintwice.compare._parts import Joint
from traintwice.compare._results import Diff
from traintwice.report._style import PALETTE, QUIET, Figure, finish

BLUES = ["#eef4f9", "#b9d3e7", "#6fa8cf", "#2f7fb3", "#0b4a78"]
BLUE, ORANGE = PALETTE[1], PALETTE[2]
MOST_NAME = 48
"""Width of a name in a chart, in columns; tables have whole names."""

MOST_MATRIX_CLASSES = 15
MOST_CELLS = 12


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
    total = sum(cell[2] for cell in joint.cells)
    what = {"score": "score", "confidence": "confidence", "number": "prediction"}[joint.kind]
    text = f"The new model's {what} against the old model's, {total:,} rows" + (
        f", on {flips:,} of which the label changed." if joint.kind != "number" else "."
    )

    def draw(size: int) -> dict[str, Any]:
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
                tooltip=[
                    alt.Tooltip("old:Q", title="old from", format=".3~f"),
                    alt.Tooltip("new:Q", title="new from", format=".3~f"),
                    alt.Tooltip("rows:Q", format=","),
                    alt.Tooltip("flips:Q", title="labels changed", format=","),
                ],
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
                        legend=alt.Legend(title="labels changed", orient="top", tickCount=2, format="~s", symbolFillColor=ORANGE),
                    ),
                )
            )
        chart = alt.layer(*layers).properties(width=size, height=size)
        return finish(chart, text, cells=cells, ends=[{"end": joint.low}, {"end": joint.high}])

    return Figure("density", text, draw(420), draw(250))


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
        wide, narrow = (_matrix(cells, names, size, text) for size in (min(46 * classes, 460), 185))
        return Figure("flow", text, wide, narrow)
    shown = flow.cells[:MOST_CELLS]
    names = unique([f"{cut(visible(c.old), 20)} → {cut(visible(c.new), 20)}" for c in shown])
    bars = [{"flow": name, "rows": c.rows, "share": 100 * c.share} for name, c in zip(names, shown, strict=True)]
    wide, narrow = (_bars(bars, names, width, text) for width in (420, 150))
    return Figure("flow", text, wide, narrow)


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

    def draw(width: int, height: int) -> dict[str, Any]:
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
            tooltip=[
                alt.Tooltip("band:N", title="confidence"),
                alt.Tooltip("churn:Q", title="churn (%)", format=".2f"),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
        chart = alt.layer(base.mark_line(color=BLUE, strokeWidth=1.8), points).properties(width=width, height=height)
        return finish(chart, text, bands=records)

    return Figure("confidence", text, draw(520, 260), draw(250, 190))


def _matrix(cells: list[dict[str, Any]], names: list[str], size: int, text: str) -> dict[str, Any]:
    axis: dict[str, Any] = {"domain": False, "ticks": False, "grid": False, "labelLimit": 110 if size > 200 else 80}
    chart = (
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
    return finish(chart, text, flow=cells)


def _bars(bars: list[dict[str, Any]], names: list[str], width: int, text: str) -> dict[str, Any]:
    chart = (
        alt.Chart(alt.NamedData("flow"))
        .mark_bar(color=BLUE, height=14)
        .encode(
            x=alt.X("rows:Q", title="rows", axis=alt.Axis(tickCount=4, format="~s")),
            y=alt.Y(
                "flow:N", sort=names, title=None, axis=alt.Axis(labelLimit=220 if width > 200 else 130, domain=False, ticks=False)
            ),
            tooltip=[
                alt.Tooltip("flow:N"),
                alt.Tooltip("rows:Q", format=","),
                alt.Tooltip("share:Q", title="share of all rows (%)", format=".2f"),
            ],
        )
        .properties(width=width, height=alt.Step(24))
    )
    return finish(chart, text, flow=bars)


def unique(names: list[str]) -> list[str]:
    """The names, with a number after repeated ones."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
