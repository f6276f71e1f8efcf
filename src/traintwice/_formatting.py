"""Numbers and text for people: percent and decimals; the width of text on a terminal; escapes for terminals and Markdown."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from statistics import median
from typing import Any

from traintwice.types import Estimate

MOST_DECIMALS = 6

_UNITS = {"fraction": " %", "points": " pp"}

_BEFORE_UNIT, _JOINED_UNIT = (
    re.compile(rf"{space}(?=%|pp\b|×)|(?<=\bq){space}(?=[<=])|(?<=q.[<=]){space}(?=\d)") for space in (" ", "\u00a0")
)
_MARKS = re.compile(r"([\\`*_\[\]<>&|~$@#])")
_HIDDEN = ("Cc", "Cs", "Zl", "Zp")
_BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def decimals_for(cells: Sequence[Any], unit: str) -> int:
    """Decimals of a column: two significant digits of the median half-width; without intervals, three of the median number.

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
    """A text, a number or an estimate as a cell; an interval is printed as ± if it is symmetric and ``plus_minus`` is set.

    >>> format_cell(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 10, 800), "fraction", 2), format_cell(2.0, "cost", 0)
    ('2.65 ±0.70 %', '2x')
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
    """Whether both ends of the interval are equally far from the value, at this number of decimals; True without ends."""
    above, below = (number(side, unit, decimals) for side in (estimate.high - estimate.value, estimate.value - estimate.low))
    return above == below


def number(value: float, unit: str, decimals: int, *, sign: bool = False) -> str:
    """A number without its unit, with a minus sign (−) and no sign at zero; fractions and points are multiplied by 100.

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
    """The bounds of an interval; "" if there is none.

    >>> between(Estimate(0.0022, 0.0015, 0.0029, 0.0003, 2, 800), "fraction")
    '0.15 to 0.29'
    """
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    digits = end_digits(estimate, unit, decimals)
    return f"{number(estimate.low, unit, digits)} to {number(estimate.high, unit, digits)}"


def end_digits(estimate: Estimate | float, unit: str, decimals: int | None = None) -> int:
    """Decimals of the bounds: one fewer than of the number if the half-width starts with 3 or more and no bound rounds to 0.

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
    """Decimals of a number in a sentence: those of its bounds, or two if its interval supports two.

    >>> digits_of(Estimate(0.0265, 0.0195, 0.0335, 0.0031, 2, 800), "fraction")
    2
    """
    return max(end_digits(estimate, unit), min(decimals_for([estimate], unit), 2))


def change(estimate: Estimate, unit: str) -> str:
    """A difference with its sign and interval; differences of fractions in percentage points.

    >>> change(Estimate(0.0022, 0.0015, 0.0029, 0.0003, 2, 800), "fraction")
    '+0.22 pp (0.15 to 0.29)'
    """
    digits = digits_of(estimate, unit)
    ends = between(estimate, unit)
    return f"{number(estimate.value, unit, digits, sign=True)}{' pp' if unit == 'fraction' else ''}{f' ({ends})' if ends else ''}"


def value_of(estimate: Estimate | float, unit: str, decimals: int | None = None) -> str:
    """The number with its unit; points with their sign.

    >>> value_of(0.0631, "fraction"), value_of(0.0022, "points", 2), value_of(1.5, "number", 1)
    ('6.31 %', '+0.22 pp', '1.5')
    """
    text = number(float(estimate), unit, digits_of(estimate, unit) if decimals is None else decimals, sign=unit == "points")
    return text + _UNITS.get(unit, "") if math.isfinite(float(estimate)) else text


def limits_in_words(most: float | None, least: float | None, unit: str) -> str:
    """Limits with their unit, all digits printed.

    >>> limits_in_words(0.1, None, "fraction"), limits_in_words(1.5, -0.01, "points")
    ('at most 10 %', 'at most 150 pp and at least −1 pp')
    """
    scale, limits = 100 if unit in _UNITS else 1, {"at most": most, "at least": least}
    texts = {word: f"{scale * limit:.10g}".replace("-", "−") for word, limit in limits.items() if limit is not None}
    return " and ".join(f"{word} {text}{_UNITS.get(unit, '')}" for word, text in texts.items())


def with_interval(estimate: Estimate, unit: str) -> str:
    """The number with its unit and the bounds of its interval.

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
    """A ratio: "1.4 times", or the number alone; two decimals below 1.1, to show on which side of 1 it is; "over 1,000" from there on.

    >>> times(1.4), times(13.2), times(0.96, word=False), times(7872.4, word=False), times(float("inf"))
    ('1.4 times', '13 times', '0.96', 'over 1,000', 'infinitely many times')
    """
    if math.isinf(ratio):
        return "infinitely many times" if word else "infinite"
    text = (
        f"{ratio:.2f}" if ratio < 1.095 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}" if ratio < 999.5 else "over 1,000"
    )
    return f"{text} times" if word else text


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b"]), listed([f"x{i}" for i in range(5)], most=3)
    ('a, b', 'x0, x1, x2 and 2 more')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def bytes_in_words(count: int) -> str:
    """Bytes with a unit.

    >>> bytes_in_words(4_300_000)
    '4.3 MB'
    """
    if count < 1000:
        return f"{count} bytes"
    value, unit = count / 1000, 0
    while value >= 1000 and unit < 3:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {('kB', 'MB', 'GB', 'TB')[unit]}"


def points(value: float) -> str:
    """A difference of fractions in percentage points, with at least two digits.

    >>> points(0.0041), points(-0.018), points(0.123)
    ('0.41', '−1.8', '12.3')
    """
    scaled = 100 * value
    text = f"{scaled:.{1 if abs(scaled) >= 1 else 2 if abs(scaled) >= 0.095 or scaled == 0 else 4}f}"
    return text.replace("-", "−")


def columns_of(text: str) -> int:
    """Width of a text on a terminal, in columns.

    >>> columns_of("né"), columns_of("日本"), columns_of("e\u0301")
    (2, 4, 1)
    """
    return len(text) if text.isascii() else sum(_width(character) for character in text)


def pad(text: str, width: int, right: bool = False) -> str:
    """The text filled with blanks to this width; ``right`` aligns it to the right."""
    blanks = " " * max(width - columns_of(text), 0)
    return blanks + text if right else text + blanks


def cut(text: str, width: int) -> str:
    """The text cut to this width, with … at the cut.

    >>> cut("a very long name", 8), cut("short", 8)
    ('a very …', 'short')
    """
    return text if columns_of(text) <= width else _head(text, width - 1) + "…"


def wrap(text: str, width: int) -> str:
    """Lines of at most this width. Lines break between words, never before "%", "pp" or "×"; words longer than a line are broken.

    >>> wrap("one two three", 8)
    'one two\\nthree'
    """
    lines, line = [], ""
    for word in with_units(text).split(" "):
        if line and columns_of(line) + 1 + columns_of(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while columns_of(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    broken = "\n".join([*lines, line]) if line or not lines else "\n".join(lines)
    return _JOINED_UNIT.sub(" ", broken)


def with_units(text: str) -> str:
    """The text with non-breaking spaces before "%", "pp" and "×", and in "q < 0.001".

    >>> with_units("3.9 % of all")
    '3.9\\xa0% of all'
    """
    return _BEFORE_UNIT.sub("\u00a0", text)


def visible(text: str) -> str:
    """The text with control characters escaped, so that the content of a file cannot control the terminal.

    >>> visible("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\\\nc'
    """
    if text.isprintable() and text.isascii():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _HIDDEN or c in _BIDIRECTIONAL else c for c in text
    )


def plain_markdown(text: str) -> str:
    """The text with all Markdown of GitHub escaped: markup, table rules and mentions.

    >>> plain_markdown("a|b <script> *x*")
    'a\\\\|b &lt;script&gt; \\\\*x\\\\*'
    """
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
    return _MARKS.sub(lambda m: named.get(m[1], "\\" + m[1]), text.replace("\r", " ").replace("\n", " "))


def _head(text: str, width: int) -> str:
    """The longest prefix that fits this width."""
    room = width
    for at, character in enumerate(text):
        room -= _width(character)
        if room < 0:
            return text[:at]
    return text


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
