import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.compare import diff, instability, interval
from traintwice.errors import BadInput, UnknownName
from traintwice.predictions import Predictions
from traintwice.types import Estimate


@pytest.fixture
def models(draw):
    probs, labels = draw(7, 600, 3)
    return probs, labels, np.array(["AT", "BR", None], dtype=object)[np.arange(600) % 3]


def same(a, b):
    """Two results as JSON, equal but for rounding."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, float):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    else:
        assert a == b


def test_measures_are_those_of_the_metrics(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y)
    pair = Predictions(probs[:2], y)
    for metric in (metrics.churn, metrics.negative_flips, metrics.total_variation, metrics.churn_to_error, metrics.delta_label):
        expected = interval(metric.measure(pair))
        assert_allclose(
            [d[metric.__name__].value, d[metric.__name__].low], [expected.value, expected.low], err_msg=metric.__name__
        )
        assert d[metric.__name__].target == "examples"
    for q in d.quality:
        metric = getattr(metrics, q.name)
        assert_allclose([q.old.value, q.new.value], [metric(probs[:1], y), metric(probs[1:2], y)], err_msg=q.name)
        assert_allclose(q.change.value, q.new.value - q.old.value, atol=1e-12)


def test_the_change_of_accuracy_is_paired_by_row(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y)
    right = probs[:2].argmax(axis=2) == y
    gained = right[1].astype(float) - right[0]
    assert_allclose(d["accuracy"].standard_error, gained.std(ddof=1) / np.sqrt(600))
    assert np.isnan(next(q for q in d.quality if q.name == "calibration_error").change.low)


def test_bounds_hold(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y)
    assert d["churn"].value <= d.bounds["tight_lemma_2"] <= d.bounds["lemma_2"]
    assert d["churn"].value <= d.bounds["lemma_1"]
    assert_allclose(d.bounds["lemma_1"], metrics.error(probs[:1], y) + metrics.error(probs[1:2], y))


def test_flow_bands_moved_rows_and_reviews_by_their_definition(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y, moved=7)
    old, new = probs[:2].argmax(axis=2)
    changed, distance = old != new, np.abs(probs[0] - probs[1]).sum(axis=1) / 2
    for a in range(3):
        for b in range(3):
            assert d.flow.counts[a][b] == ((old == a) & (new == b)).sum()
    assert [c.rows for c in d.flow.cells] == sorted((c.rows for c in d.flow.cells), reverse=True)
    margin = np.sort(probs[:2], axis=2)[..., -1] - np.sort(probs[:2], axis=2)[..., -2]
    for band in d.confidence:
        within = (margin[0] > band.low) & (margin[0] <= band.high)
        assert band.rows == within.sum()
        assert band.new_rows == ((margin[1] > band.low) & (margin[1] <= band.high)).sum()
        if band.rows:
            assert_allclose([band.churn, band.distance], [changed[within].mean(), distance[within].mean()])
    order = np.argsort(-distance, kind="stable")[:7]
    assert [row.position for row in d.moved] == order.tolist()
    assert [(row.old, row.new, row.label) for row in d.moved] == [(str(old[n]), str(new[n]), str(y[n])) for n in order]
    assert_allclose([row.old_probability for row in d.moved], probs[0, order, old[order]])
    least_stable = np.argsort(-instability(probs[:1]))
    for review in d.reviews:
        assert review.rows == round(review.share * 600)
        assert_allclose(review.caught, changed[least_stable[: review.rows]].sum() / changed.sum(), atol=0.01)


def test_instability_uses_all_models_of_the_old_recipe(models):
    probs, _, _ = models
    mean = np.sort(probs[[0, 2, 3]].mean(axis=0), axis=1)
    assert_allclose(instability(probs[[0, 2, 3]]), 1 - (mean[:, -1] - mean[:, -2]))
    votes = np.array([[0, 0, 0, 2], [0, 1, 1, 2], [0, 1, 2, 1], [0, 1, 2, 1]])
    assert_allclose(instability(votes), 1 - np.array([4, 2, 1, 0]) / 4)
    with pytest.raises(BadInput, match="predicted labels of one model"):
        instability(votes[:1])


def test_files_give_what_arrays_give_in_any_order(models, write):
    probs, y, country = models
    of_arrays = diff(probs[0], probs[1], floor=list(probs[2:6]), label=y, by={"country": country}).to_dict()
    for shuffle in (False, True):
        paths = write(probs, y, country, shuffle=shuffle)
        d = diff(paths[0], paths[1], floor=paths[2:6], by="country", details=True)
        of_files = d.to_dict()
        assert d.alignment.order == ("joined" if shuffle else "same order")
        assert {m.id for m in d.moved} == {m["position"] for m in of_arrays["moved"]}
        for part in ("quality", "measures", "bounds", "floor", "flow", "confidence", "slices", "reviews"):
            same(of_files[part], of_arrays[part])


@pytest.mark.parametrize("kind", ["binary", "votes"])
@pytest.mark.parametrize("labelled", ["all", "some", "none"])
def test_counting_in_duckdb_gives_what_streaming_gives(draw, write, kind, labelled):
    probs, y = draw(2, 500, 2 if kind == "binary" else 4)
    given = probs if kind == "binary" else probs.argmax(axis=2)
    labels = {"all": y, "some": np.where(np.arange(500) % 3, y, np.nan), "none": None}[labelled]
    country = np.array(["AT", "BR"], dtype=object)[np.arange(500) % 2]
    paths = write(given, labels, country)
    options = {"by": "country", "min_support": 20, "thresholds": [0.3, 0.7] if kind == "binary" else ()}
    which = ["log_loss"] if kind == "binary" else []
    counted, streamed = (diff(*paths, details=details, which=which, **options) for details in (False, True))
    found = streamed.to_dict()
    for part in ("flow", "slices", "decisions", "alignment"):
        same(json.loads(json.dumps(counted.to_dict()[part])), json.loads(json.dumps(found[part])))
    assert {m.name for m in counted.measures} <= {m.name for m in streamed.measures}
    assert {"churn"} | ({"negative_flips", "churn_correct"} if labels is not None else set()) <= {
        m.name for m in counted.measures
    }
    for m in counted.measures:
        same(m.estimate.to_dict(), streamed[m.name].to_dict())
    expected = {"none": set(), "all": {"accuracy"}, "some": {"accuracy"}}[labelled]
    assert {q.name for q in counted.quality} == expected | ({"log_loss"} if kind == "binary" and expected else set())
    by_name = {q.name: q for q in streamed.quality}
    for q in counted.quality:
        for side in ("old", "new", "change"):
            same(getattr(q, side).to_dict(), getattr(by_name[q.name], side).to_dict())
    assert "details=True" in counted.left_out["moved"]
    same(counted.bounds.get("lemma_1"), streamed.bounds.get("lemma_1"))


def test_an_infinite_log_loss_is_named_in_both_ways(write):
    probs = np.array([[[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], [[0.6, 0.4], [1.0, 0.0], [0.7, 0.3]]])
    paths = write(probs, np.array([0, 1, 0]))
    streamed, counted = (diff(*paths, details=details, which=["log_loss"]) for details in (True, False))
    assert streamed.infinite["log_loss"] == "first at row 1 (id 1) of the new model"
    assert counted.infinite["log_loss"] == "in 1 rows of the new model"
    for d in (streamed, counted):
        loss = next(q for q in d.quality if q.name == "log_loss")
        assert np.isfinite(loss.old.value)
        assert loss.new.value == loss.change.value == np.inf
        assert np.isnan(loss.new.low)
    assert "id" not in diff(*paths, no_rows=True).infinite["log_loss"]


def test_no_rows_keeps_ids_out_of_everything(models, write):
    probs, y, _ = models
    ids = np.array([f"secret{n}" for n in range(600)])
    probs[1, 5] = np.eye(3)[(y[5] + 1) % 3]
    paths = write(probs[:2], y, ids=ids)
    assert "secret" in json.dumps(diff(*paths).to_dict())
    assert "secret" not in json.dumps(diff(*paths, no_rows=True).to_dict())


def test_waived_rows_do_not_count(models, write):
    probs, y, _ = models
    paths = write(probs[:2], y)
    changed = np.nonzero(probs[0].argmax(axis=1) != probs[1].argmax(axis=1))[0]
    d = diff(*paths, waive=[str(n) for n in changed[:10]])
    assert d.waived == 10
    assert_allclose(d["churn"].value, (len(changed) - 10) / 590)


def test_weights_are_those_of_the_metrics(models):
    probs, y, _ = models
    w = np.linspace(0, 2, 600)
    d = diff(probs[0], probs[1], label=y, weight=w)
    expected = interval(metrics.churn.measure(Predictions(probs[:2], y, w)))
    assert_allclose([d["churn"].value, d["churn"].high], [expected.value, expected.high])
    assert d.weighted


def test_regression_and_what_it_leaves_out():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=50), rng.normal(size=50)
    d = diff(old, new, regression=True, floor=[old + 0.1, old - 0.1, old + 0.2, old])
    assert_allclose(d["regression_difference"].value, np.abs(old - new).mean())
    assert_allclose(d.floor.floor, 0.1, atol=1e-12)
    assert_allclose(d.moved[0].distance, np.abs(old - new).max())
    assert "slices" in d.left_out


def test_rank_and_temperature_only_on_request(draw):
    probs, y = draw(2, 400, 2)
    plain = diff(probs[0], probs[1], label=y)
    assert not {"rank_loss", "kendall_tau"} & ({q.name for q in plain.quality} | {m.name for m in plain.measures})
    d = diff(probs[0], probs[1], label=y, rank=True, temperature_matched=True, which=["fleiss_kappa", "hellinger"])
    assert_allclose(d["kendall_tau"].value, metrics.kendall_tau(probs))
    assert_allclose(d["rank_loss"].value, metrics.rank_loss(probs[1:], y) - metrics.rank_loss(probs[:1], y))
    assert_allclose(d["hellinger"].value, metrics.hellinger(probs))
    assert "fleiss_kappa" in {m.name for m in d.measures}
    held = np.arange(400) % 5 == 4
    matched = np.stack([p ** (1 / t) for p, t in zip(probs, (d.matched.old, d.matched.new), strict=True)])
    matched /= matched.sum(axis=2, keepdims=True)
    assert d.matched.held_out == held.sum()
    assert_allclose(d.matched.measures[0].estimate.value, metrics.total_variation(matched[:, ~held]))


def test_partly_labelled_rows_count_for_what_needs_no_label(models, write):
    probs, y, _ = models
    labels = np.where(np.arange(600) % 4, y.astype(float), np.nan)
    d = diff(*write(probs[:2], labels))
    with_label = np.arange(600) % 4 > 0
    assert_allclose(d["churn"].value, (probs[0].argmax(axis=1) != probs[1].argmax(axis=1)).mean())
    assert_allclose(d["negative_flips"].value, metrics.negative_flips(probs[:2][:, with_label], y[with_label]))
    assert (d.alignment.labelled, d["negative_flips"].examples, d["churn"].examples) == (450, 450, 600)


def test_is_plain_json_and_finds_measures_by_name(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y)
    assert json.loads(json.dumps(d.to_dict(), allow_nan=False))["schema"] == 1
    assert isinstance(d["churn"], Estimate)
    with pytest.raises(KeyError, match="needs two classes"):
        d["relative_delta_positive"]
    assert (d.old, d.new) == ("old", "new")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"new_floor": [0]}, "new_floor needs floor"),
        ({"level": 95}, "level: got 95"),
        ({"min_support": 0}, "min_support, moved: got 0"),
        ({"thresholds": [2]}, "thresholds: got 2"),
        ({"top_k": [0]}, "top_k: got 0"),
        ({"top_k": [1.5]}, "top_k: got 1.5"),
        ({"label": "y"}, "with arrays give an array"),
        ({"by": ["country"]}, "with arrays give a mapping"),
        ({"waive": ["1"]}, "these have none; pass --id"),
    ],
)
def test_wrong_options_are_refused(draw, options, message):
    probs, _ = draw(2, 20, 2)
    if "new_floor" in options:
        options = {"new_floor": [probs[0]]}
    with pytest.raises(BadInput, match=message):
        diff(probs[0], probs[1], **options)


def test_wrong_models_are_refused(draw, write):
    probs, _ = draw(2, 20, 2)
    paths = write(probs)
    with pytest.raises(BadInput, match="arrays and files cannot be compared"):
        diff(paths[0], probs[1])
    with pytest.raises(BadInput, match="model 1 has predictions of shape"):
        diff(probs[0], probs[1][:5])
    with pytest.raises(BadInput, match="2 files or arrays were given, expected one model"):
        diff(paths, paths[1])
    with pytest.raises(BadInput, match="not all in"):
        diff(probs[0][:, 0] * 2, probs[1][:, 0])
    with pytest.raises(UnknownName, match="Did you mean 'churn'"):
        diff(probs[0], probs[1], which=["chrun"])


def test_weights_leave_out_what_has_no_weighted_form(draw, write):
    probs, y = draw(2, 200, 2)
    weights = np.linspace(0.5, 2, 200)
    tables = [{"id": np.arange(200), "p": p[:, 1], "y": y, "w": weights} for p in probs]
    for d in (diff(probs[0], probs[1], label=y, weight=weights, rank=True), diff(*tables, weight="w", rank=True)):
        assert (d.left_out["kendall_tau"], d.left_out["top_k_overlap"]) == ("has no weighted form",) * 2
        ranked = next(q for q in d.quality if q.name == "rank_loss")
        assert_allclose(ranked.new.value, metrics.rank_loss(Predictions(probs[1:], y, weights)))


def test_what_too_few_models_or_rows_leave_without_value_is_named(draw):
    probs, y = draw(2, 5, 2)
    d = diff(probs[0], probs[1], label=y, rank=True, which=[m for m in metrics.ALL if not m.definition.ordered])
    assert d.left_out["ambiguity"] == "ambiguity of 3 replicas: got 2; train more, or pass of=2"
    assert d.left_out["top_k_overlap"] == "top-10 overlap has no value here: there are 5 examples"
    assert d.left_out["score_difference"] == "needs scores"
