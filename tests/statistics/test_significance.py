import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.statistics._significance import (
    ENOUGH,
    benjamini_hochberg,
    binomial_mid_p,
    holm,
    hypergeometric_mid_p,
    least_that,
    mcnemar,
    p_of_zero,
    slice_against_floor,
    t_two_sided,
)


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
