"""What other packages add to this one by entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

T = TypeVar("T")


def added(group: str, read: Callable[[EntryPoint], T], *, trouble: str) -> Iterator[tuple[str, T | None, str]]:
    """For each entry point of a group: its package, what ``read`` makes of it, and a message instead where that raises."""
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else "unknown"
        try:
            found = read(point)
        except Exception as error:
            yield package, None, f"package {package}: {trouble} from {point.value}: {type(error).__name__}: {error}"
        else:
            yield package, found, ""
