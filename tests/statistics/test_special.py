"""Distribution functions are those of SciPy."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from traintwice.statistics._special import (
    LARGE_FREEDOM,
    binomial_cdf,
    chi_square_quantile,
    erf,
    incomplete_beta,
    least_of,
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
)

FREEDOMS = (0.4, 1, 1.5, 2, 3.7, 9, 99, 1234.5, 1e5, math.inf)


def test_normal_distribution():
    x = np.linspace(-9, 9, 301)
    assert_allclose(normal_cdf(x), special.ndtr(x), rtol=1e-12)
    assert_allclose(erf(x), special.erf(x), rtol=1e-13)
    for p in (1e-12, 0.025, 0.5, 0.9, 1 - 1e-9):
        assert normal_quantile(p) == pytest.approx(special.ndtri(p), rel=1e-12, abs=1e-15)
    assert (normal_quantile(0.0), normal_quantile(1.0)) == (-math.inf, math.inf)
    assert math.isnan(normal_quantile(1.5))


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_student_t(freedom):
    for t in (-40.0, -3.0, -0.2, 0.0, 0.7, 5.0, math.inf, -math.inf):
        assert t_cdf(freedom, t) == pytest.approx(special.stdtr(freedom, t), rel=1e-8)
    for p in (1e-7, 0.025, 0.3, 0.5, 0.6, 0.975, 0.9999):
        assert t_quantile(p, freedom) == pytest.approx(special.stdtrit(freedom, p), rel=1e-8, abs=1e-12)


def test_student_t_without_a_value():
    assert math.isnan(t_quantile(0.9, math.nan))
    assert math.isnan(t_quantile(0.9, 0.0))
    assert math.isnan(t_cdf(3, math.nan))


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2, 3), (40, 0.5), (900, 1100)])
def test_incomplete_beta(a, b):
    for x in (0.0, 1e-9, 0.1, 0.44, 0.45, 0.46, 0.9, 1.0):
        assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("total", [1, 2, 12, 1000, 10**6])
def test_binomial_distribution(total):
    for k in {0, total // 3, total // 2, total - 1, total}:
        assert binomial_cdf(k, total, 0.5) == pytest.approx(stats.binom.cdf(k, total, 0.5), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("freedom", [1, 2, 3, 18, 19, LARGE_FREEDOM - 1, LARGE_FREEDOM, LARGE_FREEDOM + 1, 5000])
def test_chi_square_distribution(freedom):
    p = np.linspace(0.005, 0.995, 50)
    assert_allclose(chi_square_quantile(freedom, p), stats.chi2.ppf(p, freedom), rtol=1e-9 if freedom <= LARGE_FREEDOM else 1e-4)


def test_the_least_value_of_a_function():
    assert least_of(lambda x: abs(x - 0.3), -1, 1, 1e-9) == pytest.approx(0.3, abs=1e-8)
    assert least_of(lambda x: x, -1, 1, 1e-9) == pytest.approx(-1, abs=1e-8)
