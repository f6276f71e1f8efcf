from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.errors import BadInput
from traintwice.metrics import churn, delta_1, regression_difference, relative_regression_difference, score_difference
from traintwice.predictions import Predictions


@pytest.mark.parametrize("M", [2, 3, 10, 25])
def test_equal_the_definitions(M):
    f = np.random.default_rng(0).normal(1, 2, (M, 20))
    pairs = list(combinations(range(M), 2))
    assert_allclose(regression_difference(f), np.mean([np.abs(f[a] - f[b]) for a, b in pairs]), rtol=1e-12)
    relative = [2 * np.abs(f[a] - f[b]) / (np.abs(f[a]) + np.abs(f[b])) for a, b in pairs]
    assert_allclose(relative_regression_difference(f), np.mean(relative), rtol=1e-12)
    assert_allclose(score_difference(f), np.abs(f - f.mean(axis=0)).mean(), rtol=1e-12)
    z = np.random.default_rng(1).normal(size=(M, 20, 3))
    for p in (1, 2, 3):
        norms = np.linalg.norm(z - z.mean(axis=0), ord=p, axis=2)
        assert_allclose(score_difference(z, p=p), norms.mean(), rtol=1e-12)


def test_on_probabilities_it_is_the_prediction_difference(draw):
    p, _ = draw()
    assert_allclose(score_difference(p), delta_1(p), rtol=1e-12)


def test_zero_over_zero_is_zero():
    assert relative_regression_difference(np.array([[0.0, 1.0], [0.0, -1.0]])) == 1.0


def test_scores_are_no_probabilities_nor_labels():
    p = Predictions.from_scores(np.array([[1.0, 2.0], [3.0, 2.0]]))
    with pytest.raises(BadInput, match="only scores were given"):
        churn(p)
    with pytest.raises(BadInput, match="reads probabilities"):
        delta_1(p)
    with pytest.raises(BadInput, match=r"pass Predictions.from_scores\(scores\)"):
        regression_difference(Predictions(np.array([[0, 1], [1, 1]])))
    with pytest.raises(BadInput, match=r"got scores of shape \(2, 2, 1\)"):
        regression_difference(np.zeros((2, 2, 1)))
    with pytest.raises(BadInput, match=r"score_difference: got p=0.5"):
        score_difference(np.zeros((2, 2)), p=0.5)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0], "scores: got list"),
        (np.zeros(3), r"scores: got shape \(3,\)"),
        (np.zeros((2, 0)), r"scores: got shape \(2, 0\)"),
        (np.zeros((2, 3), int), "scores: got dtype int64"),
        (np.array([[0.0, np.nan]]), r"scores: 1 are NaN or infinite \(first: replica 0, example 1\)"),
    ],
)
def test_bad_scores(scores, message):
    with pytest.raises(BadInput, match=message):
        Predictions.from_scores(scores)
