from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from traintwice.errors import BadInput
from traintwice.metrics import jensen_shannon, kl_divergence, pairwise_l1, symmetric_kl
from traintwice.predictions import Predictions


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_scipy_over_pairs(draw, M, K):
    p, _ = draw(M, 8, K)
    ordered = [np.mean(entropy(p[a], p[b], axis=1)) for a, b in permutations(range(M), 2)]
    assert_allclose(kl_divergence(p), np.mean(ordered), rtol=1e-11)
    both = [np.mean(entropy(p[a], p[b], axis=1) + entropy(p[b], p[a], axis=1)) for a, b in combinations(range(M), 2)]
    assert_allclose(symmetric_kl(p), np.mean(both), rtol=1e-11)
    divergence = [np.mean(jensenshannon(p[a], p[b], axis=1) ** 2) for a, b in combinations(range(M), 2)]
    assert_allclose(jensen_shannon(p), np.mean(divergence), rtol=1e-11)


@pytest.mark.parametrize("M", [3, 25])
def test_rows_of_the_closed_form(draw, M):
    p, _ = draw(M, 8, 3)
    skl = [[np.sum((p[a, n] - p[b, n]) * np.log(p[a, n] / p[b, n])) for n in range(8)] for a in range(M) for b in range(M)]
    by_replica = np.sum(np.reshape(skl, (M, M, 8)), axis=1) / (M - 1)
    assert_allclose(symmetric_kl.values(p), by_replica, rtol=1e-10)


def test_pinsker(draw):
    p, _ = draw(2, 50, 4)
    assert (np.asarray(pairwise_l1.values(p))[0] <= np.sqrt(symmetric_kl.values(p)[0]) + 1e-12).all()
    assert (np.asarray(pairwise_l1.values(p))[0] <= np.sqrt(8 * jensen_shannon.values(p)[0]) + 1e-12).all()


def test_zeros():
    p = np.array([[[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], [[0.2, 0.8, 0.0], [0.5, 0.5, 0.0]]])
    values = symmetric_kl.values(p)
    assert_allclose(values[:, 0], 0.3 * np.log(0.5 / 0.2) + 0.3 * np.log(0.8 / 0.5), rtol=1e-12)  # a zero shared is no difference
    assert values[:, 1].tolist() == [np.inf, np.inf]
    assert kl_divergence(p) == np.inf
    assert kl_divergence.definition.infinite(Predictions(p)) == "first at replica 0, example 1; 2 of 4 contributions"
    assert symmetric_kl.definition.infinite(Predictions(p[:, :1])) is None
    assert jensen_shannon(p[:, 1:]) == pytest.approx(jensenshannon(p[0, 1], p[1, 1]) ** 2)


def test_clip_is_explicit_and_renormalises():
    p = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    q = np.array([1.0, 1e-3]) / 1.001
    assert_allclose(kl_divergence(p, clip=1e-3), (entropy(q, [0.5, 0.5]) + entropy([0.5, 0.5], q)) / 2, rtol=1e-12)
    for bad in (0.0, 1.0, -1e-7):
        with pytest.raises(BadInput, match="expected a small probability such as 1e-7"):
            symmetric_kl(p, clip=bad)


def test_close_distributions_keep_their_digits():
    p = np.array([[[0.5, 0.5]], [[0.5 + 1e-9, 0.5 - 1e-9]]])
    assert_allclose(symmetric_kl(p), 4e-18, rtol=1e-6)
