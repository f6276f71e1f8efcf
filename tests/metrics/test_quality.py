import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import entropy
from sklearn import metrics as sk

from traintwice.errors import BadInput
from traintwice.metrics import (
    Accumulator,
    accuracy,
    brier,
    error,
    log_loss,
    mean_absolute_error,
    mean_error,
    prediction_entropy,
    root_mean_squared_error,
)
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


OF_REGRESSIONS = [mean_absolute_error, root_mean_squared_error, mean_error]
RNG = np.random.default_rng(0)
SCORES, TARGETS, WEIGHTS = RNG.normal(size=(4, 50)), RNG.normal(size=50), RNG.exponential(size=50)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_errors_of_regressions_equal_scikit_learn_on_every_replica(weights):
    p = Predictions.from_scores(SCORES, None, weights, targets=TARGETS)
    expected = [sk.mean_absolute_error(TARGETS, f, sample_weight=weights) for f in SCORES]
    assert_allclose(mean_absolute_error.measure(p).rows, expected, rtol=1e-12)
    assert_allclose(mean_absolute_error(p), np.mean(expected), rtol=1e-12)
    squared = [sk.mean_squared_error(TARGETS, f, sample_weight=weights) for f in SCORES]
    assert_allclose(root_mean_squared_error.measure(p).rows, np.sqrt(squared), rtol=1e-12)
    assert_allclose(root_mean_squared_error(p), np.sqrt(np.mean(squared)), rtol=1e-12)
    expected = [np.average(f - TARGETS, weights=weights) for f in SCORES]
    assert_allclose(mean_error.measure(p).rows, expected, rtol=1e-11)


def test_an_array_is_read_as_predicted_numbers_and_the_second_as_true_values():
    for metric in OF_REGRESSIONS:
        expected = metric(Predictions.from_scores(SCORES, targets=TARGETS))
        assert metric(SCORES, TARGETS) == expected
        assert_allclose(Accumulator(metric).update(SCORES, TARGETS).compute().value, expected, rtol=1e-14)


def test_bias_and_variance_add_to_the_squared_error():
    spread = np.mean((SCORES - TARGETS - mean_error(SCORES, TARGETS)) ** 2)
    assert_allclose(root_mean_squared_error(SCORES, TARGETS) ** 2, mean_error(SCORES, TARGETS) ** 2 + spread, rtol=1e-12)
    assert mean_absolute_error(SCORES, TARGETS) < root_mean_squared_error(SCORES, TARGETS)


def test_a_perfect_regression_has_no_error_and_no_spread():
    exact = np.repeat(TARGETS[None], 3, axis=0)
    for metric in OF_REGRESSIONS:
        measured = metric.measure(exact, TARGETS)
        assert (measured.value, measured.example_variance) == (0, 0)
        assert measured.jackknife_values.tolist() == [0, 0, 0]
        assert Accumulator(metric).update(exact, TARGETS).compute().example_variance == 0


@pytest.mark.parametrize("metric", OF_REGRESSIONS, ids=lambda m: m.__name__)
def test_what_has_no_true_values_is_refused(metric):
    assert metric.definition.missing(Predictions.from_scores(SCORES)) == "needs true values (label)"
    assert metric.definition.missing(Predictions.from_scores(SCORES, targets=TARGETS)) is None
    with pytest.raises(BadInput, match="this measure compares with true values"):
        metric(SCORES)
    some = np.where(np.arange(50) < 3, np.nan, TARGETS)
    p = Predictions.from_scores(SCORES, targets=some)
    with pytest.raises(BadInput, match="some examples have no true value \\(nan\\)"):
        metric(p)
    assert_allclose(metric(p.where(~np.isnan(some))), metric(SCORES[:, 3:], TARGETS[3:]), rtol=1e-12)
    with pytest.raises(BadInput, match=r"got scores of shape \(4, 50, 1\)"):
        metric(SCORES[:, :, None], TARGETS)
