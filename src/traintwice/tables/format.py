"""Numbers as a person reads them: percent only here, as many decimals as the interval supports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from traintwice.types import Estimate


def decimals_for(cells: Sequence[Any], unit: str) -> int:
    """Decimals for a column, so that its typical interval shows two significant digits.

    >>> decimals_for([Estimate(0.0265, 0.0195, 0.0335, 0.0031, 9, 10, 800)], "fraction")
    2
    """
    scale = 100.0 if unit == "fraction" else 1.0
    halves = [c.half_width * scale for c in cells if isinstance(c, Estimate) and c.half_width > 0]
    if halves:
        return min(max(1 - math.floor(math.log10(median(halves))), 0), 6)
    return 2 if unit == "fraction" else 3


def format_cell(cell: Any, unit: str, decimals: int) -> str:
    """One cell.

    >>> format_cell(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 9, 10, 800), "fraction", 2)
    '2.65 ±0.70 %'
    >>> format_cell(2.0, "cost", 0), format_cell(float("inf"), "number", 3), format_cell(None, "number", 3)
    ('2x', 'infinite', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    value = float(cell)
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "infinite"
    if unit == "cost":
        return f"{value:.3g}x"
    percent = unit == "fraction"
    text = f"{value * 100 if percent else value:.{decimals}f}"
    if isinstance(cell, Estimate) and not math.isnan(cell.half_width):
        text += f" ±{cell.half_width * 100 if percent else cell.half_width:.{decimals}f}"
    return text + (" %" if percent else "")


def points(value: float, *, signed: bool = False) -> str:
    """A difference of fractions in percentage points, two digits of it at least.

    >>> points(0.0041), points(-0.018, signed=True), points(0.123)
    ('0.41', '-1.8', '12.3')
    """
    scaled = 100 * value
    decimals = 1 if abs(scaled) >= 1 else 2 if abs(scaled) >= 0.095 or scaled == 0 else 4
    return f"{scaled:{'+' if signed else ''}.{decimals}f}"
