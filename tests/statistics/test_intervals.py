import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from traintwice.statistics._intervals import (
    Part,
    change_of_share,
    effective_units,
    half_width,
    scaled_bounds,
    wilson,
)


def test_half_width_adds_the_parts_each_with_its_t():
    t = stats.t.ppf(0.95, [4, 99])
    assert_allclose(half_width((Part(0.3, 4), Part(0.2, 99)), 0.9), math.sqrt(t[0] ** 2 * 0.3 + t[1] ** 2 * 0.2))
    assert half_width((Part(0.0, 1), Part(0.0)), 0.9) == 0
    assert math.isnan(half_width((Part(0.1, 4), Part(math.nan, 4)), 0.9))


@pytest.mark.parametrize(("value", "half"), [(0.3, 0.05), (0.02, 0.5), (0.999, 0.2)])
def test_bounds_are_formed_on_their_scale(value, half):
    assert_allclose(scaled_bounds(value, half, "plain"), (value - half, value + half))
    r = half / value
    assert_allclose(scaled_bounds(value, half, "log"), [value * math.exp(-r), value * math.exp(r + r**2 / 2)])
    r = half / (value * (1 - value))
    steps = [-r - max(2 * value - 1, 0) * r**2 / 2, r + max(1 - 2 * value, 0) * r**2 / 2]
    assert_allclose(scaled_bounds(value, half, "logit"), special.expit(special.logit(value) + np.array(steps)))


def test_a_logit_scale_may_end_at_another_number_and_mirrors():
    assert_allclose(scaled_bounds(1.8, 0.1, "logit", most=2.0), 2 * np.array(scaled_bounds(0.9, 0.05, "logit")))
    low, high = scaled_bounds(0.2, 0.05, "logit")
    assert_allclose(scaled_bounds(0.8, 0.05, "logit"), [1 - high, 1 - low])


@pytest.mark.parametrize("scale", ["log", "logit"])
@pytest.mark.parametrize("half", [0.001, 0.5, 1e6])
def test_no_bound_leaves_the_range(scale, half):
    low, high = scaled_bounds(0.4, half, scale, most=1.0)
    assert 0 <= low <= 0.4 <= high <= 1


@pytest.mark.parametrize(
    ("value", "half", "scale"), [(0.0, 0.1, "log"), (1.0, 0.1, "logit"), (math.inf, 0.1, "log"), (0.5, math.nan, "logit")]
)
def test_no_bounds_where_the_scale_has_none(value, half, scale):
    assert all(math.isnan(b) for b in scaled_bounds(value, half, scale))


def test_without_width_both_bounds_are_the_value():
    assert scaled_bounds(0.0, 0.0, "log") == (0.0, 0.0)
    assert scaled_bounds(1.0, 0.0, "logit") == (1.0, 1.0)


@pytest.mark.parametrize(("count", "n"), [(1, 20), (7, 50), (49, 50), (500, 100_000)])
def test_wilson_is_scipys(count, n):
    expected = stats.binomtest(count, n).proportion_ci(0.9, method="wilson")
    assert_allclose(wilson(count / n, n, 0.9), (expected.low, expected.high))


@pytest.mark.parametrize("count", [0, 30])
def test_at_the_ends_wilson_is_exact(count):
    expected = stats.binomtest(count, 30).proportion_ci(0.95, method="exact")
    assert_allclose(wilson(count / 30, 30, 0.95), (expected.low, expected.high), atol=1e-12)


def test_wilson_with_few_clusters_is_wider_and_without_units_has_no_bounds():
    few, many = wilson(0.2, 40, 0.95, freedom=4), wilson(0.2, 40, 0.95)
    assert few[0] < many[0] < many[1] < few[1]
    assert all(math.isnan(b) for b in wilson(0.2, 0, 0.95))


def test_effective_units():
    assert effective_units(0.2, 0.2 * 0.8 / 70, 100) == pytest.approx(70)
    assert effective_units(0.2, 0.2 * 0.8 / 700, 100) == 100
    assert effective_units(0.0, 0.1, 100) == 100


def test_change_of_a_share_is_bonett_and_price():
    b, c, n = 8, 3, 60
    p1, p2 = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = stats.norm.ppf(0.975) * math.sqrt((p1 + p2 - (p2 - p1) ** 2) / (n + 2))
    assert_allclose(change_of_share(b, c, n, 0.95), (p2 - p1 - half, p2 - p1 + half))
    low, high = change_of_share(0, 0, 1000, 0.95)
    assert_allclose(low, -high)
    assert 0.002 < high < 0.004  # no row of 1,000 changed: three in 1,000 still may
    assert change_of_share(3, 0, 3, 0.95)[0] == -1


def test_a_change_of_nothing_is_covered_as_often_as_promised():
    """Exact coverage of Bonett and Price over all tables with a true change of zero."""
    n, p = 40, 0.05
    covered = 0.0
    for b in range(12):
        for c in range(12):
            low, high = change_of_share(b, c, n, 0.95)
            covered += stats.multinomial.pmf([b, c, n - b - c], n, [p, p, 1 - 2 * p]) * (low <= 0 <= high)
    assert 0.94 <= covered <= 0.99
