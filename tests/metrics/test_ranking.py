from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from traintwice.errors import BadInput, Undefined
from traintwice.metrics import kendall_tau, rank_loss, top_k_overlap
from traintwice.predictions import Predictions


@pytest.mark.parametrize("M", [1, 2, 10])
@pytest.mark.parametrize("digits", [1, 8])  # with one digit many scores are tied
def test_rank_loss_is_one_minus_the_area_of_scikit_learn(draw, M, digits):
    p, y = draw(M, 80, 2)
    p = np.stack([1 - p[:, :, 1].round(digits), p[:, :, 1].round(digits)], axis=2)
    assert_allclose(rank_loss.measure(p, y).rows, [1 - roc_auc_score(y, q[:, 1]) for q in p], rtol=1e-12)
    w = np.random.default_rng(1).exponential(size=80)
    expected = [1 - roc_auc_score(y, q[:, 1], sample_weight=w) for q in p]
    assert_allclose(rank_loss.measure(Predictions(p, y, w)).rows, expected, rtol=1e-12)


def test_its_example_part_is_that_of_delong(draw):
    p, y = draw(1, 150, 2)
    s = p[0, :, 1]
    pos, neg = s[y == 1], s[y == 0]
    wrong = (pos[:, None] < neg[None]) + 0.5 * (pos[:, None] == neg[None])
    variance = wrong.mean(axis=1).var(ddof=1) / len(pos) + wrong.mean(axis=0).var(ddof=1) / len(neg)
    assert rank_loss.measure(p, y).example_variance == pytest.approx(variance, rel=0.02)


def test_rank_loss_reads_scores_and_needs_both_labels():
    scores = np.array([[3.0, -1.0, 2.0]])
    assert rank_loss(Predictions.from_scores(scores, np.array([1, 0, 0]))) == 0
    assert rank_loss(Predictions.from_scores(scores, np.array([0, 1, 0]))) == 1
    with pytest.raises(Undefined, match="needs examples of both labels"):
        rank_loss(Predictions.from_scores(scores, np.array([1, 1, 1])))
    with pytest.raises(BadInput, match="got 3 classes, expected 2"):
        rank_loss(np.full((1, 2, 3), 1 / 3), np.array([0, 1]))
    with pytest.raises(BadInput, match="expected one score for each example"):
        rank_loss(Predictions.from_scores(np.zeros((2, 3, 2)), np.array([0, 1, 1])))


def test_kendall_tau_equals_the_definition(draw):
    p, _ = draw(3, 15, 2)
    p[:, 3] = p[:, 4]
    each = []
    for a, b in combinations(range(3), 2):
        signs = [(np.sign(p[a, i, 1] - p[a, j, 1]), np.sign(p[b, i, 1] - p[b, j, 1])) for i, j in combinations(range(15), 2)]
        s, t = np.array(signs).T
        each.append(np.sum(s * t) / np.sqrt(np.sum(s != 0) * np.sum(t != 0)))
    measured = kendall_tau.measure(p)
    assert_allclose(measured.value, np.mean(each), rtol=1e-12)
    assert_allclose(measured.rows[0], np.mean([kendalltau(p[0, :, 1], p[b, :, 1]).statistic for b in (1, 2)]), rtol=1e-12)
    with pytest.raises(Undefined, match="replica 1 gives every example the same score"):
        kendall_tau(Predictions.from_scores(np.array([[1.0, 2.0], [1.0, 1.0]])))


def test_top_k_overlap_equals_sets_without_ties_and_shares_the_last_place_with_them(draw):
    p, _ = draw(4, 40, 2)
    tops = [set(np.argsort(-q[:, 1])[:7]) for q in p]
    expected = np.mean([len(tops[a] & tops[b]) / 7 for a, b in combinations(range(4), 2)])
    assert_allclose(top_k_overlap(p, k=7), expected, rtol=1e-12)
    assert top_k_overlap(p, k=40) == 1
    tied = Predictions.from_scores(np.array([[3.0, 2.0, 2.0, 0.0], [3.0, 2.0, 1.0, 0.0]]))
    assert top_k_overlap(tied, k=2) == pytest.approx((1 + 0.5) / 2)
    with pytest.raises(BadInput, match="got k=0, expected at least 1"):
        top_k_overlap(p, k=0)
    with pytest.raises(Undefined, match="top-41 overlap has no value here: there are 40 examples"):
        top_k_overlap(p, k=41)
