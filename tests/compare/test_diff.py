import json
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice import metrics
from traintwice.compare import diff, interval
from traintwice.errors import BadInput, TraintwiceError, UnknownName
from traintwice.predictions import Predictions
from traintwice.statistics._inference import change_of_share, mcnemar, wilson
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
    low, high = change_of_share((gained < 0).sum(), (gained > 0).sum(), 600, 0.95)
    assert_allclose([d["accuracy"].low, d["accuracy"].high], [low, high])
    (accuracy,) = (q for q in d.quality if q.name == "accuracy")
    assert_allclose(accuracy.p_value, mcnemar((gained < 0).sum(), (gained > 0).sum()))
    assert np.isnan(next(q for q in d.quality if q.name == "calibration_error").change.low)


def test_bounds_hold(models):
    probs, y, _ = models
    d = diff(probs[0], probs[1], label=y)
    assert d["churn"].value <= d.bounds["tight_lemma_2"] <= d.bounds["lemma_2"]
    assert d["churn"].value <= d.bounds["lemma_1"]
    assert_allclose(d.bounds["lemma_1"], metrics.error(probs[:1], y) + metrics.error(probs[1:2], y))


KINDS = ("three classes", "binary", "votes", "regression")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_files_give_what_arrays_give_in_any_order(draw, write, kind, shuffle):
    probs, y = draw(7, 600, 2 if kind == "binary" else 3)
    country, user = np.array(["AT", "BR", None], dtype=object)[np.arange(600) % 3], np.arange(600) // 5
    options = {"level": 0.9, "listed": 5, "min_support": 20}
    arrays, columns = list(probs), {"more": {"user": user}}
    if kind == "binary":
        options |= {"thresholds": [0.3, 0.7], "top_k": [30], "temperature_matched": True, "rank": True}
    if kind == "votes":
        arrays = list(probs.argmax(axis=2))
    if kind == "regression":
        arrays, y = list(np.log(probs[:, :, 0])), np.log(probs[6, :, 1])
    of_files = {"regression": True, "probs": "pred"} if kind == "regression" else {"by": "country"}
    of_arrays = {"regression": True} if kind == "regression" else {"by": {"country": country}}
    expected = diff(
        arrays[0], arrays[1], floor=arrays[2:6], label=y, id=np.arange(600), cluster={"user": user}, **of_arrays, **options
    ).to_dict()
    paths = write(arrays, y, country, shuffle=shuffle, **columns)
    d = diff(paths[0], paths[1], floor=paths[2:6], cluster="user", label="y", id="id", details=True, **of_files, **options)
    found = d.to_dict()
    assert d.alignment.order == ("joined" if shuffle else "same order")
    different = {"alignment", "warnings"}
    if shuffle:  # which rows come first, or are held out, is a matter of order
        different |= {"regressed", "largest_changes", "matched"}
        if kind != "votes":
            assert {r.id for r in d.largest_changes} == {r["id"] for r in expected["largest_changes"]}
    same({k: v for k, v in found.items() if k not in different}, {k: v for k, v in expected.items() if k not in different})
    assert expected["slices"] or kind == "regression"


@pytest.mark.parametrize("kind", KINDS)
def test_one_block_gives_what_many_give(draw, monkeypatch, kind):
    probs, y = draw(4, 500, 2 if kind == "binary" else 3)
    arrays = list(probs.argmax(axis=2)) if kind == "votes" else list(probs)
    options = {"label": y, "by": {"g": np.arange(500) % 3}, "cluster": np.arange(500) // 7, "weight": np.linspace(1, 2, 500)}
    if kind == "binary":
        options |= {"thresholds": [0.3, 0.7], "top_k": [30], "temperature_matched": True}
    if kind == "regression":
        arrays = list(np.log(probs[:, :, 0]))
        t = np.where(np.arange(500) % 4, np.log(probs[3, :, 1]), np.nan)
        options = {"label": t, "regression": True, "cluster": options["cluster"]}
    whole = diff(arrays[0], arrays[1], floor=arrays[2:], min_support=20, **options).to_dict()
    monkeypatch.setattr("traintwice.predictions._predictions.BLOCK_ELEMENTS", 97)
    parts = diff(arrays[0], arrays[1], floor=arrays[2:], min_support=20, **options).to_dict()
    if kind == "regression":  # the squares grow from the first block
        whole.pop("joint")
        parts.pop("joint")
    same(parts, whole)


def test_rows_in_another_order_give_the_same(models):
    probs, y, country = models
    order = np.random.default_rng(0).permutation(600)
    one, other = (
        diff(
            probs[0, o], probs[1, o], floor=list(probs[2:, o]), label=y[o], by={"c": country[o]}, id=np.arange(600)[o], listed=5
        ).to_dict()
        for o in (np.arange(600), order)
    )
    for name in ("quality", "measures", "bounds", "floors", "flow", "confidence", "joint", "movement", "answers", "slices"):
        same(one[name], other[name])


def test_an_infinite_log_loss_is_named_in_both_ways(write):
    probs = np.array([[[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]], [[0.6, 0.4], [1.0, 0.0], [0.7, 0.3]]])
    paths = write(probs, np.array([0, 1, 0]))
    streamed, counted = (diff(*paths, details=details, which=["log_loss"]) for details in (True, False))
    assert streamed.infinite["log_loss"] == "first at row 1 (id 1) of the new model"
    assert counted.infinite["log_loss"] == "in 1 row of the new model"
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
    assert_allclose(d.effective_rows, w.sum() ** 2 / (w**2).sum())
    assert diff(probs[0], probs[1]).effective_rows is None


@pytest.mark.parametrize("labelled", ["all", "some", "none"])
def test_regression_and_what_it_leaves_out(labelled):
    rng = np.random.default_rng(0)
    old, new, t = rng.normal(size=(3, 50))
    keep = {"all": np.ones(50, bool), "some": np.arange(50) % 3 > 0, "none": np.zeros(50, bool)}[labelled]
    label = None if labelled == "none" else np.where(keep, t, np.nan)
    d = diff(old, new, regression=True, label=label, floor=[old + 0.1, old - 0.1, old + 0.2, old + 0.05])
    assert_allclose(d["regression_difference"].value, np.abs(old - new).mean())
    assert_allclose(d.floor.floor, 0.1125, atol=1e-12)
    assert_allclose(d.largest_changes[0].distance, np.abs(old - new).max())
    assert "slices" in d.left_out
    assert [a.question for a in d.answers] == ["quality", "disagreement"]
    assert d["regression_difference"].examples == 50
    if labelled == "none":
        assert d.quality == ()
        return
    errors = np.stack([old, new])[:, keep] - t[keep]
    by_name = {q.name: q for q in d.quality}
    for name, of in (
        ("mean_absolute_error", lambda e: np.abs(e).mean()),
        ("root_mean_squared_error", lambda e: np.sqrt((e**2).mean())),
        ("mean_error", lambda e: e.mean()),
    ):
        assert_allclose([by_name[name].old.value, by_name[name].new.value], [of(e) for e in errors])
        assert by_name[name].old.examples == keep.sum()
        assert by_name[name].change.low < of(errors[1]) - of(errors[0]) < by_name[name].change.high
    assert d.alignment.labelled == keep.sum()


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
    assert json.loads(json.dumps(d.to_dict(), allow_nan=False))["schema"] == 2
    assert isinstance(d["churn"], Estimate)
    with pytest.raises(KeyError, match="needs two classes"):
        d["relative_delta_positive"]
    assert (d.old, d.new) == ("old", "new")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"new_floor": [0]}, "new_floor needs floor"),
        ({"level": 95}, "level: got 95"),
        ({"min_support": 0}, "min_support, listed: got 0"),
        ({"thresholds": [2]}, "thresholds: got 2"),
        ({"top_k": [0]}, "top_k: got 0"),
        ({"top_k": [1.5]}, "top_k: got 1.5"),
        ({"label": "y"}, "with arrays give an array"),
        ({"by": ["country"]}, "with arrays give a mapping"),
        ({"waive": ["1"]}, "these have none; pass --id"),
        ({"margin": 1.0}, "margin, same_within: got 1.0 and"),
        ({"same_within": -0.1}, "margin, same_within: got 1.5 and -0.1"),
        ({"which": ["accuracyy"]}, "Did you mean 'accuracy'"),
    ],
)
def test_wrong_options_are_refused(draw, options, message):
    probs, _ = draw(2, 20, 2)
    if "new_floor" in options:
        options = {"new_floor": [probs[0]]}
    with pytest.raises(TraintwiceError, match=message):
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


def test_what_too_few_models_or_rows_leave_without_value_is_named(draw):
    probs, y = draw(2, 5, 2)
    d = diff(probs[0], probs[1], label=y, rank=True, which=[m for m in metrics.ALL if not m.definition.old_vs_new])
    assert d.left_out["ambiguity"] == "ambiguity of 3 replicas: got 2; train more, or pass of=2"
    assert d.left_out["top_k_overlap"] == "top-10 overlap has no value here: there are 5 examples"
    assert d.left_out["score_difference"] == "needs scores"


@pytest.mark.parametrize("kind", ["weights", "clusters"])
def test_recall_and_precision_of_two_classes_are_paired(draw, kind):
    probs, y = draw(2, 600, 2)
    rng = np.random.default_rng(0)
    known = {"weight": rng.random(600) + 0.5} if kind == "weights" else {"cluster": rng.integers(0, 50, 600)}
    d = diff(probs[0], probs[1], label=y, **known)
    of = {"weights": known.get("weight"), "clusters": known.get("cluster")}
    for name in ("accuracy", "recall", "precision"):
        old, new = (getattr(metrics, name).measure(Predictions(probs[m : m + 1], y, **of)) for m in (0, 1))
        found = next(q for q in d.quality if q.name == name)
        z = new.influence - old.influence
        w = known.get("weight", np.ones(600))
        units, totals = w.sum() ** 2 / np.sum(w**2), z
        if kind == "clusters":
            units, totals = len(np.unique(of["clusters"])), np.bincount(of["clusters"], z)
        error = np.sqrt(units / (units - 1) * np.sum(totals**2)) / 600
        freedom = units - 1
        if name != "precision":  # the rows, or clusters, that change
            right = (probs.argmax(axis=2) == y) & ((y == 1) | (name == "accuracy"))
            changed = (right[0] != right[1]) * w
            changed = np.bincount(of["clusters"], changed) if kind == "clusters" else changed
            freedom = changed.sum() ** 2 / np.sum(changed**2) - 1
            assert 10 < freedom < units - 1
        half = stats.t.ppf(0.975, freedom) * error
        assert_allclose([found.old.value, found.new.value], [old.value, new.value])
        assert_allclose([found.old.low, found.old.high], [interval(old).low, interval(old).high], rtol=1e-6)
        assert_allclose([found.change.low, found.change.high], new.value - old.value + np.array([-half, half]), rtol=1e-6)
        assert_allclose(found.p_value, 2 * stats.t.sf(abs(new.value - old.value) / error, freedom), rtol=1e-6)


class TestWeights:
    def test_rows_of_weight_zero_are_as_if_left_out(self, draw):
        probs, y = draw(6, 300, 2)
        w = np.where(np.arange(300) % 3 == 0, np.random.default_rng(0).random(300) + 0.2, 0.0)
        group, kept = (np.arange(300) // 150).astype(str), w > 0

        def found(rows, clusters=None):
            floor = [p[rows] for p in probs[2:]]
            options = {"label": y[rows], "weight": w[rows], "by": {"g": group[rows]}, "min_support": 1, "cluster": clusters}
            d = diff(probs[0][rows], probs[1][rows], floor=floor, **options)
            every = [e for q in d.quality for e in (q.old, q.new, q.change)] + [m.estimate for m in d.measures]
            every += [f.ratio for f in d.floors] + [t.change for s in d.slices for t in s.tests]
            tests = [q.p_value for q in d.quality if q.p_value is not None] + [t.p_value for s in d.slices for t in s.tests]
            return [e.value for e in every] + [e.low for e in every] + [e.high for e in every] + tests

        for clusters in (None, np.arange(300) // 5):
            some = None if clusters is None else clusters[kept]
            assert_allclose(found(np.ones(300, bool), clusters), found(kept, some), rtol=1e-7, atol=1e-9)

    def test_few_rows_that_hold_the_weight_are_few_units(self):
        y, new = np.zeros(400, int), np.zeros(400, int)
        new[:3] = 1
        w = np.r_[np.full(3, 1e6), np.full(397, 1e-6)]
        d = diff(y, new, label=y, weight=w, floor=[np.roll(new, 50 * k) for k in range(1, 6)])
        accuracy = next(q for q in d.quality if q.name == "accuracy")
        assert accuracy.change.value == pytest.approx(-1)
        assert accuracy.p_value == pytest.approx(2**-2)  # three rows of equal sign
        low, high = accuracy.change.low, accuracy.change.high
        assert_allclose([low, high], [-1, 2 * (1 - 0.025 ** (1 / 3)) - 1], rtol=1e-6)
        assert high > change_of_share(3, 0, 3, 0.95)[1]
        w[0] = 1e12
        d = diff(y, new, label=y, weight=w, floor=[np.roll(new, 50 * k) for k in range(1, 6)])
        accuracy = next(q for q in d.quality if q.name == "accuracy")
        assert accuracy.p_value == pytest.approx(1, abs=1e-4)
        assert d.floors[0].verdict == "inconclusive"
        assert "one row has nearly all the weight" in d.floors[0].reason

    def test_the_rows_that_change_are_the_degrees_of_freedom_of_a_change(self):
        y, new, w = np.zeros(500, int), np.zeros(500, int), np.random.default_rng(0).random(500) + 0.5
        new[:4] = 1
        d = diff(y, new, label=y, weight=w)
        accuracy = next(q for q in d.quality if q.name == "accuracy")
        change, n = -w[:4].sum() / w.sum(), w.sum() ** 2 / np.sum(w**2)
        variance = n / (n - 1) * np.sum((w * (-new - change)) ** 2) / w.sum() ** 2
        freedom = w[:4].sum() ** 2 / np.sum(w[:4] ** 2) - 1
        assert_allclose(accuracy.p_value, 2 * stats.t.sf(-change / np.sqrt(variance), freedom), rtol=1e-6)
        assert accuracy.p_value > 0.05  # as McNemar's 0.125 of four rows


def test_bias_and_other_measures_that_are_asked_for(draw):
    probs, y = draw(2, 300, 2)
    d = diff(probs[0], probs[1], label=y, which=["mean_bias", "hellinger", "recall"])
    bias = next(q for q in d.quality if q.name == "mean_bias")
    assert_allclose([bias.old.value, bias.new.value], [(p[:, 1] - y).mean() for p in probs])
    assert bias.higher_is_better is None
    assert_allclose(d["hellinger"].value, metrics.hellinger(probs))
    assert [q.name for q in d.quality].count("recall") == 1
    assert diff(probs[0].argmax(1), probs[1].argmax(1), label=y, which=["recall"]).left_out["recall"]


class TestWarnings:
    def test_few_effective_rows(self, models):
        probs, y, _ = models
        w = np.where(np.arange(600) < 5, 1.0, 1e-6)
        d = diff(probs[0], probs[1], label=y, weight=w)
        assert d.warnings == ("the weights leave 5 effective rows, fewer than 100",)

    def test_few_clusters(self):
        old, new, clusters = np.zeros(200, int), np.zeros(200, int), np.arange(200) // 10
        new[:12] = 1
        carriers = 12**2 / (10**2 + 2**2)
        said = f"churn rests on few clusters (effective number {carriers:.1f}, of 20), so its interval is wide"
        assert diff(old, new, cluster=clusters).warnings == (f"{said}; more rows of the same clusters do not help",)
        assert diff(old, new).warnings == ()
        new[::2] = 1
        assert diff(old, new, cluster=clusters).warnings == ()

    def test_all_rows_in_one_cluster(self, models):
        probs, y, _ = models
        given = {"label": y, "cluster": np.zeros(600, int), "floor": list(probs[2:6])}
        d = diff(probs[0], probs[1], **given)
        assert d.warnings[0].startswith("all rows are in one cluster, so nothing is known about other clusters")
        assert 0 < d["churn"].value < 1
        assert_allclose([d["churn"].low, d["churn"].high], wilson(d["churn"].value, 1, 0.95))
        for floor in d.floors:
            assert floor.verdict == "inconclusive"
            assert floor.more_retrains is None
            assert math.isnan(floor.ratio.low)
            assert "all rows are in one cluster" in floor.reason

    @pytest.mark.parametrize(("classes", "one"), [(2, 1), (2, 0), (3, 0), (3, 2)])
    @pytest.mark.parametrize("rows", [19, 20])
    def test_models_that_predict_one_class(self, draw, classes, one, rows):
        """Scores of rare events, all below 0.5, are no reason for a warning."""
        probs, _ = draw(2, rows, classes)
        probs = probs / 3
        probs[:, :, one] += 2 / 3
        warned = any(f"both models predict {one} on all 20 rows" in w for w in diff(probs[0], probs[1]).warnings)
        assert warned == (rows == 20 and (classes, one) != (2, 0))
        votes = probs.argmax(axis=2)
        assert not any("both models predict" in w for w in diff(votes[0], votes[1]).warnings)

    def test_a_score_that_ranks_against_its_labels(self, draw):
        probs, _ = draw(2, 500, 2)
        y = (probs[1, :, 1] > 0.5).astype(int)
        d = diff(1 - probs[0, :, 1], probs[1, :, 1], label=y)
        assert d.warnings == (
            f"the score of the old model ranks against the labels (AUC {metrics.auc(probs[:1, :, ::-1], y):.2f}); "
            "is --positive the right class?",
        )

    def test_copies_are_named(self, models):
        probs, _, _ = models
        d = diff(probs[0], probs[1], floor=[probs[2], probs[2].copy()])
        assert d.identical == (("retrain 1 of old", "retrain 2 of old"),)
        assert "retrain 1 of old, retrain 2 of old" in d.warnings[0]

    def test_none_where_nothing_is_wrong(self, models):
        probs, y, _ = models
        assert diff(probs[0], probs[1], label=y).warnings == ()


@pytest.mark.parametrize("in_labels", [False, True])
def test_errors_about_cells_hide_them_where_rows_are_hidden(draw, in_labels):
    probs, _ = draw(2, 20, 3)
    names = np.array(["secret", "secret", *map(str, range(18))])
    ids, labels = (np.arange(20), np.array(["secret"] * 19 + ["a"])) if in_labels else (names, np.zeros(20, int))
    tables = [{"id": ids, "y": labels, **{f"p_{k}": p[:, k] for k in range(3)}} for p in probs]
    for no_rows in (False, True):
        with pytest.raises(BadInput) as refused:
            diff(*tables, label="y", no_rows=no_rows)
        assert ("secret" in str(refused.value)) != no_rows
