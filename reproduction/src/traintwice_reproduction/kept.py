"""Kept results, which the pages of the site are made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEPT = Path(__file__).resolve().parent / "kept"
"""Results as JSON."""

BANK = KEPT / "bank"
"""Bank of this package: entry point `traintwice.banks`."""

ROOT = Path(__file__).resolve().parents[3]
"""Of the repository, where this package is installed from it (editable)."""


def rounded(value: Any, digits: int = 6) -> Any:
    """Plain values with ``digits`` significant digits.

    >>> rounded({"a": [1 / 3]}, 2)
    {'a': [0.33]}
    """
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def written(value: Any, depth: int = 0) -> str:
    """JSON with one line for each entry of the first three levels, so that a diff shows the numbers that changed.

    >>> print(written({"a": 1, "b": {}}))
    {
     "a": 1,
     "b": {}
    }
    """
    if not isinstance(value, dict) or depth == 3 or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    pad = " " * (depth + 1)
    lines = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {written(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def keep(path: Path, value: Any) -> None:
    """Write a result; a file that differs only in its date stays as it is."""
    text = written(value) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or {**json.loads(path.read_text()), "date": None} != {**json.loads(text), "date": None}:
        path.write_text(text)


def read(path: Path) -> Any:
    """A kept result."""
    return json.loads(path.read_text())
