from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.metrics import churn, delta_1, pairwise_l1, surrogate_churn, total_variation
from traintwice.metrics._pairwise import PAIRS_UP_TO, _network, mean_absolute_difference


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equals_the_definition(draw, M, K):
    p, _ = draw(M, 20, K)
    pairs = [[np.abs(p[a, n] - p[b, n]).sum() for n in range(20)] for a, b in combinations(range(M), 2)]
    assert_allclose(pairwise_l1(p), np.mean(pairs), rtol=1e-12)
    rows = [np.mean([np.abs(p[m] - p[b]).sum(axis=1) for b in range(M) if b != m]) for m in range(M)]
    assert_allclose(pairwise_l1.measure(p).rows, rows, rtol=1e-12)


def test_sorting_equals_pairs(draw):
    p, _ = draw(PAIRS_UP_TO + 5, 20, 5)
    by_pairs = np.abs(p[:, None] - p[None]).sum(axis=(1, 3)) / (len(p) - 1)
    assert_allclose(pairwise_l1.values(p), by_pairs, rtol=1e-12)
    by_class = p.transpose(0, 2, 1)
    assert_allclose(sum(mean_absolute_difference(np, by_class[:, [k]]) for k in range(5)), by_pairs, rtol=1e-12)


@pytest.mark.parametrize("M", [2, 3, 4, 7, 10, PAIRS_UP_TO, PAIRS_UP_TO + 1])
def test_the_number_alone_equals_that_with_its_rows(draw, M):
    p, _ = draw(M, 50, 3)
    for metric in (pairwise_l1, total_variation, surrogate_churn):
        assert_allclose(metric(p), metric.measure(p).value, rtol=1e-12)
        assert metric(np.repeat(p[:1], M, axis=0)) == pytest.approx(0, abs=0 if M <= PAIRS_UP_TO else 1e-15)


@pytest.mark.parametrize("width", range(2, PAIRS_UP_TO + 1))
def test_the_network_sorts(width):
    rows = list(np.random.default_rng(width).integers(0, 2, (width, 2000)))  # a network that sorts zeros and ones sorts all
    expected = np.sort(rows, axis=0)
    for low, high in _network(width):
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    assert np.array_equal(rows, expected)


def test_churn_is_the_pairwise_distance_of_certain_predictions(draw):
    votes = draw(4)[0].argmax(axis=2)
    assert_allclose(pairwise_l1(np.eye(4)[votes]) / 2, churn(votes), rtol=1e-13)


def test_expectation_does_not_depend_on_the_number_of_replicas_but_that_of_delta_does(draw):
    at_2, at_10 = draw(2, 60_000, 3, seed=1)[0], draw(10, 20_000, 3, seed=2)[0]
    assert pairwise_l1(at_2) == pytest.approx(pairwise_l1(at_10), rel=0.01)
    assert delta_1(at_2) / delta_1(at_10) == pytest.approx(np.sqrt(1 / 2) / np.sqrt(9 / 10), rel=0.06)
