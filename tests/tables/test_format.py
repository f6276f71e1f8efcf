import math

import pytest

from traintwice.tables.format import decimals_for, format_cell
from traintwice.types import Estimate


def estimate(value, half):
    return Estimate(value, value - half, value + half, half / 2, 9, 10, 800)


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
    ],
)
def test_cell(cell, unit, decimals, text):
    assert format_cell(cell, unit, decimals) == text
