import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from scipy.special import log_softmax, softmax

from traintwice import metrics
from traintwice.compare import _temperature as module
from traintwice.compare import at_temperature, diff, fit_temperature, interval
from traintwice.compare._temperature import SOFT, MatchedTemperature
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


def at(probs, temperatures):
    powered = np.stack([p ** (1 / t) for p, t in zip(probs, temperatures, strict=True)])
    return powered / powered.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("one_for_all", [False, True])
@pytest.mark.parametrize("cuts", [[], [3, 4, 111]])
def test_fitted_on_every_fifth_labelled_row_and_measured_on_the_others(draw, one_for_all, cuts):
    probs, y = draw(2, 400, 3)
    probs[1] = at(probs[1:], [0.5])[0]
    known = np.arange(400) % 3 > 0
    gathered = MatchedTemperature(400, 2)
    for i, j in zip([0, *cuts], [*cuts, 400], strict=True):
        for n in range(i, j):  # rows with and without labels come apart
            gathered.add(Predictions(probs[:, n : n + 1], y[n : n + 1] if known[n] else None))
    found = gathered.result(SOFT, 0.95, {}, one_for_all=one_for_all)
    held = np.zeros(400, bool)
    held[np.flatnonzero(known)[4::5]] = True
    fits = [slice(0, 2)] if one_for_all else [slice(0, 1), slice(1, 2)]
    temperatures = [fit_temperature(Predictions(probs[m][:, held], y[held])) for m in fits]
    assert_allclose(found.temperatures, temperatures)
    assert (found.held_out, found.rows) == (held.sum(), 400 - held.sum())
    rest = at(probs, temperatures * (2 if one_for_all else 1))[:, ~held]
    for metric in SOFT:
        assert_allclose(found.estimates[metric.__name__].value, metric(rest))


def test_is_part_of_the_comparison(draw):
    probs, y = draw(2, 400, 2)
    found = diff(probs[0], probs[1], label=y, temperature_matched=True).matched
    held = np.arange(400) % 5 == 4
    rest = at(probs, [found.old, found.new])[:, ~held]
    expected = interval(metrics.total_variation.measure(rest))
    assert found.measures[0].name == "total_variation"
    assert_allclose([found.measures[0].estimate.value, found.measures[0].estimate.high], [expected.value, expected.high])
    assert found.held_out == 80
    assert diff(probs[0], probs[1], label=y).matched is None


def test_clusters_and_weights_count(draw):
    probs, y = draw(2, 400, 2)
    rng = np.random.default_rng(0)
    clusters, w = rng.integers(0, 20, 400), rng.random(400) + 0.5
    found = diff(probs[0], probs[1], label=y, cluster=clusters, weight=w, temperature_matched=True).matched
    keep = np.arange(400) % 5 != 4
    rest = Predictions(at(probs, [found.old, found.new])[:, keep], weights=w[keep], clusters=clusters[keep])
    expected = interval(metrics.total_variation.measure(rest))
    assert_allclose(
        [found.measures[0].estimate.value, found.measures[0].estimate.high], [expected.value, expected.high], rtol=1e-6
    )


def test_of_very_many_rows_some_are_kept_evenly_spread(draw, monkeypatch):
    probs, y = draw(2, 400, 3)
    monkeypatch.setattr(module, "MOST_KEPT", 400 * 2 * 3 // 4)
    gathered = MatchedTemperature(400, 2)
    gathered.add(Predictions(probs, y))
    found = gathered.result(SOFT, 0.95, {}, one_for_all=False)
    kept = (np.arange(400) % 4 == 0) & (np.arange(400) % 5 != 4)
    assert (found.held_out, found.rows) == (80, kept.sum())


def test_reasons_for_none(draw):
    probs, y = draw(2, 50, 2)
    assert "--label" in diff(probs[0], probs[1], temperature_matched=True).left_out["temperature_matched"]
    votes = probs.argmax(axis=2)
    assert diff(*votes, label=y, temperature_matched=True).left_out["temperature_matched"] == "needs probabilities"
    probs[0, 4] = np.eye(2)[1 - y[4]]
    said = diff(probs[0], probs[1], label=y, temperature_matched=True).left_out["temperature_matched"]
    assert "has probability 0" in said
    gathered = MatchedTemperature(3, 2)
    gathered.add(Predictions(probs[:, :3], y[:3]))
    left_out = {}
    assert gathered.result(SOFT, 0.95, left_out, one_for_all=True) is None
    assert "every 5th row" in left_out["temperature_matched"]
