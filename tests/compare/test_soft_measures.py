import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, stats
from scipy.special import log_softmax, softmax

from traintwice import metrics
from traintwice.compare import _soft_measures as module
from traintwice.compare import at_temperature, diff, fit_temperature, interval
from traintwice.compare._soft_measures import SOFT, MatchedTemperature, PairMeasures, higher_is_better
from traintwice.errors import BadInput, Undefined
from traintwice.metrics import log_loss
from traintwice.predictions import Predictions

MEANS = [m for m in metrics.ALL if hasattr(m.definition, "contributions") and not m.definition.between_replicas]


@pytest.mark.parametrize("metric", MEANS, ids=lambda m: m.__name__)
@pytest.mark.parametrize("clustered", [False, True])
def test_the_change_is_that_of_each_row(draw, metric, clustered):
    probs, y = draw(2, 300, 2)
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 30, 300) if clustered else None
    if metric.definition.needs_scores:
        pair = Predictions.trusted(probs[:, :, 1], scores=True, targets=rng.normal(size=300), clusters=clusters)
    elif metric.definition.needs_outcomes:
        pair = Predictions.from_outcomes(probs[:, :, 1], clusters=clusters)
    else:
        pair = Predictions.trusted(probs, y, clusters=clusters)
    pieces = PairMeasures((), (metric,), 0.9, clustered=clustered, bounds=False)
    for i, j in ((0, 100), (100, 300)):
        pieces.add(pair.slice(i, j))
    (found,) = pieces.quality()
    values = np.asarray(metric.definition.values(pair), dtype=float)
    gain = values[1] - values[0]
    units = 300 if clusters is None else len(np.unique(clusters))
    totals = gain - gain.mean() if clusters is None else np.bincount(clusters, gain - gain.mean())
    variance = units / (units - 1) * np.sum(totals**2) / 300**2
    half = stats.t.ppf(0.95, units - 1) * math.sqrt(variance)
    assert_allclose([found.old.value, found.new.value], values.mean(axis=1))
    assert_allclose([found.change.value, found.change.low], [gain.mean(), gain.mean() - half], rtol=1e-7)
    assert_allclose(found.p_value, 2 * stats.t.sf(abs(gain.mean()) / math.sqrt(variance), units - 1), rtol=1e-6)
    assert found.higher_is_better is higher_is_better(metric.__name__)


@pytest.mark.parametrize("weighted", [False, True])
def test_root_mean_squared_error_changes_row_by_row_too(weighted):
    rng = np.random.default_rng(0)
    t = rng.normal(size=400)
    old = t + rng.normal(size=400)
    new = old + 0.1 * rng.normal(size=400)
    w = rng.random(400) + 0.5 if weighted else np.ones(400)
    d = diff(old, new, label=t, regression=True, weight=w if weighted else None)
    found = next(q for q in d.quality if q.name == "root_mean_squared_error")
    mean = [np.average((f - t) ** 2, weights=w) for f in (old, new)]
    root = np.sqrt(mean)
    assert_allclose([found.old.value, found.new.value, found.change.value], [*root, root[1] - root[0]])
    z = w / w.mean() * (((new - t) ** 2 - mean[1]) / (2 * root[1]) - ((old - t) ** 2 - mean[0]) / (2 * root[0]))
    n = w.sum() ** 2 / np.sum(w**2)
    error = math.sqrt(n / (n - 1) * np.sum(z**2)) / 400
    half = stats.t.ppf(0.975, n - 1) * error
    assert_allclose([found.change.low, found.change.high], [root[1] - root[0] - half, root[1] - root[0] + half])
    assert_allclose(found.p_value, 2 * stats.t.sf(abs(root[1] - root[0]) / error, int(n) - 1))


def test_measures_between_models_are_the_metrics(draw):
    probs, y = draw(2, 300, 2)
    wanted = (metrics.total_variation, metrics.delta_label, metrics.relative_delta_positive, metrics.hellinger)
    pieces = PairMeasures(wanted, (), 0.9, clustered=False)
    pieces.add(Predictions(probs[:, :100], y[:100]))
    pieces.add(Predictions(probs[:, 100:], y[100:]))
    for found, metric in zip(pieces.measures(), wanted, strict=True):
        expected = interval(metric.measure(Predictions(probs, y)), level=0.9)
        assert_allclose([found.estimate.value, found.estimate.low], [expected.value, expected.low])
        assert (found.name, found.soft) == (metric.__name__, metric.definition.soft)
    assert_allclose(
        [pieces.bounds()[n] for n in ("lemma_2", "tight_lemma_2")],
        [metrics.lemma_2_bound(probs), metrics.tight_lemma_2_bound(probs)],
    )


def test_calibration_is_next_to_what_chance_alone_shows():
    rng = np.random.default_rng(0)
    s = rng.uniform(0.05, 0.95, 2000)
    y = (rng.random(2000) < s).astype(int)
    steep = 1 / (1 + np.exp(-3 * np.log(s / (1 - s))))
    d = diff(s, steep, label=y)
    old, new = d.calibration
    assert (old.model, new.model) == ("old", "new")
    of_chance = []
    for _ in range(200):
        labels = (rng.random(2000) < s).astype(int)
        of_chance.append(metrics.calibration_error(np.stack([1 - s, s], axis=1)[None], labels))
    assert old.if_calibrated == pytest.approx(np.mean(of_chance), rel=0.1)
    assert old.debiased < old.ece
    assert new.ece > 3 * old.ece
    assert new.debiased == pytest.approx(new.ece, rel=0.05)
    assert math.isnan(next(q for q in d.quality if q.name == "calibration_error").change.low)
    assert diff(s, steep).calibration == ()


def test_what_has_no_value_is_named():
    pieces = PairMeasures((metrics.churn_to_error, metrics.total_variation), (metrics.accuracy,), 0.95, clustered=False)
    pieces.add(Predictions(np.zeros((2, 5), int), np.zeros(5, int)))
    assert pieces.measures() == []
    assert "denominator" in pieces.left_out["churn_to_error"]
    assert pieces.left_out["total_variation"] == "needs probabilities"
    (accuracy,) = pieces.quality()
    assert accuracy.new.value == 1.0


@pytest.mark.parametrize("models", [[0], [1], [0, 1]])
def test_an_infinite_loss_is_named_and_has_no_change_to_test(draw, models):
    probs, y = draw(2, 40, 3)
    for m in models:
        probs[m, 7] = np.eye(3)[(y[7] + 1) % 3]
    d = diff(probs[0], probs[1], label=y)
    loss = next(q for q in d.quality if q.name == "log_loss")
    assert [math.isinf(e.value) for e in (loss.old, loss.new)] == [m in models for m in (0, 1)]
    assert math.isnan(loss.change.low)
    assert loss.p_value is None or loss.p_value == 1.0
    assert d.infinite["log_loss"] == f"first at row 7 of the {'old' if 0 in models else 'new'} model"
    assert d.answers[0].verdict != "worse"


def test_ranked_measures_only_on_request(draw):
    probs, y = draw(2, 400, 2)
    plain = diff(probs[0], probs[1], label=y)
    assert not {"auc", "kendall_tau"} & ({q.name for q in plain.quality} | {m.name for m in plain.measures})
    d = diff(probs[0], probs[1], label=y, rank=True, which=["fleiss_kappa", "hellinger", "rank_loss"])
    assert_allclose(d["kendall_tau"].value, metrics.kendall_tau(probs))
    auc = next(q for q in d.quality if q.name == "auc")
    assert_allclose([auc.old.value, auc.new.value], [metrics.auc(probs[m : m + 1], y) for m in (0, 1)])
    assert auc.higher_is_better
    assert_allclose(d["rank_loss"].value, auc.old.value - auc.new.value)
    assert_allclose(d["hellinger"].value, metrics.hellinger(probs))
    assert "fleiss_kappa" in {m.name for m in d.measures}


def test_weights_leave_out_what_has_no_weighted_form(draw):
    probs, y = draw(2, 200, 2)
    weights = np.linspace(0.5, 2, 200)
    tables = [{"id": np.arange(200), "p": p[:, 1], "y": y, "w": weights} for p in probs]
    for d in (diff(probs[0], probs[1], label=y, weight=weights, rank=True), diff(*tables, weight="w", rank=True)):
        assert (d.left_out["kendall_tau"], d.left_out["top_k_overlap"]) == ("has no weighted form",) * 2
        ranked = next(q for q in d.quality if q.name == "auc")
        assert_allclose(ranked.new.value, metrics.auc(Predictions(probs[1:], y, weights)))


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
