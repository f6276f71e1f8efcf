import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import entropy
from sklearn import metrics as sk

from traintwice.metrics import accuracy, brier, error, log_loss, prediction_entropy
from traintwice.predictions import Predictions


@pytest.mark.parametrize("M", [1, 2, 3, 10, 25])
@pytest.mark.parametrize("K", [2, 5])
def test_equal_scikit_learn_on_every_replica(draw, M, K):
    probs, y = draw(M, 50, K)
    labels = probs.argmax(axis=2)
    assert_allclose(accuracy.measure(probs, y).rows, [sk.accuracy_score(y, v) for v in labels], rtol=1e-14)
    assert_allclose(error.measure(probs, y).rows, [sk.zero_one_loss(y, v) for v in labels], rtol=1e-14)
    assert_allclose(log_loss.measure(probs, y).rows, [sk.log_loss(y, p, labels=range(K)) for p in probs], rtol=1e-12)
    assert_allclose(log_loss(probs, y), np.mean([sk.log_loss(y, p, labels=range(K)) for p in probs]), rtol=1e-12)


def test_accuracy_and_error_add_to_one(draw):
    probs, y = draw()
    assert accuracy(probs, y) + error(probs, y) == pytest.approx(1, abs=1e-15)


def test_ties_go_to_the_lowest_class():
    assert accuracy(np.array([[[0.4, 0.4, 0.2], [0.0, 0.5, 0.5]]]), np.array([0, 1])) == 1.0


def test_log_loss_is_infinite_and_not_clipped_where_the_true_label_has_probability_zero():
    probs = np.array([[[0.0, 1.0], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])
    measured = log_loss.measure(probs, np.array([0, 1]))
    assert measured.value == np.inf
    assert measured.rows.tolist() == [np.inf, pytest.approx(np.log(2))]


def test_a_certain_right_prediction_costs_positive_zero():
    value = log_loss(np.array([[[1.0, 0.0]]]), np.array([0]))
    assert value == 0
    assert not np.signbit(value)


@pytest.mark.parametrize("M", [1, 3])
@pytest.mark.parametrize("K", [2, 5])
def test_brier_and_entropy_equal_the_definitions(draw, M, K):
    p, y = draw(M, 30, K)
    assert_allclose(
        brier(p, y), np.mean([((p[m, n] - np.eye(K)[y[n]]) ** 2).sum() for m in range(M) for n in range(30)]), rtol=1e-12
    )
    assert_allclose(prediction_entropy(p), np.mean(entropy(p, axis=2)), rtol=1e-12)
    if K == 2:
        assert_allclose(brier(p, y), 2 * np.mean([sk.brier_score_loss(y, q[:, 1]) for q in p]), rtol=1e-12)


def test_entropy_of_certainty_is_zero_and_of_indecision_log_k():
    assert prediction_entropy(np.eye(3)[None]) == 0
    assert prediction_entropy(np.full((1, 2, 4), 0.25)) == pytest.approx(np.log(4))


def test_log_loss_clips_only_when_asked_and_renormalises():
    p, y = np.array([[[0.0, 1.0], [0.5, 0.5]]]), np.array([0, 1])
    assert log_loss(p, y) == np.inf
    assert log_loss(p, y, clip=1e-3) == pytest.approx((-np.log(1e-3 / 1.001) + np.log(2)) / 2)
    assert log_loss.definition.infinite(Predictions(p, y)) == "first at replica 0, example 0; 1 of 2 contributions"
