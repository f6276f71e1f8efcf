"""Colours, shapes and dashes that colour-blind readers can distinguish, and the style of all charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

INK = "#1c2024"
QUIET = "#5b646d"
RULE = "#e3e6ea"

PALETTE = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito 2008 without yellow, which has little contrast on white; black is for the baseline."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (8, 2, 2, 2), (4, 4), (10, 4), (2, 5))

KIND_COLOURS = {"baseline": "#000000", "lower": "#0072B2", "price": "#b34700", "higher": "#b34700", "inconclusive": "#7d868f"}
KIND_FILLS = {**KIND_COLOURS, "price": "#ffffff", "inconclusive": "#ffffff"}
KIND_SHAPES = {
    "baseline": "circle",
    "lower": "triangle-down",
    "price": "triangle-down",
    "higher": "triangle-up",
    "inconclusive": "circle",
}
"""The marks of the findings differ in shape and filling as well as in colour."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": RULE,
        "domainColor": "#9aa2ab",
        "tickColor": "#9aa2ab",
        "titlePadding": 8,
    },
    "header": {"labelColor": INK, "labelFontSize": 11.5, "labelFontWeight": 600, "title": None, "labelPadding": 6},
    "legend": {"labelColor": QUIET, "titleColor": INK, "titleFontWeight": "normal", "labelFontSize": 12, "titleFontSize": 12},
}


@dataclass(frozen=True)
class Figure:
    """A chart in two widths; the page chooses one.

    Attributes:
        name: of its element in the page.
        alt: text for readers who do not see the chart.
        wide, narrow: Vega-Lite specifications, for screens and for phones.
        note: text below the chart, such as what it leaves out.
    """

    name: str
    alt: str
    wide: dict[str, Any]
    narrow: dict[str, Any]
    note: str = ""


def marks_of(rows: Sequence[str], kind: Sequence[Any]) -> list[Any]:
    """A colour, shape or dash for every recipe, in order. They repeat from the second: the first is only for the baseline."""
    return [kind[0], *(kind[1 + i % (len(kind) - 1)] for i in range(len(rows) - 1))]


def finish(chart: Any, alt: str, **datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart as a Vega-Lite specification with data, style and description."""
    spec: dict[str, Any] = chart.properties(description=alt).to_dict()
    return {**spec, "config": CONFIG, "datasets": datasets}


def faceted(chart: Any, field: str, order: list[str], columns: int, width: int) -> Any:
    """A panel for each value of a field. Every panel has its own axis: the last line of panels may be shorter than the others."""
    facet = alt.Facet(field, sort=order, header=alt.Header(title=None, labelLimit=width + 20))
    return chart.facet(facet, columns=columns).resolve_axis(x="independent")
