"""The difference of one metric between two sets of models: its value, and its variance over rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.errors import BadInput
from traintwice.metrics._definition import influence_variance
from traintwice.metrics._paired import PairedAccumulator
from traintwice.predictions import Predictions

METRICS = [metrics.accuracy, metrics.log_loss, metrics.precision, metrics.churn, metrics.churn_to_error]


@pytest.fixture
def sets(draw):
    p, y = draw(6, 240, 2)
    rng = np.random.default_rng(1)
    return p[:3], p[3:], y, rng.random(240) + 0.2, rng.integers(0, 40, 240), rng.integers(0, 3, 240)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.__name__)
def test_the_variance_is_that_of_the_difference_of_influences(sets, metric, clustered):
    first, second, y, w, clusters, groups = sets
    both = PairedAccumulator(metric, clustered=clustered)
    for i, j in ((0, 100), (100, 240)):
        both.add(*(Predictions(p[:, i:j], y[i:j], w[i:j], clusters=clusters[i:j]) for p in (first, second)), groups=groups[i:j])
    by_group = both.by_group()
    for g in range(3):
        inside = groups == g
        one, other = (metric.measure(Predictions(p[:, inside], y[inside], w[inside])) for p in (first, second))
        variance, units = influence_variance(other.influence - one.influence, clusters[inside] if clustered else None)
        assert_allclose([by_group[g].value, by_group[g].example_variance], [other.value - one.value, variance], rtol=1e-8)
        assert by_group[g].units == units


def test_all_rows_together(sets):
    first, second, y, *_ = sets
    both = PairedAccumulator(metrics.accuracy)
    both.add(Predictions(first, y), Predictions(second, y))
    one, other = (metrics.accuracy.measure(p, y) for p in (first, second))
    found = both.difference()
    assert found.value == other.value - one.value
    assert_allclose(found.example_variance, influence_variance(other.influence - one.influence)[0], rtol=1e-9)


def test_an_infinite_value_has_no_variance():
    both = PairedAccumulator(metrics.log_loss)
    both.add(
        Predictions(np.array([[[1.0, 0.0], [0.5, 0.5]]]), np.array([1, 0])),
        Predictions(np.full((1, 2, 2), 0.5), np.array([1, 0])),
    )
    assert np.isnan(both.difference().example_variance)


def test_rows_without_a_value_are_named():
    both = PairedAccumulator(metrics.accuracy)
    both.add(Predictions(np.array([[0, 1]])), Predictions(np.array([[0, 1]])))
    assert both.missing == "needs labels"
    with pytest.raises(BadInput, match="has no value by group"):
        PairedAccumulator(metrics.root_mean_squared_error).by_group()
