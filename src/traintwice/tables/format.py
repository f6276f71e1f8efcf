"""Numbers as a person reads them: percent only here, as many decimals as the interval supports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from traintwice.types import Estimate

MOST_DECIMALS = 6


def decimals_for(cells: Sequence[Any], unit: str) -> int:
    """Decimals for a column, so that its typical interval shows two significant digits; without intervals, a typical number three.

    >>> decimals_for([Estimate(0.0265, 0.0195, 0.0335, 0.0031, 10, 800)], "fraction")
    2
    >>> decimals_for([0.95, 2.0], "number"), decimals_for([0.00737, 0.0022, None], "number")
    (3, 5)
    """
    scale = 100.0 if unit in ("fraction", "points") else 1.0
    halves = [c.half_width * scale for c in cells if isinstance(c, Estimate) and 0 < c.half_width < math.inf]
    if halves:
        return min(max(1 - math.floor(math.log10(median(halves))), 0), MOST_DECIMALS)
    if unit in ("fraction", "points"):
        return 2
    sizes = [abs(float(c)) for c in cells if isinstance(c, int | float) and math.isfinite(c) and c != 0]
    return min(max(2 - math.floor(math.log10(median(sizes))), 3), MOST_DECIMALS) if sizes else 3


def format_cell(cell: Any, unit: str, decimals: int, *, plus_minus: bool = True) -> str:
    """A text, a number or an estimate as a cell; an interval as ± where it is symmetric to so many decimals and ``plus_minus``.

    >>> format_cell(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 10, 800), "fraction", 2)
    '2.65 ±0.70 %'
    >>> format_cell(Estimate(0.0265, 0.0203, 0.0341, 0.0031, 10, 800), "fraction", 2)
    '2.65 % (2.0 to 3.4)'
    >>> format_cell(2.0, "cost", 0), format_cell(float("inf"), "number", 3), format_cell(None, "number", 3)
    ('2x', 'infinite', '–')
    >>> format_cell(-0.026, "points", 1), format_cell(0.026, "points", 1)
    ('−2.6', '+2.6')
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    value = float(cell)
    if not math.isfinite(value):
        return number(value, unit, decimals)
    if unit == "cost":
        return f"{value:.3g}x"
    text, percent = number(value, unit, decimals, sign=unit == "points"), " %" if unit == "fraction" else ""
    if not isinstance(cell, Estimate) or math.isnan(cell.half_width):
        return text + percent
    if plus_minus and is_symmetric(cell, unit, decimals):
        return f"{text} ±{number(cell.half_width, unit, decimals)}{percent}"
    return f"{text}{percent} ({between(cell, unit, decimals)})"


def is_symmetric(estimate: Estimate, unit: str, decimals: int) -> bool:
    """Whether both ends of the interval are equally far from the value, to so many decimals; True without ends."""
    above, below = (number(side, unit, decimals) for side in (estimate.high - estimate.value, estimate.value - estimate.low))
    return above == below


def number(value: float, unit: str, decimals: int, *, sign: bool = False) -> str:
    """A number without its unit, with a true minus sign and none before zero; fractions and their points in percent.

    >>> number(-0.0123, "fraction", 1), number(-0.0001, "fraction", 1), number(0.0123, "fraction", 1, sign=True)
    ('−1.2', '0.0', '+1.2')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    text = f"{abs(value) * (100 if unit in ('fraction', 'points') else 1):.{decimals}f}"
    if float(text) == 0:
        return text
    return f"−{text}" if value < 0 else f"+{text}" if sign else text


def between(estimate: Estimate, unit: str, decimals: int | None = None) -> str:
    """The ends of an interval; "" where it has none.

    >>> between(Estimate(0.0022, 0.0015, 0.0029, 0.0003, 2, 800), "fraction")
    '0.15 to 0.29'
    """
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    digits = end_digits(estimate, unit, decimals)
    return f"{number(estimate.low, unit, digits)} to {number(estimate.high, unit, digits)}"


def end_digits(estimate: Estimate | float, unit: str, decimals: int | None = None) -> int:
    """Decimals of the ends: one fewer than of the number where the half-width has a leading digit of 3 or more and no end becomes 0.

    >>> end_digits(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 2, 800), "fraction")
    1
    """
    digits = decimals_for([estimate], unit) if decimals is None else decimals
    if not digits or not isinstance(estimate, Estimate) or not math.isfinite(estimate.half_width):
        return digits
    scale = 100 if unit in ("fraction", "points") else 1
    kept = all(end == 0 or round(end * scale, digits - 1) != 0 for end in (estimate.low, estimate.high))
    return digits - 1 if kept and estimate.half_width * scale * 10**digits >= 29.5 else digits


def digits_of(estimate: Estimate | float, unit: str) -> int:
    """Decimals of a number in a sentence: those of its ends, or two where its interval supports them.

    >>> digits_of(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 2, 800), "fraction")
    2
    """
    return max(end_digits(estimate, unit), min(decimals_for([estimate], unit), 2))


def change(estimate: Estimate, unit: str) -> str:
    """A difference with its sign and interval; of fractions in percentage points.

    >>> change(Estimate(0.0022, 0.0015, 0.0029, 0.0003, 2, 800), "fraction")
    '+0.22 pp (0.15 to 0.29)'
    """
    digits = digits_of(estimate, unit)
    ends = between(estimate, unit)
    return f"{number(estimate.value, unit, digits, sign=True)}{' pp' if unit == 'fraction' else ''}{f' ({ends})' if ends else ''}"


def value_of(estimate: Estimate | float, unit: str, decimals: int | None = None) -> str:
    """The number alone, with its unit.

    >>> value_of(0.0631, "fraction")
    '6.31 %'
    """
    text = number(float(estimate), unit, digits_of(estimate, unit) if decimals is None else decimals)
    return f"{text} %" if unit == "fraction" and math.isfinite(float(estimate)) else text


def with_interval(estimate: Estimate, unit: str) -> str:
    """The number with its unit and the ends of its interval.

    >>> with_interval(Estimate(0.0631, 0.0627, 0.0635, 0.0002, 2, 800), "fraction")
    '6.31 % (6.27 to 6.35)'
    """
    ends = between(estimate, unit)
    return value_of(estimate, unit) + (f" ({ends})" if ends else "")


def probability(p: float) -> str:
    """A p- or q-value.

    >>> probability(0.0000001), probability(0.0312)
    ('< 0.001', '= 0.031')
    """
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def times(ratio: float, *, word: bool = True) -> str:
    """A ratio: "1.4 times", or the number alone; below 1.1 to two decimals, so that it shows on which side of 1 it is.

    >>> times(1.4), times(13.2), times(0.96, word=False), times(1.02, word=False), times(float("inf"))
    ('1.4 times', '13 times', '0.96', '1.02', 'infinitely many times')
    """
    if math.isinf(ratio):
        return "infinitely many times" if word else "infinite"
    text = f"{ratio:.2f}" if ratio < 1.095 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"
    return f"{text} times" if word else text


def points(value: float) -> str:
    """A difference of fractions in percentage points, two digits of it at least.

    >>> points(0.0041), points(-0.018), points(0.123)
    ('0.41', '-1.8', '12.3')
    """
    scaled = 100 * value
    return f"{scaled:.{1 if abs(scaled) >= 1 else 2 if abs(scaled) >= 0.095 or scaled == 0 else 4}f}"
