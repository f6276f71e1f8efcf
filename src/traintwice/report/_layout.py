"""Layout of charts: axes that ignore outliers, and places for the names of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

FAR = 3.0
"""Interquartile ranges from the quartiles beyond which a bound is an outlier (Tukey 1977)."""

CHARACTER = 6.4
LINE = 14.0
MARGIN = 9.0
REACH = 5
"""Largest distance of a name from its point, in lines."""

POINT = 9.0
"""Half the side of the square around a point that other names avoid."""


def span_of_most(ends: Sequence[float]) -> tuple[float, float]:
    """Axis range that ignores outliers: from the smallest to the largest other bound, and a margin of 6 %.

    Args:
        ends: lower and upper bounds of all intervals.
    Returns:
        Low and high. If half the bounds are equal, no bound is an outlier.
    Example:
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


def place(points: Sequence[Point], width: float, height: float) -> list[Label]:
    """Labels with little overlap of each other, the points and the edges; chosen greedily, from the top point down.

    Args:
        points: of the plot.
        width, height: of the plot, in pixels.
    Returns:
        One label for each point, in their order.
    Example:
        >>> place([Point(10, 50, "left"), Point(95, 20, "right")], 100, 100)
        [Label(dx=9.0, dy=0.0, align='left'), Label(dx=-9.0, dy=0.0, align='right')]
    """
    chosen: dict[int, Label] = {}
    taken: list[Box] = [(p.x - POINT, p.y - POINT, p.x + POINT, p.y + POINT) for p in points]
    for i in sorted(range(len(points)), key=lambda i: (points[i].y, points[i].x)):
        others = taken[:i] + taken[i + 1 :]
        best = min(CANDIDATES, key=lambda label: _cost(points[i], label, others, width, height))
        chosen[i] = best
        taken.append(_box(points[i], best))
    return [chosen[i] for i in range(len(points))]


def _candidates() -> list[Label]:
    near = [
        Label(MARGIN, 0.0, "left"),
        Label(-MARGIN, 0.0, "right"),
        Label(0.0, -LINE - 3, "center"),
        Label(0.0, LINE + 3, "center"),
    ]
    steps = [sign * step * LINE for step in range(1, REACH + 1) for sign in (-1, 1)]
    return near + [label for dy in steps for label in (Label(MARGIN, dy, "left"), Label(-MARGIN, dy, "right"))]


CANDIDATES = _candidates()
"""Places for a name, preferred ones first."""


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
