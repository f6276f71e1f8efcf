import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice import metrics
from traintwice.compare import _tally as module
from traintwice.compare import interval
from traintwice.compare._expressions import ACCURACY, BETWEEN, PRECISION, RECALL, Ratio, RowValues, base_quantities, changed
from traintwice.compare._tally import Axis, PatternCounts, Tally
from traintwice.metrics import _moments
from traintwice.predictions import Predictions

BITS = 3

RATIOS = (*BETWEEN, *ACCURACY[:2], *RECALL[:2], *PRECISION[:2])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    votes = np.where(rng.random((2, 400)) < 0.25, 1 - y, y)
    return votes, y, rng.random(400) + 0.3, rng.integers(0, 50, 400), rng.integers(0, 3, 400)


def tallied(votes, y, *, weights=None, clusters=None, groups=None, cuts=()):
    t = Tally(base_quantities(binary=True), clustered=clusters is not None)
    for i, j in zip([0, *cuts], [*cuts, len(y)], strict=True):
        part = Predictions(
            votes[:, i:j],
            y[i:j],
            None if weights is None else weights[i:j],
            clusters=None if clusters is None else clusters[i:j],
        )
        t.add(RowValues(part), groups=None if groups is None else groups[i:j])
    return t


def variance(t, ratio):
    return np.array([s.example_variance for s in t.summaries(ratio)])


def metric_of(ratio, old):
    metric = getattr(metrics, ratio.name)
    return metric, slice(0, 2) if metric.definition.between_replicas or ratio.models == 2 else slice(old, old + 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("ratio", range(len(RATIOS)), ids=lambda i: RATIOS[i].name)
def test_every_measure_is_the_metric_of_its_name(rows, ratio, weighted, clustered):
    votes, y, w, clusters, _ = rows
    ratio = RATIOS[ratio]
    known = {"weights": w if weighted else None, "clusters": clusters if clustered else None}
    t = tallied(votes, y, cuts=(1, 130), **known)
    metric, models = metric_of(ratio, 0 if ratio.top.keys() & {"right_0", "hit_0"} else 1)
    expected = metric.measure(Predictions(votes[models], y, known["weights"], clusters=known["clusters"]))
    (found,) = t.summaries(ratio)
    a, b = interval(found), interval(expected, target="examples")
    assert_allclose([a.value, a.low, a.high, a.standard_error], [b.value, b.low, b.high, b.standard_error], rtol=1e-9, atol=1e-15)
    assert (found.scale, found.share, found.most) == (
        metric.definition.scale,
        metric.definition.is_share,
        metric.definition.most,
    )
    assert ratio.unit == metric.definition.unit


@pytest.mark.parametrize(("ratio", "metric"), [(ACCURACY[2], "accuracy"), (RECALL[2], "recall"), (PRECISION[2], "precision")])
def test_changes_are_new_minus_old_with_the_variance_of_both_together(rows, ratio, metric):
    votes, y, _, _, _ = rows
    t = tallied(votes, y)
    old, new = (getattr(metrics, metric).measure(votes[m : m + 1], y) for m in (0, 1))
    assert_allclose(t.value(ratio)[0], new.value - old.value)
    assert_allclose(variance(t, ratio)[0], (new.influence - old.influence).var(ddof=1) / 400)


@pytest.mark.parametrize("kind", ["plain", "weighted", "clustered"])
def test_each_group_is_its_rows_alone(rows, kind):
    votes, y, w, clusters, groups = rows
    known = {"weights": w if kind == "weighted" else None, "clusters": clusters if kind == "clustered" else None}
    t = tallied(votes, y, groups=groups, cuts=(100,), **known)
    for g in range(3):
        inside = groups == g
        alone = tallied(votes[:, inside], y[inside], **{k: None if v is None else v[inside] for k, v in known.items()})
        assert t.rows[g] == inside.sum()
        for ratio in (*RATIOS, ACCURACY[2]):
            assert_allclose(t.value(ratio)[g], alone.value(ratio)[0], atol=1e-14)
            assert_allclose(variance(t, ratio)[g], variance(alone, ratio)[0], rtol=1e-9, atol=1e-14)


def test_cells_and_rows_give_the_same(rows, monkeypatch):
    votes, y, _, _, groups = rows
    counted = tallied(votes, y, groups=groups, cuts=(7, 300))
    monkeypatch.setattr(module, "MOST_CELLS", 0)
    summed = tallied(votes, y, groups=groups, cuts=(7, 300))
    monkeypatch.setattr(module, "MOST_CELLS", 3 << 14)
    mixed = Tally(base_quantities(binary=True))
    for i, j, most in ((0, 100, 1 << 20), (100, 200, 0), (200, 400, 1 << 20)):
        monkeypatch.setattr(module, "MOST_CELLS", most)
        mixed.add(RowValues(Predictions(votes[:, i:j], y[i:j])), groups=groups[i:j])
    for t in (summed, mixed):
        for ratio in RATIOS:
            assert_allclose(t.value(ratio), counted.value(ratio))
            assert_allclose(variance(t, ratio), variance(counted, ratio))
        for name in counted.quantities:
            assert t.total(name).tolist() == counted.total(name).tolist()


def test_rows_with_and_without_labels_are_counted_apart(rows):
    votes, y, _, _, _ = rows
    t = Tally(base_quantities(binary=True))
    t.add(RowValues(Predictions(votes[:, :100], y[:100])))
    t.add(RowValues(Predictions(votes[:, 100:])))
    assert_allclose(t.value(BETWEEN[0])[0], (votes[0] != votes[1]).mean())
    assert_allclose(t.value(BETWEEN[1])[0], metrics.negative_flips(votes[:, :100], y[:100]))
    assert t.summaries(BETWEEN[1])[0].examples == 100
    (found,) = t.summaries(BETWEEN[1])
    assert (found.units, found.effective, found.base) == (100, 100, 1.0)


def test_without_a_denominator_there_is_no_value(rows):
    votes = rows[0]
    t = Tally(base_quantities(binary=False))
    t.add(RowValues(Predictions(votes)))
    assert np.isnan(t.value(BETWEEN[1])[0])


def test_weighted_says_whether_weights_differ_from_one(rows):
    votes, y, w, _, _ = rows
    assert not tallied(votes, y).weighted
    assert not tallied(votes, y, weights=np.ones(400)).weighted
    assert tallied(votes, y, weights=w).weighted


def test_more_quantities_than_bits_are_summed():
    votes = np.random.default_rng(0).integers(0, 2, (20, 100))
    t = Tally({f"{a}-{a + 1}": changed(a, a + 1) for a in range(19)})
    t.add(RowValues(Predictions(votes)))
    for a in range(19):
        assert t.total(f"{a}-{a + 1}")[0] == (votes[a] != votes[a + 1]).sum()


def test_effective_rows():
    w = np.array([1.0, 1.0, 4.0])
    t = Tally({"changed": changed(0, 1)})
    t.add(RowValues(Predictions(np.array([[0, 0, 0], [0, 1, 1]]), weights=w)))
    (found,) = t.summaries(Ratio("churn", "churn", {"changed": 1.0}, {"one": 1.0}))
    assert found.effective == pytest.approx(36 / 18)


@pytest.mark.parametrize("values", [[3, 1, 3, 2], ["b", "a", None, "b"], [True, False, True, True]])
def test_axis_numbers_values_as_they_come(values):
    axis = Axis()
    first = axis.codes(np.array(values[:2], dtype=object if None in values else None))
    second = axis.codes(np.array(values[2:], dtype=object if None in values else None))
    names = {number: value for value, number in axis.numbers.items()}
    assert [names[c] for c in [*first, *second]] == values
    assert sorted(names) == list(range(len(set(values))))


@pytest.fixture
def patterns():
    rng = np.random.default_rng(0)
    return rng.integers(0, 1 << BITS, 500), rng.integers(0, 4, 500), rng.integers(0, 60, 500)


def by_hand(codes, groups, clusters, group):
    """Rows, clusters, sums and second moments of one group, cluster by cluster."""
    x = np.array([[1, *[code >> bit & 1 for bit in range(BITS)]] for code in codes], dtype=float)
    totals = [x[(groups == group) & (clusters == c)].sum(axis=0) for c in np.unique(clusters[groups == group])]
    return (groups == group).sum(), len(totals), sum(totals), sum(np.outer(t, t) for t in totals)


@pytest.mark.parametrize("most_empty", [0, 8], ids=["sorted", "table"])
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_sums_of_patterns_are_those_of_a_loop_over_clusters(patterns, monkeypatch, most_empty, chunk):
    monkeypatch.setattr(_moments, "MOST_EMPTY", most_empty)
    monkeypatch.setattr(module, "CHUNK", chunk)
    codes, groups, clusters = patterns
    counts = PatternCounts(BITS)
    for part in (slice(0, 1), slice(1, 350), slice(350, 500)):
        counts.add(codes[part].astype(np.int32), groups[part], clusters[part])
        if part.stop == 350:
            assert list(counts.sums())  # rows may come after the sums were asked for
    found = list(counts.sums())
    assert not list(counts.sums())
    assert [of.value for of in found] == [0, 1, 2, 3]
    for of in found:
        for one, other in zip((of.rows, of.units, of.linear, of.second), by_hand(codes, groups, clusters, of.value), strict=True):
            assert_allclose(one, other)


def test_without_groups_and_clusters_all_rows_are_one_unit(patterns):
    counts = PatternCounts(BITS)
    counts.add(patterns[0].astype(np.int32), None, None)
    (found,) = counts.sums()
    assert (found.value, found.rows, found.units) == (0, 500, 1)
    assert_allclose(found.second, np.outer(found.linear, found.linear))
