from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.metrics import churn, lemma_2_bound, tight_lemma_2_bound


def gamma(row):
    top = sorted(row)
    return top[-1] - top[-2]


@pytest.mark.parametrize("M", [2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_the_definitions_and_bound_churn(draw, M, K):
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
