import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from traintwice.errors import BadInput
from traintwice.metrics import Accumulator, mean_absolute_error, mean_error, root_mean_squared_error
from traintwice.predictions import Predictions

EVERY = [mean_absolute_error, root_mean_squared_error, mean_error]
RNG = np.random.default_rng(0)
SCORES, TARGETS, WEIGHTS = RNG.normal(size=(4, 50)), RNG.normal(size=50), RNG.exponential(size=50)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_equal_scikit_learn_on_every_replica(weights):
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
    for metric in EVERY:
        expected = metric(Predictions.from_scores(SCORES, targets=TARGETS))
        assert metric(SCORES, TARGETS) == expected
        assert_allclose(Accumulator(metric).update(SCORES, TARGETS).compute().value, expected, rtol=1e-14)


def test_bias_and_variance_add_to_the_squared_error():
    spread = np.mean((SCORES - TARGETS - mean_error(SCORES, TARGETS)) ** 2)
    assert_allclose(root_mean_squared_error(SCORES, TARGETS) ** 2, mean_error(SCORES, TARGETS) ** 2 + spread, rtol=1e-12)
    assert mean_absolute_error(SCORES, TARGETS) < root_mean_squared_error(SCORES, TARGETS)


def test_a_perfect_regression_has_no_error_and_no_spread():
    exact = np.repeat(TARGETS[None], 3, axis=0)
    for metric in EVERY:
        measured = metric.measure(exact, TARGETS)
        assert (measured.value, measured.example_variance) == (0, 0)
        assert measured.jackknife_values.tolist() == [0, 0, 0]
        assert Accumulator(metric).update(exact, TARGETS).compute().example_variance == 0


@pytest.mark.parametrize("metric", EVERY, ids=lambda m: m.__name__)
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
