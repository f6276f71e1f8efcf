import json
import sys
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import traintwice
from traintwice import metrics
from traintwice._formatting import value_of
from traintwice.compare import interval, measure
from traintwice.compare._soft_measures import at_temperature, fit_temperature
from traintwice.errors import BadInput, TooFewReplicas, UnknownName
from traintwice.metrics import (
    ALL,
    accuracy,
    churn,
    churn_to_error,
    delta_1,
    fleiss_kappa,
    log_loss,
    surrogate_churn,
    total_variation,
)
from traintwice.predictions import Predictions


def test_every_estimate_is_the_metric_with_its_interval(draw):
    probs, y = draw()
    m = measure(probs, y)
    for metric in (churn, log_loss):
        expected = interval(metric.measure(probs, y)).to_dict()
        found = m[metric.__name__].to_dict()
        assert {k: v for k, v in found.items() if isinstance(v, int | str)} == {
            k: v for k, v in expected.items() if isinstance(v, int | str)
        }
        for key in ("value", "low", "high", "standard_error"):
            assert found[key] == pytest.approx(expected[key], rel=1e-9)
    assert set(m) >= {"accuracy", "churn", "churn_to_error", "surrogate_churn", "delta_1", "pairwise_l1"}
    assert not m.left_out


def test_what_cannot_be_measured_is_named(draw):
    probs, _ = draw()
    m = measure(probs.argmax(axis=2))
    assert list(m) == ["churn"]
    assert m.left_out["accuracy"] == "needs labels"
    assert m.left_out["surrogate_churn"] == "needs probabilities"
    right = measure(np.zeros((3, 5), int), np.zeros(5, int), which=(accuracy, churn_to_error))
    assert "denominator, error, is zero" in right.left_out["churn_to_error"]


def test_every_metric_there_is_either_has_a_value_or_a_reason(draw):
    m = measure(*draw(), which=ALL)
    assert set(m) | set(m.left_out) == {metric.__name__ for metric in ALL}
    assert m.left_out["rank_loss"] == m.left_out["precision"] == "needs two classes, there are 3"
    votes = measure(draw()[0].argmax(axis=2), draw()[1], which=["recall", "churn"])
    assert votes.left_out["recall"].startswith("labels: got class 2, expected 0 and 1")
    assert m.left_out["negative_flips"] == "compares one old with one new model, there are 4"
    assert m.left_out["regression_difference"] == "needs scores"
    assert m["discrepancy"].target == "replicas"  # the largest pair has no example part
    two = measure(*draw(2, 40, 2), which=ALL)
    assert {"negative_flips", "rank_loss", "kendall_tau"} <= set(two)
    assert "ambiguity of 3 replicas: got 2" in two.left_out["ambiguity"]
    assert np.isnan(two["kendall_tau"].half_width)  # neither replicas to leave out nor an example part
    probs, y = draw(3, 40, 2)
    scores = measure(Predictions.from_scores(np.log(probs[:, :, 1]), y), which=ALL)
    assert set(scores) == {m.__name__ for m in ALL if m.definition.missing(Predictions.from_scores(np.zeros((3, 40)), y)) is None}
    assert {"auc", "decision_flips", "kendall_tau", "regression_difference", "score_difference"} <= set(scores)


def test_weights_and_level_are_passed_on(draw):
    probs, y = draw()
    w = np.linspace(0, 1, 40)
    m = measure(probs, y, weight=w, which=(surrogate_churn,), level=0.8)
    expected = interval(surrogate_churn.measure(Predictions(probs, y, w)), level=0.8)
    assert_allclose([m["surrogate_churn"].value, m["surrogate_churn"].low], [expected.value, expected.low])


def test_one_replica_is_too_few(draw):
    with pytest.raises(TooFewReplicas):
        measure(draw(1)[0])


def test_is_a_mapping_that_prints_and_exports(draw):
    m = traintwice.measure(*draw())
    assert len(m) == len(list(m))
    assert "churn" in repr(m)
    assert "<table" in m._repr_html_()
    data = json.loads(json.dumps(m.to_dict(), allow_nan=False))
    assert_allclose(data["measures"]["churn"]["value"], m["churn"].value)
    assert (data["replicas"], data["examples"]) == (4, 40)


def test_an_infinite_log_loss_is_named(draw):
    probs, y = draw()
    probs[2, 5] = np.eye(3)[(y[5] + 1) % 3]
    m = measure(probs, y)
    assert m.infinite["log_loss"] == "first at row 5 of replica 2"
    assert m.to_dict()["measures"]["log_loss"]["value"] == "infinite"


def test_files_give_what_the_array_gives(draw, write, monkeypatch):
    probs, y = draw()
    paths = write(probs, y)
    of_files, of_array = measure(paths, which=(*metrics_of_default(), fleiss_kappa)), measure(probs, y)
    for name in of_array:
        expected = of_array[name]
        assert_allclose([of_files[name].value, of_files[name].high], [expected.value, expected.high], err_msg=name)
    assert_allclose(of_files["fleiss_kappa"].value, fleiss_kappa(probs))
    assert of_files.read.order == "same order"
    assert json.dumps(of_files.to_dict())
    assert_allclose(measure(list(probs))["churn"].low, of_array["churn"].low)
    monkeypatch.setattr(sys.modules["traintwice.compare._inputs"], "MOST_IN_MEMORY", 10)
    assert "needs all rows together: 480 numbers" in measure(paths, which=(fleiss_kappa,)).left_out["fleiss_kappa"]


def metrics_of_default():
    from traintwice.compare._measure import DEFAULT

    return DEFAULT


def test_files_of_an_infinite_loss_and_of_numbers(draw, write):
    probs, y = draw()
    probs[2, 5] = np.eye(3)[(y[5] + 1) % 3]
    m = measure(write(probs, y))
    assert m.infinite["log_loss"] == "first at row 5 of " + m.read.files[2]
    numbers = {"id": np.arange(40), "value": np.linspace(-3, 3, 40)}
    other = {"id": np.arange(40), "value": np.linspace(-3, 3, 40) + 0.5}
    assert_allclose(measure([numbers, other], probs="value", regression=True)["regression_difference"].value, 0.5)


def test_one_file_is_too_few_and_arrays_of_labels_are_not_for_files(draw, write):
    probs, y = draw()
    paths = write(probs, y)
    with pytest.raises(TooFewReplicas, match="got 1 replica"):
        measure(paths[0])
    with pytest.raises(BadInput, match="with files it is the name of a column"):
        measure(paths, y)


def test_arrays_of_every_kind(draw):
    probs, labels = draw(3, 50, 2)
    whole = measure(probs, labels)
    for given in (list(probs), probs[:, :, 1], list(probs[:, :, 1])):
        same = measure(given, labels)
        assert all(same[k].value == pytest.approx(whole[k].value) for k in whole)
        assert set(same) == set(whole)
    logits = measure(np.log(probs) + 3, labels, logits=True)
    assert logits["surrogate_churn"].value == pytest.approx(whole["surrogate_churn"].value)
    numbers = measure(probs[:, :, 0] * 100, regression=True)
    assert numbers["regression_difference"].value == pytest.approx(100 * total_variation(probs))
    with pytest.raises(UnknownName, match=r"no argument of measure named 'lable'. Did you mean 'label'\?"):
        measure(probs, lable=labels)
    with pytest.raises(UnknownName, match=r"no argument of measure named 'threshold'. Did you mean 'thresholds'\?"):
        measure(probs, threshold=[0.5])
    with pytest.raises(BadInput, match="not all in"):
        measure(probs[:, :, 0] * 100)
    assert "fleiss_kappa" in measure(probs, which=["churn", "fleiss_kappa"])
    accuracies = [sum(p.argmax() == y for p, y in zip(one, labels, strict=True)) / len(labels) for one in probs]
    losses = [sum(-np.log(p[y]) for p, y in zip(one, labels, strict=True)) / len(labels) for one in probs]
    assert whole.spread == pytest.approx({"accuracy": np.std(accuracies, ddof=1), "log_loss": np.std(losses, ddof=1)})
    assert f"accuracy {value_of(whole.spread['accuracy'], 'fraction').removesuffix(' %')} pp, log loss" in str(whole)
    assert measure(probs[:2], labels).spread == {}


def test_soft_measures_at_one_temperature_for_the_recipe_fitted_on_every_fifth_row(draw):
    probs, y = draw(5, 200, 3)
    probs = probs**2 / (probs**2).sum(axis=2, keepdims=True)
    m = measure(probs, y, temperature_matched=True)
    out = np.arange(200) % 5 == 4
    temperature = fit_temperature(Predictions(probs[:, out], y[out]))
    rest = at_temperature(Predictions(probs[:, ~out], y[~out]), temperature)
    assert m.matched.temperatures == (temperature,)
    assert m.matched.held_out == 40
    assert set(m.matched.estimates) == {"surrogate_churn", "pairwise_l1", "delta_1", "delta_2", "delta_label"}
    for metric in (surrogate_churn, delta_1):
        assert_allclose(m.matched.estimates[metric.__name__].value, metric(rest), rtol=1e-12)
    assert m.to_dict()["matched"]["held_out"] == 40


def test_why_there_is_no_matched_temperature_is_said(draw):
    probs, y = draw()
    assert "--label" in measure(probs, temperature_matched=True).left_out["temperature_matched"]
    assert measure(probs.argmax(2), y, temperature_matched=True).left_out["temperature_matched"] == "needs probabilities"
    assert "no soft measure" in measure(probs, y, which=(churn,), temperature_matched=True).left_out["temperature_matched"]


@pytest.mark.parametrize("files", [False, True])
def test_clusters_count_in_every_interval(draw, write, files):
    probs, y = draw(4, 200, 3)
    user = np.random.default_rng(0).integers(0, 20, 200)
    of_files = {"cluster": "user", "label": "y", "id": "id"}
    m = measure(write(probs, y, more={"user": user}), **of_files) if files else measure(probs, y, cluster=user)
    for name in ("churn", "churn_to_error", "log_loss", "delta_1"):
        expected = interval(getattr(metrics, name).measure(Predictions(probs, y, clusters=user)))
        assert_allclose([m[name].low, m[name].high], [expected.low, expected.high], err_msg=name, rtol=1e-6)
        assert m[name].units == len(np.unique(user))


def test_copies_are_named(draw):
    probs, y = draw()
    probs[3] = probs[1]
    assert measure(probs, y).identical == (("replica 1", "replica 3"),)
    assert measure(probs[:3], y).identical == ()


def test_calibration_is_next_to_what_chance_shows():
    rng = np.random.default_rng(0)
    s = rng.uniform(0.05, 0.95, 3000)
    y = (rng.random(3000) < s).astype(int)
    probs = np.stack([np.stack([1 - s, s], axis=1)] * 2)
    m = measure(probs, y, which=["calibration_error"])
    expected, debiased = m.calibration
    assert expected == pytest.approx(m["calibration_error"].value, rel=0.5)
    assert debiased < m["calibration_error"].value
    assert np.isnan(m["calibration_error"].low)
    assert measure(probs, y).calibration is None


class TestMultiplicity:
    def test_self_consistency_and_viable_range_by_their_definition(self, draw):
        probs, y = draw(5, 300, 2)
        m = measure(probs, y, multiplicity=True)
        votes = probs.argmax(axis=2)
        pairs = list(combinations(range(5), 2))
        agree = np.mean([votes[a] == votes[b] for a, b in pairs], axis=0)
        assert_allclose(m["self_consistency"].value, agree.mean())
        for level, share in m.multiplicity.self_consistency.items():
            assert_allclose(share, (agree >= float(level) - 1e-12).mean())
        span = np.ptp(probs[:, :, 1], axis=0)
        assert_allclose(m["viable_range"].value, span.mean())
        for q, found in m.multiplicity.viable_range.items():
            assert (span <= found + 1e-12).mean() >= float(q)
        assert m.multiplicity.ambiguity_served is None
        assert {"ambiguity", "discrepancy", "percentile_width"} <= set(m)

    def test_predicted_labels_have_no_range(self, draw):
        found = measure(draw()[0].argmax(axis=2), multiplicity=True).multiplicity
        assert found.viable_range == {}
        assert found.self_consistency

    def test_against_the_served_model(self, draw):
        probs, y = draw(5, 300, 3)
        m = measure(probs[:4], y, multiplicity=True, served=probs[4])
        votes = probs.argmax(axis=2)
        differs = votes[:4] != votes[4]
        assert_allclose(m.multiplicity.ambiguity_served, differs.any(axis=0).mean())
        assert_allclose(m.multiplicity.discrepancy_served, differs.mean(axis=1).max())
        assert m.replicas == 4
        assert_allclose(m["churn"].value, churn(probs[:4]))
        with pytest.raises(BadInput, match="pass multiplicity=True"):
            measure(probs[:4], y, served=probs[4])

    @pytest.mark.parametrize("labels_only", [False, True])
    def test_only_replicas_within_a_loss(self, draw, labels_only):
        probs, y = draw(5, 300, 3)
        probs[2] = 1 / 3 + 0.01 * (probs[2] - 1 / 3)
        probs[2, :, 0] += 1e-3
        probs[2] /= probs[2].sum(axis=1, keepdims=True)
        given = probs.argmax(axis=2) if labels_only else probs
        metric = metrics.error if labels_only else log_loss
        losses = np.array([metric(given[m : m + 1], y) for m in range(5)])
        within = np.sort(losses - losses.min())[2] + 1e-9
        m = measure(given, y, within_loss=within)
        chosen = np.flatnonzero(losses - losses.min() <= within)
        assert m.kept == tuple(f"replica {i}" for i in chosen)
        assert_allclose(m["churn"].value, churn(given[chosen]))
        assert m.replicas == 3
        if not labels_only:  # errors may tie
            with pytest.raises(TooFewReplicas, match="within_loss: 1 of 5 replicas"):
                measure(given, y, within_loss=0.0)

    def test_too_many_rows_for_memory_are_refused(self, draw, monkeypatch):
        monkeypatch.setattr(sys.modules["traintwice.compare._inputs"], "MOST_IN_MEMORY", 10)
        with pytest.raises(BadInput, match="multiplicity and within_loss read all rows together: 480 numbers"):
            measure(*draw(), multiplicity=True)


def test_decision_flips_at_thresholds(draw):
    probs, y = draw(4, 200, 2)
    m = measure(probs, y, thresholds=[0.3, 0.7])
    for t in (0.3, 0.7):
        said = probs[:, :, 1] >= t
        expected = np.mean([(said[a] != said[b]).mean() for a, b in combinations(range(4), 2)])
        assert_allclose(m[f"decision_flips({t})"].value, expected)
    assert "needs two classes" in measure(*draw(), thresholds=[0.5]).left_out["decision_flips(0.5)"]
    with pytest.raises(BadInput, match="thresholds: got 3"):
        measure(probs, y, thresholds=[3])


@pytest.mark.parametrize("what", ["rows", "replicas"])
def test_the_order_of_rows_and_replicas_is_without_meaning(draw, what):
    probs, y = draw(5, 200, 3)
    order = np.random.default_rng(0).permutation(200 if what == "rows" else 5)
    one, other = (
        measure(probs, y),
        measure(probs[:, order] if what == "rows" else probs[order], y[order] if what == "rows" else y),
    )
    for name in one:
        a, b = one[name], other[name]
        assert_allclose([a.value, a.low, a.high, a.standard_error], [b.value, b.low, b.high, b.standard_error], rtol=1e-7)


def test_a_regression_with_true_values():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(4, 100)), rng.normal(size=100)
    m = measure(
        x, t, regression=True, which=["mean_absolute_error", "root_mean_squared_error", "mean_error", "regression_difference"]
    )
    assert_allclose(m["mean_absolute_error"].value, np.abs(x - t).mean())
    assert_allclose(m["root_mean_squared_error"].value, np.sqrt(((x - t) ** 2).mean()))
    assert_allclose(m["mean_error"].value, (x - t).mean())
    assert measure(x, regression=True)["regression_difference"].value == m["regression_difference"].value
