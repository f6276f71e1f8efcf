"""Where to write the names of points so that they do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CHARACTER = 6.4
LINE = 14.0
MARGIN = 9.0
REACH = 5
"""How many lines above or below its point a name may move."""

POINT = 9.0
"""Half the side of the square around a point that other names keep out of."""


@dataclass(frozen=True)
class Point:
    """A point in pixels, y downwards, and its name."""

    x: float
    y: float
    name: str


@dataclass(frozen=True)
class Label:
    """A name's offset from its point in pixels, y downwards, and how the text lies about that place."""

    dx: float
    dy: float
    align: Literal["left", "center", "right"]

    @property
    def far(self) -> bool:
        """So far away that a line must lead to it."""
        return abs(self.dy) > 1.5 * LINE


Box = tuple[float, float, float, float]


def place(points: Sequence[Point], width: float, height: float) -> list[Label]:
    """Labels that overlap each other, the points and the edges as little as can be, chosen one by one from the top.

    Args:
        points: of the plot.
        width, height: of the plot.
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
    beside = [
        Label(MARGIN, 0.0, "left"),
        Label(-MARGIN, 0.0, "right"),
        Label(0.0, -LINE - 3, "center"),
        Label(0.0, LINE + 3, "center"),
    ]
    steps = [sign * step * LINE for step in range(1, REACH + 1) for sign in (-1, 1)]
    return beside + [label for dy in steps for label in (Label(MARGIN, dy, "left"), Label(-MARGIN, dy, "right"))]


CANDIDATES = _candidates()
"""Places for a name, the best first."""


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
