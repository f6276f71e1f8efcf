from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from traintwice.errors import BadInput
from traintwice.metrics import (
    hellinger,
    jensen_shannon,
    kl_divergence,
    pairwise_l1,
    squared_hellinger,
    squared_l2,
    symmetric_kl,
    total_variation,
)


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


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_distances_equal_the_definitions(draw, M, K):
    p, _ = draw(M, 10, K)
    pairs = list(combinations(range(M), 2))
    assert_allclose(squared_l2(p), np.mean([np.sum((p[a] - p[b]) ** 2, axis=1) for a, b in pairs]), rtol=1e-11)
    squared = [1 - np.sum(np.sqrt(p[a] * p[b]), axis=1) for a, b in pairs]  # the affinity form
    assert_allclose(squared_hellinger(p), np.mean(squared), rtol=1e-10)
    assert_allclose(hellinger(p), np.mean(np.sqrt(squared)), rtol=1e-10)
    if K == 2:
        assert_allclose(total_variation(p), np.mean([np.abs(p[a, :, 0] - p[b, :, 0]) for a, b in pairs]), rtol=1e-11)
    assert_allclose(total_variation(p), pairwise_l1(p) / 2, rtol=1e-14)


def test_squared_l2_is_twice_the_variance_over_replicas(draw):
    p, _ = draw(7, 30, 3)
    assert_allclose(squared_l2(p), 2 * p.var(axis=0, ddof=1).sum(axis=1).mean(), rtol=1e-12)


def test_total_variation_lies_between_the_hellinger_bounds(draw):
    p, _ = draw(2, 100, 4)
    tv, h2 = total_variation.values(p)[0], squared_hellinger.values(p)[0]
    assert (h2 <= tv + 1e-12).all()
    assert (tv <= np.sqrt(2 * h2) + 1e-12).all()
    assert_allclose(hellinger.values(p)[0] ** 2, h2, rtol=1e-12)
