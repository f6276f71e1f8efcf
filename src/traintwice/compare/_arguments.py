"""Ranges of arguments of the public functions, checked where they come in."""

from __future__ import annotations

from traintwice.errors import BadInput


def check_level(level: float) -> None:
    """Raise `BadInput` unless a nominal coverage is between 0 and 1."""
    if not 0 < level < 1:
        raise BadInput(f"level: got {level}, expected a number between 0 and 1, such as 0.95")
