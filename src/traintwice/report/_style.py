"""Style of all charts: marks that colour-blind readers can distinguish, axes that ignore outliers, and places for names of points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np

from traintwice.types import Estimate

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

FAR = 3.0
"""Interquartile ranges from the quartiles beyond which a bound is an outlier (Tukey 1977)."""

CHARACTER = 6.4
LINE = 14.0
MARGIN = 9.0
REACH = 5
"""Largest distance of a name from its point, in lines."""

POINT = 9.0
"""Half the side of the square around a point that other names avoid."""

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
    """A chart in two widths, of which the page chooses one: Vega-Lite specifications for screens and for phones.

    ``alt`` is text for readers who do not see the chart; ``note`` is text below it, such as what it leaves out.
    """

    name: str
    alt: str
    wide: dict[str, Any]
    narrow: dict[str, Any]
    note: str = ""


def marks_of(rows: Sequence[str], kind: Sequence[Any]) -> list[Any]:
    """A colour, shape or dash for every recipe, in order. They repeat from the second: the first is only for the baseline."""
    return [kind[0], *(kind[1 + i % (len(kind) - 1)] for i in range(len(rows) - 1))]


def by_row(rows: Sequence[str], field: str = "recipe:N", legend: Any = None) -> tuple[alt.Color, alt.Shape, alt.StrokeDash]:
    """Colour, shape and dash of every recipe."""

    def scale(kind: Sequence[Any]) -> alt.Scale:
        return alt.Scale(domain=list(rows), range=marks_of(rows, kind))

    dash = alt.StrokeDash(field, scale=scale(DASHES), legend=None)
    return alt.Color(field, scale=scale(PALETTE), legend=legend), alt.Shape(field, scale=scale(SHAPES), legend=None), dash


def by_kind() -> tuple[alt.Color, alt.Fill, alt.Shape]:
    """Colour, filling and shape of every kind of finding."""

    def scale(marks: dict[str, str]) -> alt.Scale:
        return alt.Scale(domain=list(marks), range=list(marks.values()))

    colour, fill = (
        alt.Color("kind:N", scale=scale(KIND_COLOURS), legend=None),
        alt.Fill("kind:N", scale=scale(KIND_FILLS), legend=None),
    )
    return colour, fill, alt.Shape("kind:N", scale=scale(KIND_SHAPES), legend=None)


def bounds(estimate: Estimate, scale: float = 100.0) -> dict[str, float]:
    """The bounds "low" and "high" of an interval; the value where there is none."""
    ends = {"low": estimate.low, "high": estimate.high}
    return {name: scale * (estimate.value if math.isnan(end) else end) for name, end in ends.items()}


def drawn(
    name: str,
    text: str,
    chart: Callable[..., Any],
    wide: tuple[int, ...],
    narrow: tuple[int, ...],
    data: dict[str, list[dict[str, Any]]],
    note: str = "",
) -> Figure:
    """The figure of a chart that is made for two sizes, with the same data."""
    return Figure(name, text, finish(chart(*wide), text, **data), finish(chart(*narrow), text, **data), note)


def finish(chart: Any, alt: str, **datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart as a Vega-Lite specification with data, style and description; it is the tests that check it against the schema."""
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return {**spec, "description": alt, "config": CONFIG, "datasets": datasets}


def numbers(form: str, *fields: str, **titled: str) -> list[alt.Tooltip]:
    """Tooltips of numbers in one format; those in ``titled`` have another title than their field."""
    plain = [alt.Tooltip(f"{field}:Q", format=form) for field in fields]
    return plain + [alt.Tooltip(f"{field}:Q", title=title, format=form) for field, title in titled.items()]


def faceted(chart: Any, field: str, order: Sequence[str], columns: int, width: int) -> Any:
    """A panel for each value of a field. Every panel has its own axis: the last line of panels may be shorter than the others."""
    facet = alt.Facet(field, sort=list(order), header=alt.Header(title=None, labelLimit=width + 20))
    return chart.facet(facet, columns=columns).resolve_axis(x="independent")


def span_of_most(ends: Sequence[float]) -> tuple[float, float]:
    """Axis range that ignores outliers: from the smallest to the largest other bound, and a margin of 6 %.

    If half the bounds are equal, no bound is an outlier.

    >>> span_of_most([0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
    (-0.24, 4.24)
    """
    values = np.asarray(ends, dtype=np.float64)
    lower, upper = np.quantile(values, [0.25, 0.75])
    reach = FAR * (upper - lower)
    near = values[(values >= lower - reach) & (values <= upper + reach)] if reach > 0 else values
    room = 0.06 * float(near.max() - near.min()) or 1.0
    return float(near.min()) - room, float(near.max()) + room


@dataclass(frozen=True)
class Point:
    """A point and its name; coordinates in pixels, y downwards."""

    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Label:
    """Offset of a name from its point, in pixels, y downwards, and the alignment of its text."""

    dx: float
    dy: float
    align: Literal["left", "center", "right"]

    @property
    def far(self) -> bool:
        """Whether a line must lead to the name."""
        return abs(self.dy) > 1.5 * LINE


Box = tuple[float, float, float, float]

_ROUND = [sign * step * LINE for step in range(1, REACH + 1) for sign in (-1, 1)]

PLACES = (
    *(Label(MARGIN, 0.0, "left"), Label(-MARGIN, 0.0, "right")),
    *(Label(0.0, -LINE - 3, "center"), Label(0.0, LINE + 3, "center")),
    *(label for dy in _ROUND for label in (Label(MARGIN, dy, "left"), Label(-MARGIN, dy, "right"))),
)
"""Places for a name, preferred ones first."""


def place(points: Sequence[Point], width: float, height: float) -> list[Label]:
    """Labels with little overlap of each other, the points and the edges of the plot; chosen greedily, from the top point down.

    >>> place([Point(10, 50, "left"), Point(95, 20, "right")], 100, 100)
    [Label(dx=9.0, dy=0.0, align='left'), Label(dx=-9.0, dy=0.0, align='right')]
    """
    chosen: dict[int, Label] = {}
    taken: list[Box] = [(p.x - POINT, p.y - POINT, p.x + POINT, p.y + POINT) for p in points]
    for i in sorted(range(len(points)), key=lambda i: (points[i].y, points[i].x)):
        others = taken[:i] + taken[i + 1 :]
        chosen[i] = min(PLACES, key=lambda label: _cost(points[i], label, others, width, height))
        taken.append(_box(points[i], chosen[i]))
    return [chosen[i] for i in range(len(points))]


def _box(point: Point, label: Label) -> Box:
    length = len(point.name) * CHARACTER
    left = point.x + label.dx - {"left": 0.0, "center": 0.5, "right": 1.0}[label.align] * length
    return (left, point.y + label.dy - LINE / 2, left + length, point.y + label.dy + LINE / 2)


def _cost(point: Point, label: Label, others: Sequence[Box], width: float, height: float) -> float:
    box = _box(point, label)
    covered = sum(_overlap(box, other) for other in others)
    outside = max(0.0, -box[0]) + max(0.0, box[2] - width) + max(0.0, -box[1]) + max(0.0, box[3] - height)
    return covered + outside * LINE + abs(label.dy)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
