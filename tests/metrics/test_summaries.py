import math

import numpy as np
import pytest
from scipy import stats

from traintwice.metrics._summaries import cluster_freedom, effective_carriers, effective_units


def effective_number(values):
    """The number of equal values that share a sum as evenly."""
    return values.sum() ** 2 / (values**2).sum()


def test_carriers_of_a_mean_follow_from_its_variance():
    sums = np.random.default_rng(0).exponential(size=30) ** 3
    mean, variance = float(sums.mean()), float(sums.var(ddof=1) / 30)
    assert effective_carriers(mean, variance, 30, "log", math.inf) == pytest.approx(effective_number(sums))


def test_carriers_on_the_logit_scale_are_those_of_the_smaller_side():
    sums = np.random.default_rng(1).random(30) / 5
    variance = float(sums.var(ddof=1) / 30)
    for mean in (sums.mean(), 1 - sums.mean()):
        assert effective_carriers(float(mean), variance, 30, "logit", 1.0) == pytest.approx(effective_number(sums))


@pytest.mark.parametrize(("value", "variance", "scale"), [(0.3, 0.2, "plain"), (0.0, 0.0, "log"), (0.3, math.nan, "log")])
def test_every_unit_carries_where_nothing_else_is_known(value, variance, scale):
    assert effective_carriers(value, variance, 30, scale, 1.0) == 30


def test_a_single_cluster_leaves_no_degree_of_freedom():
    assert cluster_freedom(5.5) == 4.5
    assert cluster_freedom(1 + 1e-12) == cluster_freedom(1 - 1e-12) == 0.0


def test_effective_units_have_the_variance_or_are_all_units():
    assert effective_units(0.2, 0.2 * 0.8 / 70, 100, 0.95) == pytest.approx(70)
    assert effective_units(0.2, 0.2 * 0.8 / 700, 100, 0.95, 30) == 100
    assert effective_units(0.0, 0.1, 100, 0.95, 3) == 100


def test_effective_units_are_fewer_where_the_variance_is_estimated_with_few_degrees_of_freedom():
    expected = 70 * (stats.norm.ppf(0.95) / stats.t.ppf(0.95, 4)) ** 2
    assert effective_units(0.2, 0.2 * 0.8 / 70, 100, 0.9, 4) == pytest.approx(expected)
    assert effective_units(0.2, 0.2 * 0.8 / 70, 100, 0.9, 0) == 0
