"""Types of arguments of the public functions, checked where they come in."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from traintwice.errors import BadInput

LONGEST = 60
"""Largest number of characters of a value in a message."""


def check_level(level: float) -> None:
    """Raise `BadInput` unless a nominal coverage is between 0 and 1."""
    check_numbers(level=level)
    if not 0 < level < 1:
        raise BadInput(f"level: got {level}, expected a number between 0 and 1, such as 0.95")


def check_numbers(**given: Any) -> None:
    """Raise `BadInput` for an argument that is not a number."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _wrong(name, value, "a number")


def check_whole(**given: Any) -> None:
    """Raise `BadInput` for an argument that is not a whole number."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise _wrong(name, value, "a whole number")


def check_numbers_in(**given: Any) -> None:
    """Raise `BadInput` for an argument that is not a list of numbers."""
    check_lists(**given)
    for name, values in given.items():
        check_numbers(**dict.fromkeys([name], 0.0), **{f"{name}[{i}]": value for i, value in enumerate(values)})


def check_lists(**given: Any) -> None:
    """Raise `BadInput` for an argument that is not a list, tuple, set or array."""
    for name, values in given.items():
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
            raise _wrong(name, values, "a list")


def check_path(**given: Any) -> None:
    """Raise `BadInput` for an argument that is not a path."""
    for name, value in given.items():
        if not isinstance(value, str | Path):
            raise _wrong(name, value, "a path")


def _wrong(name: str, value: Any, expected: str) -> BadInput:
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
    return BadInput(f"{name}: got {shown}, expected {expected}", without_cells=f"{name}: expected {expected}")
