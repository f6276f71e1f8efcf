import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from scipy.special import log_softmax, softmax

from traintwice.compare import at_temperature, fit_temperature
from traintwice.errors import BadInput, Undefined
from traintwice.metrics import log_loss
from traintwice.predictions import Predictions


def loss_by_definition(log_t, probs, y, weights=None):
    scaled = log_softmax(np.log(probs) / np.exp(log_t), axis=2)
    losses = [[-scaled[m, n, y[n]] for n in range(probs.shape[1])] for m in range(len(probs))]
    return np.average(np.mean(losses, axis=0), weights=weights)


@pytest.mark.parametrize("weights", [None, np.linspace(0, 3, 40)])
def test_minimises_the_pooled_log_loss(draw, weights):
    probs, y = draw()
    y = np.where(np.arange(40) % 4 == 0, y, probs[0].argmax(axis=1))
    fitted = fit_temperature(Predictions(probs, y, weights))
    best = optimize.minimize_scalar(lambda t: loss_by_definition(t, probs, y, weights), bounds=(-3, 3), method="bounded")
    assert fitted == pytest.approx(np.exp(best.x), rel=1e-4)


def test_undoes_a_temperature():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 40_000, 3)) * 2
    y = (softmax(z[0], axis=1).cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
    assert fit_temperature(Predictions(softmax(2.5 * z, axis=2), y)) == pytest.approx(2.5, rel=0.03)


def test_a_zero_for_a_true_label_is_refused():
    with pytest.raises(Undefined, match="a true label of the validation set has probability 0"):
        fit_temperature(Predictions(np.array([[[1.0, 0.0]]]), np.array([1])))


def test_at_temperature_is_softmax_of_scaled_logs(draw):
    probs, y = draw()
    p = Predictions(probs, y, np.linspace(1, 2, 40))
    cooled = at_temperature(p, 0.4)
    assert_allclose(cooled.probs, softmax(np.log(probs) / 0.4, axis=2), rtol=1e-10)
    assert_array_equal(cooled.votes, p.votes)
    assert_array_equal(cooled.labels, y)
    assert_array_equal(cooled.weights, p.weights)
    assert_allclose(at_temperature(p, 1.0).probs, probs, rtol=1e-13)
    assert log_loss(at_temperature(p, fit_temperature(p))) <= log_loss(p)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(draw, temperature):
    with pytest.raises(BadInput, match="expected a number greater than 0"):
        at_temperature(Predictions(draw()[0]), temperature)
