import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.compare import _temperature as module
from traintwice.compare import diff, fit_temperature, interval
from traintwice.compare._temperature import SOFT, MatchedTemperature
from traintwice.errors import BadInput
from traintwice.predictions import Predictions


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
    found = gathered.result(SOFT, 0.95, one_for_all=one_for_all)
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
    found = gathered.result(SOFT, 0.95, one_for_all=False)
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
    with pytest.raises(BadInput, match="every 5th row"):
        gathered.result(SOFT, 0.95, one_for_all=True)
