import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from traintwice.statistics._inference import (
    ENOUGH,
    Part,
    benjamini_hochberg,
    binomial_mid_p,
    change_of_share,
    half_width,
    holm,
    hypergeometric_mid_p,
    least_that,
    mcnemar,
    p_of_zero,
    scaled_bounds,
    slice_against_floor,
    t_two_sided,
    wilson,
)


def test_half_width_adds_the_parts_each_with_its_t():
    t = stats.t.ppf(0.95, [4, 99])
    assert_allclose(half_width((Part(0.3, 4), Part(0.2, 99)), 0.9), math.sqrt(t[0] ** 2 * 0.3 + t[1] ** 2 * 0.2))
    assert half_width((Part(0.0, 1), Part(0.0)), 0.9) == 0
    assert math.isnan(half_width((Part(0.1, 4), Part(math.nan, 4)), 0.9))


def test_half_width_without_degrees_of_freedom_is_infinite_even_of_no_variance():
    assert math.isinf(half_width((Part(0.1, 4), Part(0.0, 0)), 0.9))
    assert math.isnan(half_width((Part(math.nan, 0),), 0.9))


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
@pytest.mark.parametrize("half", [0.001, 0.5, 1e6, 1e100, math.inf])
def test_no_bound_leaves_the_range(scale, half):
    low, high = scaled_bounds(0.4, half, scale, most=1.0)
    assert 0 <= low <= 0.4 <= high <= 1


@pytest.mark.parametrize(
    ("value", "half", "scale"), [(0.0, 0.1, "log"), (1.0, 0.1, "logit"), (math.inf, 0.1, "log"), (0.5, math.nan, "logit")]
)
def test_no_bounds_where_the_scale_has_none(value, half, scale):
    assert all(math.isnan(b) for b in scaled_bounds(value, half, scale))


def test_an_infinite_width_is_the_whole_range():
    assert scaled_bounds(0.2, math.inf, "plain", most=1.0) == (-1.0, 1.0)
    assert scaled_bounds(0.2, math.inf, "logit", most=2.0) == (0.0, 2.0)
    assert scaled_bounds(3.0, math.inf, "log") == (0.0, math.inf)


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


def test_wilson_without_units_has_no_bounds():
    assert all(math.isnan(b) for b in wilson(0.2, 0, 0.95))


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


def test_student_t():
    assert t_two_sided(-2.1, 3.7) == pytest.approx(2 * stats.t.sf(2.1, 3.7))
    assert t_two_sided(2.1, math.inf) == pytest.approx(2 * stats.norm.sf(2.1))


def test_p_of_zero():
    assert p_of_zero(0.4, 0.04, 7) == pytest.approx(2 * stats.t.sf(2, 7))
    assert p_of_zero(math.inf, 0.1, 3) == p_of_zero(0.1, math.nan, 3) == 1.0


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (3, 3), (2, 9), (30, 18), (0, 40)])
def test_mcnemar_is_the_binomial_test(b, c):
    if b + c:
        assert mcnemar(b, c) == pytest.approx(stats.binomtest(b, b + c).pvalue)
        tail = stats.binom.cdf(min(b, c), b + c, 0.5) - stats.binom.pmf(min(b, c), b + c, 0.5) / 2
        assert mcnemar(b, c, mid=True) == pytest.approx(min(2 * tail, 1.0))
    assert mcnemar(b, c) == mcnemar(c, b)
    assert mcnemar(0, 0, mid=True) == 1.0


def mid_p(of, x):
    return min(1.0, 2 * min(of.cdf(x) - of.pmf(x) / 2, of.sf(x) + of.pmf(x) / 2))


@pytest.mark.parametrize("inside", [0, 1, 5, 12])
@pytest.mark.parametrize(("rows_inside", "total", "rows"), [(100, 12, 1000), (900, 30, 1000), (20, 12, 40)])
def test_hypergeometric_mid_p_is_that_of_scipy(inside, rows_inside, total, rows):
    assert hypergeometric_mid_p(inside, rows_inside, total, rows) == pytest.approx(
        mid_p(stats.hypergeom(rows, total, rows_inside), inside), rel=1e-8
    )


def test_hypergeometric_of_many_rows_is_the_normal_one_and_close_to_it_before():
    rows, total, inside = 1_000_000, 80_000, 20_000
    exact = mid_p(stats.hypergeom(rows, total, inside), 1700)
    assert inside * total / rows < ENOUGH
    assert hypergeometric_mid_p(1700, inside, total, rows) == pytest.approx(exact, rel=1e-6)
    exact = mid_p(stats.hypergeom(rows, total, 100_000), 8150)
    assert hypergeometric_mid_p(8150, 100_000, total, rows) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("flips", [0, 50])
def test_a_slice_of_everything_or_without_flips_says_nothing(flips):
    assert hypergeometric_mid_p(flips, 50, flips, 50) == 1.0


@pytest.mark.parametrize(("count", "total", "share"), [(0, 10, 0.2), (3, 10, 0.2), (9, 10, 0.5), (700, 3000, 0.2)])
def test_binomial_mid_p_is_that_of_scipy(count, total, share):
    assert binomial_mid_p(count, total, share) == pytest.approx(mid_p(stats.binom(total, share), count), rel=1e-8)


def test_binomial_of_many_is_the_normal_one():
    assert binomial_mid_p(10_150, 20_000, 0.5) == pytest.approx(mid_p(stats.binom(20_000, 0.5), 10_150), rel=0.02)


def test_slice_against_floor_conditions_on_the_total():
    assert slice_against_floor(20, [10, 11, 10, 9]) == pytest.approx(mid_p(stats.binom(60, 0.2), 20))
    assert slice_against_floor(7, [3]) == pytest.approx(mid_p(stats.binom(10, 0.5), 7))
    assert slice_against_floor(0, [0, 0]) == 1.0
    again = [2, 30, 12, 11]
    phi = np.var(again, ddof=1) / np.mean(again)
    z = (30 - 85 / 5) / math.sqrt(phi * 85 * 0.2 * 0.8)
    assert slice_against_floor(30, again) == pytest.approx(2 * stats.t.sf(z, 3))


def test_slice_against_floor_is_rarely_below_its_level_where_nothing_changed():
    rng = np.random.default_rng(0)
    steady = [slice_against_floor(d[0], d[1:].tolist()) for d in rng.poisson(5, (1000, 5))]
    assert np.mean(np.array(steady) < 0.05) <= 0.06
    rates = 20 * rng.gamma(4, 1 / 4, (1000, 5))  # retrains that vary more than counts do
    wild = [slice_against_floor(d[0], d[1:].tolist()) for d in rng.poisson(rates)]
    assert np.mean(np.array(wild) < 0.05) <= 0.07


def test_holm_equals_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(6) ** 2
        order = np.argsort(p)
        expected = np.empty(6)
        for j in range(6):
            expected[order[j]] = max(min(1, (6 - i) * p[order[i]]) for i in range(j + 1))
        assert_allclose(holm(p.tolist()), expected)
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1, 1]


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(0).random(20) ** 2
    assert_allclose(benjamini_hochberg(list(p)), stats.false_discovery_control(p))
    assert benjamini_hochberg([]) == []


@pytest.mark.parametrize("least", [1, 2, 37, 100])
def test_least_that(least):
    assert least_that(lambda n: n >= least, 100) == least
    assert least_that(lambda n: n >= least, least - 1) is None
