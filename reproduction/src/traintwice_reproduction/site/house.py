"""A picture of the package: rooms as boxes, wider with more code, each above everything that it imports."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path
from typing import Any

Rooms = dict[str, dict[str, Any]]
"""Name of a room to its number of files and lines, and the rooms that it imports."""

WIDTH, ROW, BOX, GAP = 1060, 104, 50, 10


def rooms_of(package: Path) -> Rooms:
    """Rooms of a package: its folders, and the modules next to them."""
    found: Rooms = {}
    for path in sorted(package.rglob("*.py")):
        if path.parent == package and path.name in ("__init__.py", "__main__.py"):
            continue
        room = found.setdefault(_room(path.relative_to(package).parts[0]), {"files": 0, "lines": 0, "imports": set()})
        text = path.read_text()
        room["files"] += 1
        room["lines"] += text.count("\n")
        room["imports"] |= _imported(ast.parse(text), package.name)
    for name, room in found.items():
        room["imports"] = sorted((room["imports"] & found.keys()) - {name})
    return found


def _room(part: str) -> str:
    return part.removesuffix(".py").lstrip("_")


def _imported(tree: ast.Module, package: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{package}.{a.name}" for a in node.names} if node.module == package else {node.module}
    return {_room(name.split(".")[1]) for name in names if name.startswith(f"{package}.")}


def levels(rooms: Rooms) -> dict[str, int]:
    """Level of each room: one more than the highest room that it imports. Rooms of a circle have one level."""
    found = dict.fromkeys(rooms, 0)
    for _ in rooms:
        for name, room in rooms.items():
            found[name] = min(len(rooms), max((found[other] + 1 for other in room["imports"]), default=0))
    return found


def picture(rooms: Rooms, title: str) -> str:
    """The rooms as SVG, the lowest level at the bottom."""
    at = levels(rooms)
    used = sorted(set(at.values()), reverse=True)
    places: dict[str, tuple[float, float, float]] = {}
    for row, level in enumerate(used):
        names = sorted((name for name in rooms if at[name] == level), key=lambda name: -rooms[name]["lines"])
        widths = [max(92.0, rooms[name]["lines"] ** 0.5 * 1.9) for name in names]
        scale = min(1.0, (WIDTH - GAP * (len(names) - 1)) / sum(widths))
        x = (WIDTH - scale * sum(widths) - GAP * (len(names) - 1)) / 2
        for name, width in zip(names, widths, strict=True):
            places[name] = (x, 44.0 + row * ROW, scale * width)
            x += scale * width + GAP
    lines = [_arrow(places, name, other) for name, room in rooms.items() for other in room["imports"]]
    boxes = [_box(*places[name], name, room) for name, room in rooms.items()]
    files, total = (sum(room[key] for room in rooms.values()) for key in ("files", "lines"))
    head = f"{title}: {len(rooms)} rooms, {files} files, {total:,} lines. Lines lead down to what a room imports."
    height = 44 + len(used) * ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" font-size="13">'
        f"<title>{escape(head)}</title><style>text{{fill:#222}}.n{{font-weight:600}}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/><text x="8" y="22">{escape(head)}</text>{"".join(lines + boxes)}</svg>\n'
    )


def _arrow(places: dict[str, tuple[float, float, float]], name: str, other: str) -> str:
    (x, y, width), (x2, y2, width2) = places[name], places[other]
    up = y2 <= y
    ends = f'x1="{x + width / 2:.0f}" y1="{y + BOX:.0f}" x2="{x2 + width2 / 2:.0f}" y2="{y2:.0f}"'
    return f'<line {ends} stroke="{"#c0392b" if up else "#9aa5b1"}" stroke-width="{1.6 if up else 0.7}"/>'


def _box(x: float, y: float, width: float, name: str, room: dict[str, Any]) -> str:
    middle = f'x="{x + width / 2:.0f}" text-anchor="middle"'
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="6" fill="#e8eefc" stroke="#4457a6"/>'
        f'<text class="n" {middle} y="{y + 21:.0f}">{escape(name)}</text>'
        f'<text {middle} y="{y + 39:.0f}" font-size="11">{room["files"]} / {room["lines"]:,}</text>'
    )
