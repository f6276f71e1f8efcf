"""Charts of the papers' figures as Vega-Lite specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from traintwice.report._style import DASHES, PALETTE, QUIET, SHAPES, Figure, finish

WIDE, NARROW = 860, 330
"""Widths of a figure in pixels."""

Records = list[dict[str, Any]]


def panels(
    name: str,
    text: str,
    records: Records,
    *,
    across: str,
    rows: Sequence[str],
    columns: Sequence[str],
    grey: Mapping[tuple[str, str], str],
) -> Figure:
    """A grid of small charts: a point with its interval for each value of a weight.

    Args:
        name, text: of the figure.
        records: with keys row, column, x, value, low, high; x = 0 is the baseline.
        across: title of the x axis.
        rows, columns: in order; each column is a measure with its own scale.
        grey: the paper's numbers for a panel, by row and column; "" for none.
    """

    def drawn(width: int, several: bool) -> dict[str, Any]:
        across_row = len(columns) if several else 1
        each = width / across_row - 70
        lines = []
        for row in rows:
            charts = [_panel(row, column, across, each, grey[row, column]) for column in columns]
            lines.append(alt.hconcat(*charts) if several else alt.vconcat(*charts))
        chart = alt.vconcat(*lines).resolve_scale(y="independent")
        return finish(chart, text, records=records)

    return Figure(name, text, drawn(WIDE, True), drawn(NARROW, False))


def _panel(row: str, column: str, across: str, width: float, grey: str) -> Any:
    base = alt.Chart(alt.NamedData("records")).transform_filter((alt.datum.row == row) & (alt.datum.column == column))
    x = alt.X("x:O", title=across, axis=alt.Axis(labelAngle=0))  # steps of equal width: the weights are nearly geometric
    scale = alt.Scale(zero=False, nice=True)
    return (
        alt.layer(
            base.mark_rule(color=PALETTE[1], strokeWidth=1.5).encode(
                x=x, y=alt.Y("low:Q", title=column, scale=scale), y2="high:Q"
            ),
            base.mark_line(color=PALETTE[1], strokeWidth=1).encode(x=x, y=alt.Y("value:Q", scale=scale)),
            base.mark_point(color=PALETTE[1], filled=True, size=50, opacity=1).encode(x=x, y="value:Q"),
        )
        .properties(
            width=width,
            height=170,
            title=alt.TitleParams(row, subtitle=grey, subtitleColor=QUIET) if grey else alt.TitleParams(row),
        )
        .resolve_scale(y="shared")
    )


def curves(
    name: str,
    text: str,
    records: Records,
    *,
    across: Sequence[str],
    up: str,
    kinds: Sequence[str],
    panel_names: Sequence[str] = (),
    points: bool = False,
    grey: str = "",
) -> Figure:
    """One line for each kind, in one panel or several.

    Args:
        name, text: of the figure.
        records: with keys x, y, kind, order and, with panels, panel; with points also the ends x_low, x_high, y_low, y_high.
        across: titles of the x axes, one for each panel.
        up: title of the y axes.
        kinds: in order; the first is the baseline.
        panel_names: in order; empty for one panel.
        points: draw points and their intervals.
        grey: the paper's numbers.
    """

    def drawn(width: int, several: bool) -> dict[str, Any]:
        each = width / (len(panel_names) if several and panel_names else 1) - 90
        panels = zip(panel_names or ("",), across, strict=True)
        charts = [_lines(panel, title, up, kinds, each, points, grey) for panel, title in panels]
        return finish(alt.hconcat(*charts) if several else alt.vconcat(*charts), text, records=records)

    return Figure(name, text, drawn(WIDE, True), drawn(NARROW, False))


def _lines(panel: str, across: str, up: str, kinds: Sequence[str], width: float, points: bool, grey: str) -> Any:
    base = alt.Chart(alt.NamedData("records"))
    if panel:
        base = base.transform_filter(alt.datum.panel == panel)
    many = [i % len(PALETTE) for i in range(len(kinds))]
    long = alt.Legend(symbolSize=120 if points else 900, symbolOpacity=1)  # long enough to show the dashes
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=list(kinds), range=[PALETTE[i] for i in many]), title=None, sort=list(kinds), legend=long
    )
    dash = alt.StrokeDash(
        "kind:N", scale=alt.Scale(domain=list(kinds), range=[list(DASHES[i]) for i in many]), title=None, legend=long
    )
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=list(kinds), range=[SHAPES[i] for i in many]), title=None)
    flexible = alt.Scale(zero=False, nice=True)
    x, y = alt.X("x:Q", title=across, scale=flexible, axis=alt.Axis(tickCount=7)), alt.Y("y:Q", title=up, scale=flexible)
    layers = [base.mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour, strokeDash=dash, order="order:Q")]
    if points:
        rule: dict[str, Any] = {"opacity": 0.3, "strokeWidth": 1.2}
        layers.append(base.mark_rule(**rule).encode(x=alt.X("x_low:Q", scale=flexible), x2="x_high:Q", y=y, color=colour))
        layers.append(base.mark_rule(**rule).encode(x=x, y=alt.Y("y_low:Q", scale=flexible), y2="y_high:Q", color=colour))
        layers.append(base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour, shape=shape))
    chart = alt.layer(*layers).properties(width=width, height=300)
    if grey:  # a subtitle without a title is not drawn
        title = (
            alt.TitleParams(panel, subtitle=grey, subtitleColor=QUIET)
            if panel
            else alt.TitleParams(grey, color=QUIET, fontWeight="normal")
        )
        return chart.properties(title=title)
    return chart.properties(title=panel) if panel else chart
