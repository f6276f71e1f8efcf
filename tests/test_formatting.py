import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traintwice._formatting import (
    change,
    columns_of,
    cut,
    decimals_for,
    format_cell,
    is_symmetric,
    pad,
    visible,
    with_interval,
    wrap,
)
from traintwice.types import Estimate

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=80)


def estimate(value, half):
    return Estimate(value, value - half, value + half, half / 2, 10, 800)


@pytest.mark.parametrize(
    ("cells", "unit", "decimals"),
    [
        ([estimate(0.05, 0.007)], "fraction", 2),  # 0.70 %
        ([estimate(0.05, 0.07)], "fraction", 1),  # 7.0 %
        ([estimate(0.5, 0.7)], "fraction", 0),  # 70 %
        ([estimate(0.05, 0.007)], "number", 4),
        ([estimate(5, 1e-12)], "number", 6),
        ([estimate(5, 100)], "number", 0),
        ([estimate(5, 0.0), 1.0, None, "x"], "number", 3),
        ([estimate(5, math.nan)], "fraction", 2),
        ([estimate(1, 0.01), estimate(1, 0.02), estimate(1, 5.0)], "number", 3),
    ],
)
def test_two_significant_digits_of_the_typical_interval(cells, unit, decimals):
    assert decimals_for(cells, unit) == decimals


@pytest.mark.parametrize(
    ("cell", "unit", "decimals", "text"),
    [
        (None, "fraction", 2, "–"),
        (math.nan, "number", 2, "–"),
        (math.inf, "fraction", 2, "infinite"),
        ("as it is", "fraction", 2, "as it is"),
        (0.12345, "fraction", 1, "12.3 %"),
        (0.12345, "number", 3, "0.123"),
        (3.0, "cost", 2, "3x"),
        (1.25, "cost", 0, "1.25x"),
        (estimate(-0.02, 0.005), "fraction", 2, "−2.00 ±0.50 %"),
        (estimate(0.65, 0.1), "number", 2, "0.65 ±0.10"),
        (estimate(0.65, math.nan), "number", 2, "0.65"),
        (Estimate(0.0265, 0.0203, 0.0341, 0.003, 10, 800), "fraction", 2, "2.65 % (2.0 to 3.4)"),
        (Estimate(0.001, 0.0, 0.0037, 0.001, 10, 800), "fraction", 2, "0.10 % (0.00 to 0.37)"),
        (Estimate(0.02, 0.0151, 0.0249, 0.002, 10, 800), "points", 2, "+2.00 ±0.49"),
        (Estimate(1.0, 0.5, math.inf, 0.2, 10, 800), "number", 2, "1.00 (0.50 to infinite)"),
    ],
)
def test_cell(cell, unit, decimals, text):
    assert format_cell(cell, unit, decimals) == text


def test_an_interval_that_is_symmetric_to_the_decimals_printed():
    nearly = Estimate(0.0265, 0.01951, 0.03349, 0.003, 10, 800)
    assert format_cell(nearly, "fraction", 2) == "2.65 ±0.70 %"
    assert format_cell(nearly, "fraction", 2, plus_minus=False) == "2.65 % (2.0 to 3.3)"
    lopsided = Estimate(0.0265, 0.0195, 0.0336, 0.003, 10, 800)
    assert is_symmetric(lopsided, "fraction", 1)
    assert not is_symmetric(lopsided, "fraction", 2)


@pytest.mark.parametrize(
    ("cell", "unit", "text"),
    [
        (estimate(0.0631, 0.0004), "fraction", "6.31 % (6.27 to 6.35)"),
        (estimate(0.253, 0.07), "fraction", "25.3 % (18 to 32)"),
        (estimate(0.0631, math.nan), "fraction", "6.31 %"),
        (estimate(0.31, 0.005), "number", "0.310 (0.305 to 0.315)"),
        (estimate(math.inf, math.nan), "fraction", "infinite"),
    ],
)
def test_with_interval(cell, unit, text):
    assert with_interval(cell, unit) == text


def test_a_change_of_fractions_is_in_percentage_points():
    assert change(estimate(-0.0045, 0.002), "fraction") == "−0.45 pp (−0.65 to −0.25)"
    assert change(estimate(0.0022, math.nan), "fraction") == "+0.22 pp"
    assert change(estimate(0.01, 0.002), "number") == "+0.0100 (0.0080 to 0.0120)"


def test_an_end_that_is_not_zero_does_not_print_as_zero():
    assert change(estimate(0.0033, 0.0031), "fraction") == "+0.33 pp (0.02 to 0.64)"
    assert change(estimate(0.0033, 0.0033), "fraction") == "+0.33 pp (0.0 to 0.7)"


@given(TEXT, st.integers(2, 60))
def test_cut_and_pad_keep_to_the_width(text, width):
    assert columns_of(cut(text, width)) <= width
    assert columns_of(pad(cut(text, width), width)) == width


@given(TEXT, st.integers(2, 60))
def test_wrap_loses_nothing_and_keeps_to_the_width(text, width):
    lines = wrap(text, width).split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns_of(line) <= width for line in lines)


def test_a_number_keeps_its_unit():
    assert wrap("it is 12.5 % of all", 10) == "it is\n12.5 % of\nall"
    assert wrap("it is 12.5 pp below", 10) == "it is\n12.5 pp\nbelow"


@given(st.text(max_size=40))
def test_visible_leaves_nothing_that_steers_a_terminal(text):
    assert visible(text).isprintable() or all(c.isprintable() or c.isspace() or ord(c) > 0x7F for c in visible(text))
    assert not set(visible(text)) & {"\x1b", "\n", "\r", "\b", "\u202e", "\u2028"}


def test_visible_leaves_usual_text_alone():
    assert visible("Ünï 日本 'q' <b> -> 3") == "Ünï 日本 'q' <b> -> 3"
