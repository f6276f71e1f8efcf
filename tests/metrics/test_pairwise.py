from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from traintwice.errors import BadInput
from traintwice.metrics import churn, delta_1, lemma_2_bound, pairwise_l1, surrogate_churn, tight_lemma_2_bound, total_variation
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


def surrogate_by_definition(p, alpha):
    def scaled(m, n):
        return (p[m, n] / p[m, n].max()) ** alpha

    M, N = p.shape[:2]
    return np.mean([np.abs(scaled(a, n) - scaled(b, n)).sum() / 2 for a, b in combinations(range(M), 2) for n in range(N)])


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_surrogate_churn_equals_the_definition(draw, M, K, alpha):
    p, _ = draw(M, 12, K)
    assert_allclose(surrogate_churn(p, alpha=alpha), surrogate_by_definition(p, alpha), rtol=1e-11)


def test_alpha_is_an_inverse_temperature():
    z = np.random.default_rng(3).normal(size=(3, 30, 4))
    assert_allclose(surrogate_churn(softmax(z, axis=2), alpha=2.5), surrogate_churn(softmax(2.5 * z, axis=2)), rtol=1e-12)


def test_tends_to_churn_without_near_ties(draw):
    p, _ = draw(4, 300, 3)
    top = np.sort(p, axis=2)
    clear = ((top[:, :, -1] - top[:, :, -2]) > 0.01).all(axis=0)
    p = p[:, clear]
    assert clear.sum() > 100
    assert_allclose(surrogate_churn(p, alpha=1e6), churn(p), rtol=1e-12)


def test_zeros_stay_zero_at_any_alpha():
    p = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert [surrogate_churn(p, alpha=a) for a in (1e-3, 1.0, 1e6)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_alpha_must_be_positive(draw, alpha):
    with pytest.raises(BadInput, match="expected a number greater than 0"):
        surrogate_churn(draw()[0], alpha=alpha)


def test_confidence_alone_moves_it_between_zero_and_churn(draw):
    p, _ = draw(4, 200, 3)
    flat, sharp = softmax(1e-4 * np.log(p), axis=2), softmax(50 * np.log(p), axis=2)
    assert surrogate_churn(flat) < 1e-3 < surrogate_churn(p)
    assert surrogate_churn(sharp) == pytest.approx(churn(p), abs=0.02)
    assert churn(flat) == churn(p) == churn(sharp)


def gamma(row):
    top = sorted(row)
    return top[-1] - top[-2]


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_bounds_equal_the_definitions_and_bound_churn(draw, M, K):
    p, _ = draw(M, 12, K)
    loose, tight = [], []
    for a, b in combinations(range(M), 2):
        for n in range(12):
            distance = np.abs(p[a, n] - p[b, n]).sum()
            loose.append(distance > min(gamma(p[a, n]), gamma(p[b, n])))
            tight.append(distance >= gamma(p[a, n]) + gamma(p[b, n]) - 1e-12)
    assert_allclose(lemma_2_bound(p), np.mean(loose), rtol=1e-12)
    assert_allclose(tight_lemma_2_bound(p), np.mean(tight), rtol=1e-12)
    assert churn(p) <= tight_lemma_2_bound(p) <= lemma_2_bound(p)


def test_with_two_classes_the_tight_bound_is_churn(draw):
    p, _ = draw(6, 500, 2)
    assert tight_lemma_2_bound(p) == churn(p)
    assert lemma_2_bound(p) > churn(p)


def test_bounds_hold_with_ties():
    p = np.array([[[0.4, 0.4, 0.2]], [[0.2, 0.4, 0.4]]])
    assert churn(p) == 1 == tight_lemma_2_bound(p) == lemma_2_bound(p)
