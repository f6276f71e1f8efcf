from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.metrics import hellinger, pairwise_l1, squared_hellinger, squared_l2, total_variation


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_the_definitions(draw, M, K):
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
