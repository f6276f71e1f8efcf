import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from traintwice.metrics import accuracy, error, log_loss


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
