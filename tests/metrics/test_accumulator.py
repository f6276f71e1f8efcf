import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.compare import interval
from traintwice.errors import BadInput, Undefined
from traintwice.metrics import (
    ALL,
    Accumulator,
    accuracy,
    churn,
    churn_correct,
    churn_to_error,
    fleiss_kappa,
    kl_divergence,
    log_loss,
    mean_absolute_error,
    negative_flips,
    root_mean_squared_error,
    surrogate_churn,
    total_variation,
)
from traintwice.metrics._accumulator import PairedAccumulator
from traintwice.metrics._summaries import influence_variance
from traintwice.predictions import Predictions

GROUPED = (churn, accuracy, churn_correct, churn_to_error, surrogate_churn, log_loss)


def same(found, expected):
    for name in ("value", "example_variance", "replica_variance", "examples", "units", "effective", "clustered", "base"):
        a, b = getattr(found, name), getattr(expected, name)
        if name in ("units", "effective") and b is None:
            b = expected.examples
        assert_allclose(a, b, rtol=1e-9, atol=1e-18, err_msg=name)
    assert_allclose(found.rows, expected.rows)


def test_options_are_kept(draw):
    p, _ = draw()
    a = Accumulator(surrogate_churn, alpha=3.0).update(p)
    assert a.compute().value == pytest.approx(surrogate_churn(p, alpha=3.0), rel=1e-13)
    with pytest.raises(BadInput, match=r"merge: got surrogate_churn\(\), expected surrogate_churn\(alpha=3.0\)"):
        a.merge(Accumulator(surrogate_churn))


def test_parts_are_examples_of_the_same_replicas(draw):
    a = Accumulator(churn).update(draw(3)[0])
    with pytest.raises(BadInput, match="churn: got 4 replicas, expected 3 as before"):
        a.update(draw(4)[0])
    with pytest.raises(BadInput, match="churn: got 4 replicas, expected 3 as before"):
        a.merge(Accumulator(churn).update(draw(4)[0]))
    assert a.examples == 40


def test_nothing_seen_has_no_value(draw):
    with pytest.raises(BadInput, match="no examples of positive weight have been added yet"):
        Accumulator(churn).compute()
    p, y = draw()
    with pytest.raises(Undefined, match="its denominator, error, is zero"):
        Accumulator(churn_to_error).update(p[:1].repeat(2, axis=0), p[0].argmax(axis=1)).compute()
    assert Accumulator(accuracy).update(p, y).compute().value == accuracy(p, y)


def test_measures_of_all_rows_together_are_refused():
    with pytest.raises(BadInput, match=r"needs all examples together; call fleiss_kappa\.measure"):
        Accumulator(fleiss_kappa)


def test_counts_are_exact_however_the_examples_come():
    rng = np.random.default_rng(0)
    v, y = rng.integers(0, 3, (7, 3000)), rng.integers(0, 3, 3000)
    for metric in (churn, accuracy, churn_correct):
        whole = metric.measure(v, y)
        for cuts in ([1000], [1, 2, 2999], list(range(100, 3000, 100))):
            a = Accumulator(metric)
            for i, j in zip([0, *cuts], [*cuts, 3000], strict=True):
                a.update(v[:, i:j], y[i:j])
            assert a.compute().value == whole.value
            assert a.compute().rows.tolist() == whole.rows.tolist()
            assert a.compute().jackknife_values.tolist() == whole.jackknife_values.tolist()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", [m for m in ALL if m.definition.one_pass], ids=lambda m: m.__name__)
def test_parts_give_the_summary_of_the_whole(draw, metric, weighted, clustered):
    probs, y = draw(2 if metric.definition.old_vs_new else 4, 90, 2)
    rng = np.random.default_rng(1)
    known = {
        "weights": rng.random(90) + 0.1 if weighted else None,
        "clusters": rng.integers(0, 12, 90) if clustered else None,
    }
    if metric.definition.needs_scores:
        whole = Predictions.trusted(probs[:, :, 1], scores=True, targets=rng.normal(size=90), **known)
    elif metric.definition.needs_outcomes:
        whole = Predictions.from_outcomes(probs[:, :, 1], **known)
    else:
        whole = Predictions.trusted(probs, y, **known)
    a, b = Accumulator(metric, clustered=clustered), Accumulator(metric, clustered=clustered)
    a.add(whole.slice(0, 1))
    a.add(whole.slice(1, 50))
    b.add(whole.slice(50, 90))
    a.merge(b)
    measured = metric.measure(whole).summary
    if measured.value != measured.value or np.isnan(measured.example_variance):
        assert_allclose(a.compute().value, measured.value)
        return
    same(a.compute(), measured)


def test_an_infinite_part_stays_infinite_and_is_named(draw):
    p, y = draw()
    p[0, 3] = np.eye(4)[(y[3] + 1) % 4]
    p[2, 25] = np.eye(4)[(y[25] + 1) % 4]
    a = Accumulator(log_loss)
    ids = np.array([f"r{n}" for n in range(40)])
    for i, j in ((0, 2), (2, 20), (20, 40)):
        a.add(Predictions(p[:, i:j], y[i:j], ids=ids[i:j]))
    assert a.compute().value == np.inf
    assert np.isnan(a.compute().example_variance)
    assert np.isnan(interval(a.compute()).half_width)
    assert (a.infinite.row, a.infinite.replica, a.infinite.id) == (3, 0, "r3")
    b = Accumulator(kl_divergence)
    b.add(Predictions(np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.2, 0.8], [0.5, 0.5]]])))
    assert (b.infinite.row, b.infinite.replica, b.infinite.id) == (1, 0, None)


def test_what_rows_lack_is_named_and_the_others_count(draw):
    p, y = draw()
    a = Accumulator(accuracy)
    assert a.add(Predictions(p[:, :10])) is None
    with pytest.raises(Undefined, match="needs labels"):
        a.compute()
    assert a.add(Predictions(p[:, 10:], y[10:])).shape == (1, 30)
    assert a.compute().value == accuracy(p[:, 10:], y[10:])
    assert (a.examples, a.missing) == (30, "needs labels")
    one = Accumulator(negative_flips)
    one.add(Predictions(p, y))
    assert one.missing == "compares one old with one new model, there are 3"


def test_weights_of_zero_add_examples_that_do_not_count(draw):
    p, y = draw()
    w = np.r_[np.zeros(10), np.ones(30)]
    whole = churn_correct.measure(Predictions(p, y, w))
    rest = Accumulator(churn_correct).update(p[:, 10:], y[10:])
    assert rest.compute().value == pytest.approx(whole.value, rel=1e-14)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", GROUPED, ids=lambda m: m.__name__)
def test_each_group_is_the_metric_on_its_rows(draw, metric, clustered):
    p, y = draw(3, 300)
    rng = np.random.default_rng(0)
    groups, clusters, w = rng.integers(0, 3, 300), rng.integers(0, 40, 300), rng.random(300) + 0.2
    a = Accumulator(metric, clustered=clustered)
    for i, j in ((0, 120), (120, 300)):
        part = Predictions(p[:, i:j], y[i:j], w[i:j], clusters=clusters[i:j])
        a.add(part, groups=groups[i:j])
    found = a.by_group()
    for g in range(3):
        inside = groups == g
        of = metric.measure(
            Predictions(p[:, inside], y[inside], w[inside], clusters=clusters[inside] if clustered else None)
        ).summary
        assert_allclose([found[g].value, found[g].example_variance], [of.value, of.example_variance], rtol=1e-9)
        assert found[g].examples == inside.sum()
        effective = w[inside].sum() ** 2 / np.sum(w[inside] ** 2)
        assert found[g].units == (len(np.unique(clusters[inside])) if clustered else int(effective))


def test_a_group_without_a_denominator_has_no_value_and_others_have():
    votes, y = np.array([[0, 1, 0, 1], [0, 1, 1, 0]]), np.array([0, 1, 1, 0])
    a = Accumulator(churn_to_error)
    a.add(Predictions(votes, y), groups=np.array([0, 0, 1, 1]))
    none, ratio = a.by_group()
    assert np.isnan(none.value)
    assert np.isnan(none.example_variance)
    assert ratio.value == 2.0


def test_measures_that_are_no_quotient_have_no_groups():
    a = Accumulator(root_mean_squared_error)
    a.add(Predictions.from_scores(np.ones((2, 3)), targets=np.zeros(3)), groups=np.array([0, 0, 1]))
    with pytest.raises(BadInput, match="has no value by slice"):
        a.by_group()


def test_counted_rows_are_as_many_rows(draw):
    votes, y = np.array([[0, 1, 0, 2], [0, 0, 1, 2]]), np.array([0, 1, 1, 1])
    counts = np.array([3, 1, 4, 2])
    for metric in (churn, accuracy, churn_to_error, negative_flips):
        a = Accumulator(metric)
        a.add(Predictions(votes, y), counts=counts.astype(float))
        same(a.compute(), metric.measure(Predictions(votes.repeat(counts, axis=1), y.repeat(counts))).summary)


@pytest.mark.parametrize("metric", [churn, churn_correct, surrogate_churn, total_variation], ids=lambda m: m.__name__)
def test_travels_between_processes(draw, metric):
    p, y = draw(4, 80)
    parts = [Accumulator(metric).update(p[:, i:j], y[i:j]) for i, j in ((0, 30), (30, 80))]
    packed = Accumulator(metric)
    for part in parts:
        packed.merge_packed(part.pack())
    packed.merge_packed(Accumulator(metric).pack())
    same(packed.compute(), metric.measure(p, y).summary)
    again = pickle.loads(pickle.dumps(parts[0]))  # noqa: S301
    again.merge(parts[1])
    same(again.compute(), metric.measure(p, y).summary)
    row = parts[0].pack()
    same(Accumulator(metric).merge_packed(row.tolist()).compute(), parts[0].compute())
    wrong = {
        "they were cut short": row[:-1],
        "or added to others": row + row,
        "got float32 of shape": row.astype(np.float32),
        "they are of another metric": Accumulator(negative_flips if metric is churn else churn).update(p[:2], y).pack(),
    }
    for message, numbers in wrong.items():
        with pytest.raises(BadInput, match=message):
            Accumulator(metric).merge_packed(numbers)
    with pytest.raises(BadInput, match="over clusters"):
        Accumulator(metric).merge(Accumulator(metric, clustered=True))


def test_arrays_of_numbers_and_true_values():
    rng = np.random.default_rng(0)
    f, t = rng.normal(size=(3, 50)), rng.normal(size=50)
    for metric in (mean_absolute_error, root_mean_squared_error):
        a = Accumulator(metric).update(f[:, :20], t[:20]).update(f[:, 20:], t[20:])
        assert_allclose(a.compute().value, metric(f, t))
        assert_allclose(a.compute().example_variance, metric.measure(f, t).summary.example_variance)


METRICS = [metrics.accuracy, metrics.log_loss, metrics.precision, metrics.churn, metrics.churn_to_error]


@pytest.fixture
def sets(draw):
    p, y = draw(6, 240, 2)
    rng = np.random.default_rng(1)
    return p[:3], p[3:], y, rng.random(240) + 0.2, rng.integers(0, 40, 240), rng.integers(0, 3, 240)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.__name__)
def test_the_variance_is_that_of_the_difference_of_influences(sets, metric, clustered):
    first, second, y, w, clusters, groups = sets
    both = PairedAccumulator(metric, clustered=clustered)
    for i, j in ((0, 100), (100, 240)):
        both.add(*(Predictions(p[:, i:j], y[i:j], w[i:j], clusters=clusters[i:j]) for p in (first, second)), groups=groups[i:j])
    by_group = both.by_group()
    for g in range(3):
        inside = groups == g
        one, other = (metric.measure(Predictions(p[:, inside], y[inside], w[inside])) for p in (first, second))
        effective = None if clustered else w[inside].sum() ** 2 / np.sum(w[inside] ** 2)
        variance, units = influence_variance(other.influence - one.influence, clusters[inside] if clustered else None, effective)
        assert_allclose([by_group[g].value, by_group[g].example_variance], [other.value - one.value, variance], rtol=1e-8)
        assert by_group[g].units == units


def test_all_rows_together(sets):
    first, second, y, *_ = sets
    both = PairedAccumulator(metrics.accuracy)
    both.add(Predictions(first, y), Predictions(second, y))
    one, other = (metrics.accuracy.measure(p, y) for p in (first, second))
    found = both.difference()
    assert found.value == other.value - one.value
    assert_allclose(found.example_variance, influence_variance(other.influence - one.influence)[0], rtol=1e-9)


def test_an_infinite_value_has_no_variance():
    both = PairedAccumulator(metrics.log_loss)
    both.add(
        Predictions(np.array([[[1.0, 0.0], [0.5, 0.5]]]), np.array([1, 0])),
        Predictions(np.full((1, 2, 2), 0.5), np.array([1, 0])),
    )
    assert np.isnan(both.difference().example_variance)


def test_rows_without_a_value_are_named():
    both = PairedAccumulator(metrics.accuracy)
    both.add(Predictions(np.array([[0, 1]])), Predictions(np.array([[0, 1]])))
    assert both.missing == "needs labels"
    with pytest.raises(BadInput, match="has no value by slice"):
        PairedAccumulator(metrics.root_mean_squared_error).by_group()


def test_a_batch_without_weight_adds_nothing():
    votes, y = np.array([[0, 1, 0], [0, 0, 1]]), np.array([0, 1, 1])
    a = Accumulator(churn).update(votes, y, np.zeros(3))
    with pytest.raises(BadInput, match="no examples of positive weight"):
        a.compute()
    assert a.update(votes, y, np.array([1.0, 2.0, 1.0])).compute().value == 0.75


def test_the_first_infinite_row_is_one_with_a_weight():
    probs, y = np.array([[[1.0, 0.0]] * 3]), np.array([1, 0, 1])
    a = Accumulator(metrics.log_loss)
    a.add(Predictions(probs, y, np.array([0.0, 1.0, 1.0])))
    assert a.infinite.row == 2
