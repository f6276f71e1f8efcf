import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.metrics._moments import GroupSums, Moments


def by_definition(u, w, form, *, groups=None, clusters=None):
    """rows, units, Σ w², Σ w form · (1, u) and U/(U − 1) Σ_g (form · a_g)² of every group, as loops."""
    n = u.shape[1]
    groups = np.zeros(n, int) if groups is None else groups
    found = []
    for g in range(groups.max() + 1):
        totals = {}
        rows, squares, linear = 0, 0.0, 0.0
        for i in range(n):
            if groups[i] == g:
                part = w[i] * (form[0] + sum(form[1 + c] * u[c, i] for c in range(len(u))))
                unit = i if clusters is None else clusters[i]
                totals[unit] = totals.get(unit, 0.0) + part
                rows, squares, linear = rows + 1, squares + w[i] ** 2, linear + part
        units = len(totals) if clusters is not None else sum(w[groups == g]) ** 2 / squares
        spread = sum(t * t for t in totals.values()) * units / (units - 1) if units > 1 else np.nan
        found.append((rows, units, squares, linear, spread))
    return np.array(found).T


def seen(moments, form):
    return np.array([moments.rows, moments.units, moments.squares, moments.linear(form), moments.variance(form)])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 200)) + 5
    return u, rng.random(200) + 0.5, rng.integers(0, 4, 200), rng.integers(0, 25, 200), rng.normal(size=4)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("cuts", [[], [1, 70, 71]])
def test_sums_are_those_of_the_definition_however_the_rows_come(rows, clustered, grouped, cuts):
    u, w, groups, clusters, form = rows
    groups, clusters = groups if grouped else None, clusters if clustered else None
    m = Moments(3, clustered=clustered)
    for i, j in zip([0, *cuts], [*cuts, 200], strict=True):
        m.add(
            u[:, i:j],
            w[i:j],
            groups=None if groups is None else groups[i:j],
            clusters=None if clusters is None else clusters[i:j],
        )
        m.variance(form)  # reading in between changes nothing
    assert_allclose(seen(m, form), by_definition(u, w, form, groups=groups, clusters=clusters), rtol=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_merged_parts_are_the_whole(rows, clustered):
    u, w, groups, clusters, form = rows
    order = np.argsort(groups, kind="stable")  # the parts have different groups, and clusters in common
    parts = []
    for chosen in (order[:60], order[60:]):
        m = Moments(3, clustered=clustered)
        m.add(u[:, chosen], w[chosen], groups=groups[chosen], clusters=clusters[chosen] if clustered else None)
        parts.append(m)
    empty = Moments(3, clustered=clustered)
    empty.merge(parts[0])
    empty.merge(parts[1])
    empty.merge(Moments(3, clustered=clustered))
    assert_allclose(
        seen(empty, form), by_definition(u, w, form, groups=groups, clusters=clusters if clustered else None), rtol=1e-9
    )


def test_a_form_for_each_group_is_used_in_its_group(rows):
    u, w, groups, _, _ = rows
    forms = np.random.default_rng(1).normal(size=(4, 4))
    m = Moments(3)
    m.add(u, w, groups=groups)
    for g in range(4):
        linear, variance = by_definition(u, w, forms[:, g], groups=groups)[3:, g]
        assert_allclose([m.linear(forms)[g], m.variance(forms)[g]], [linear, variance], rtol=1e-9)


def test_counted_rows_are_as_many_rows(rows):
    u, _, _, _, form = rows
    counts = np.random.default_rng(2).integers(1, 5, 200)
    counted, repeated = Moments(3), Moments(3)
    counted.add(u, counts=counts.astype(float))
    repeated.add(u.repeat(counts, axis=1))
    assert_allclose(seen(counted, form), seen(repeated, form))


def test_sums_of_another_engine_add_to_those_of_rows(rows):
    u, w, _, _, form = rows
    a = w * np.concatenate([np.ones((1, 200)), u])
    m = Moments(3)
    m.add(u[:, :50], w[:50])
    m.add_sums(0, GroupSums(None, 150, float((w[50:] ** 2).sum()), 150, a[:, 50:].sum(axis=1), a[:, 50:] @ a[:, 50:].T))
    assert_allclose(seen(m, form), by_definition(u, w, form), rtol=1e-9)
    first = Moments(3)
    first.add_sums(1, GroupSums(None, 200, float((w**2).sum()), 200, a.sum(axis=1), a @ a.T))
    assert_allclose(seen(first, form)[:, 1], by_definition(u, w, form)[:, 0], rtol=1e-9)
    assert first.rows.tolist() == [0, 200]


def test_packed_and_unpacked_is_the_same(rows):
    u, w, _, _, form = rows
    m = Moments(3)
    m.add(u, w)
    again = Moments.unpack(m.pack())
    assert_allclose(seen(again, form), seen(m, form), rtol=0)
    again.merge(m)
    twice = Moments(3)
    twice.add(np.concatenate([u, u], axis=1), np.concatenate([w, w]))
    assert_allclose(seen(again, form), seen(twice, form))


def test_nothing_cancels_far_from_zero():
    u = 1e8 + np.random.default_rng(0).normal(size=(1, 1000))
    m, other = Moments(1), Moments(1)
    m.add(u[:, :300])
    other.add(u[:, 300:])
    m.merge(other)
    mean = m.linear(np.array([0.0, 1.0])) / 1000
    assert_allclose(mean, u.mean(), rtol=1e-15)
    assert_allclose(m.variance(np.array([-mean[0], 1.0]) / 1000), u.var(ddof=1) / 1000, rtol=1e-6)


def test_an_infinite_quantity_leaves_the_others_alone():
    u = np.array([[1.0, np.inf, 3.0], [1.0, 2.0, 6.0]])
    m = Moments(2)
    m.add(u)
    assert m.linear(np.array([0.0, 1.0, 0.0]))[0] == np.inf
    assert_allclose(m.variance(np.array([-3.0, 0.0, 1.0]) / 3), u[1].var(ddof=1) / 3)
    assert not np.isfinite(m.variance(np.array([0.0, 1.0, 0.0]))[0])


def test_one_unit_has_no_variance():
    m = Moments(1, clustered=True)
    m.add(np.arange(5.0)[None], clusters=np.zeros(5, int))
    assert m.units.tolist() == [1]
    assert np.isnan(m.variance(np.array([0.0, 1.0]))[0])


def test_many_clusters_in_many_blocks_are_settled_on_the_way():
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 150_000, 900_000)
    u = rng.normal(size=(1, 900_000))
    m = Moments(1, clustered=True)
    for i in range(0, 900_000, 100_000):
        m.add(u[:, i : i + 100_000], clusters=clusters[i : i + 100_000])
    totals = np.bincount(clusters, u[0])
    units = len(np.unique(clusters))
    assert m.units[0] == units
    assert_allclose(m.variance(np.array([0.0, 1.0]))[0], units / (units - 1) * (totals**2).sum())


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_sums_by_cluster_are_complete_after_many_rows(sparse):
    n = (1 << 18) + 10
    rng = np.random.default_rng(0)
    u, clusters = rng.random((1, n)), rng.integers(0, 20, n) * (10**9 if sparse else 1)
    m = Moments(1, clustered=True)
    m.add(u, clusters=clusters)
    expected = sum(u[0, clusters == c].sum() ** 2 for c in np.unique(clusters))
    assert m.units.tolist() == [20]
    assert_allclose(m.squared(np.array([0.0, 1.0])), expected)
