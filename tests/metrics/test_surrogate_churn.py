from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from traintwice.errors import BadInput
from traintwice.metrics import churn, surrogate_churn


def by_definition(p, alpha):
    def scaled(m, n):
        return (p[m, n] / p[m, n].max()) ** alpha

    M, N = p.shape[:2]
    return np.mean([np.abs(scaled(a, n) - scaled(b, n)).sum() / 2 for a, b in combinations(range(M), 2) for n in range(N)])


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_equals_the_definition(draw, M, K, alpha):
    p, _ = draw(M, 12, K)
    assert_allclose(surrogate_churn(p, alpha=alpha), by_definition(p, alpha), rtol=1e-11)


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
