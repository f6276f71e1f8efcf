import json
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import interval, measure
from traintwice.compare.temperature import at_temperature, fit_temperature
from traintwice.errors import BadInput, TooFewReplicas
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
    assert m["churn"] == interval(churn.measure(probs))
    assert m["log_loss"] == interval(log_loss.measure(probs, y))
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
    assert m.left_out["rank_loss"] == "needs two classes, there are 3"
    assert m.left_out["negative_flips"] == "compares one old with one new model, there are 4"
    assert m.left_out["regression_difference"] == "needs scores"
    assert m["discrepancy"].target == "replicas"  # the largest pair has no example part
    two = measure(*draw(2, 40, 2), which=ALL)
    assert {"negative_flips", "rank_loss", "kendall_tau"} <= set(two)
    assert "ambiguity of 3 replicas: got 2" in two.left_out["ambiguity"]
    assert np.isnan(two["kendall_tau"].half_width)  # neither replicas to leave out nor an example part
    probs, y = draw(3, 40, 2)
    scores = measure(Predictions.from_scores(np.log(probs[:, :, 1]), y), which=ALL)
    assert set(scores) == {
        "auc",
        "decision_flips",
        "rank_loss",
        "kendall_tau",
        "top_k_overlap",
        "regression_difference",
        "relative_regression_difference",
        "score_difference",
    }


def test_weights_and_level_are_passed_on(draw):
    probs, y = draw()
    w = np.linspace(0, 1, 40)
    m = measure(probs, y, weights=w, which=(surrogate_churn,), level=0.8)
    assert m["surrogate_churn"] == interval(surrogate_churn.measure(Predictions(probs, y, w)), level=0.8)


def test_one_replica_is_too_few(draw):
    with pytest.raises(TooFewReplicas):
        measure(draw(1)[0])


def test_is_a_mapping_that_prints_and_exports(draw):
    m = measure(*draw())
    assert len(m) == len(list(m)) == len(m.table().rows)
    assert "churn" in repr(m)
    assert "4 replicas · 40 examples" in repr(m)
    assert m._repr_html_().startswith("<table>")
    data = json.loads(json.dumps(m.to_dict(), allow_nan=False))
    assert_allclose(data["measures"]["churn"]["value"], m["churn"].value)
    assert (data["replicas"], data["examples"]) == (4, 40)


def test_an_infinite_log_loss_is_said_and_its_row_named(draw):
    probs, y = draw()
    probs[2, 5] = np.eye(3)[(y[5] + 1) % 3]
    m = measure(probs, y)
    assert "log loss is infinite: first at replica 2, example 5" in repr(m)
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
    monkeypatch.setattr(sys.modules["traintwice.compare.measure"], "MOST_IN_MEMORY", 10)
    assert "needs all rows together, 480 numbers" in measure(paths, which=(fleiss_kappa,)).left_out["fleiss_kappa"]


def metrics_of_default():
    from traintwice.compare.measure import DEFAULT

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
    with pytest.raises(TooFewReplicas, match="got 1 file"):
        measure(paths[0])
    with pytest.raises(BadInput, match="name their columns with label="):
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
    with pytest.raises(BadInput, match="label, memory: are for files"):
        measure(probs, label="y", memory="2GB")
    with pytest.raises(BadInput, match="not all in"):
        measure(probs[:, :, 0] * 100)
    assert "fleiss_kappa" in measure(probs, which=["churn", "fleiss_kappa"])


def test_soft_measures_at_one_temperature_for_the_recipe_fitted_on_every_fifth_row(draw):
    probs, y = draw(5, 200, 3)
    probs = probs**2 / (probs**2).sum(axis=2, keepdims=True)
    m = measure(probs, y, temperature_matched=True)
    out = np.arange(200) % 5 == 4
    temperature = fit_temperature(Predictions(probs[:, out], y[out]))
    rest = at_temperature(Predictions(probs[:, ~out], y[~out]), temperature)
    assert m.matched.temperature == temperature
    assert m.matched.held_out == 40
    assert set(m.matched.estimates) == {"surrogate_churn", "pairwise_l1", "delta_1", "delta_2", "delta_label"}
    for metric in (surrogate_churn, delta_1):
        assert_allclose(m.matched.estimates[metric.__name__].value, metric(rest), rtol=1e-12)
    cells = {row.name: row.cells["matched"] for row in m.table().rows}
    assert cells["churn"] is None
    assert cells["SChurn₁"] == m.matched.estimates["surrogate_churn"]
    assert m.to_dict()["matched"]["held_out"] == 40


def test_why_there_is_no_matched_temperature_is_said(draw):
    probs, y = draw()
    assert "--label" in measure(probs, temperature_matched=True).left_out["temperature_matched"]
    assert measure(probs.argmax(2), y, temperature_matched=True).left_out["temperature_matched"] == "needs probabilities"
    assert "no soft measure" in measure(probs, y, which=(churn,), temperature_matched=True).left_out["temperature_matched"]
