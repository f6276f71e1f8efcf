from itertools import combinations
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score

from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import ambiguity, churn, churn_matrix, discrepancy, fleiss_kappa, vote_entropy


def counts(v):
    return np.array([np.bincount(v[:, n], minlength=v.max() + 1) for n in range(v.shape[1])])


@pytest.mark.parametrize("M", [3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_the_definitions(draw, M, K):
    v = draw(M, 30, K)[0].argmax(axis=2)
    c = counts(v)
    assert_allclose(vote_entropy(v), np.mean([entropy(row) for row in c]), rtol=1e-11)
    for m in (2, 3):
        agreed = [sum(comb(int(x), m) for x in row) / comb(M, m) for row in c]
        assert_allclose(ambiguity(v, of=m), 1 - np.mean(agreed), rtol=1e-11)
    share = c.sum(axis=0) / c.sum()
    observed = np.mean([(np.sum(row**2) - M) / (M * (M - 1)) for row in c])
    assert_allclose(fleiss_kappa(v), (observed - np.sum(share**2)) / (1 - np.sum(share**2)), rtol=1e-11)
    pairs = [np.mean(v[a] != v[b]) for a, b in combinations(range(M), 2)]
    assert_allclose(discrepancy(v), max(pairs), rtol=1e-14)


def test_ambiguity_of_two_is_churn_and_of_all_is_the_share_not_unanimous(draw):
    v = draw(6, 50)[0].argmax(axis=2)
    assert_allclose(ambiguity(v, of=2), churn(v), rtol=1e-12)
    assert_allclose(ambiguity(v, of=6), np.mean((v != v[0]).any(axis=0)), rtol=1e-12)
    with pytest.raises(TooFewReplicas, match="ambiguity of 7 replicas: got 6; train more, or pass of=6"):
        ambiguity(v, of=7)
    with pytest.raises(BadInput, match="got of=1"):
        ambiguity(v, of=1)
    assert ambiguity.measure(v, of=6).jackknife_values is None


def test_ambiguity_is_the_mean_over_draws_of_replicas(draw):
    v = draw(6, 50)[0].argmax(axis=2)
    draws = [np.mean((v[list(some)] != v[some[0]]).any(axis=0)) for some in combinations(range(6), 4)]
    assert_allclose(ambiguity(v, of=4), np.mean(draws), rtol=1e-12)


def test_fleiss_kappa_of_two_raters_of_equal_frequencies_is_cohens():
    v = np.array([[0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 2, 2]])
    assert_allclose(fleiss_kappa(v), cohen_kappa_score(*v), rtol=1e-12)
    with pytest.raises(Undefined, match="all votes go to one class"):
        fleiss_kappa(np.zeros((3, 5), int))


def test_the_matrix_of_pairs(draw):
    v = draw(5, 30)[0].argmax(axis=2)
    matrix = churn_matrix(v)
    assert_allclose(matrix, matrix.T)
    assert_allclose(matrix[np.triu_indices(5, 1)].mean(), churn(v), rtol=1e-12)
    assert_allclose(churn.measure(v).rows, matrix.sum(axis=1) / 4, rtol=1e-12)
    assert_allclose(discrepancy.measure(v).rows, matrix.max(axis=1))
