import numpy as np
import pytest
from numpy.testing import assert_allclose

from traintwice.compare import _pattern_counts as module
from traintwice.compare._pattern_counts import PatternCounts

BITS = 3


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.integers(0, 1 << BITS, 500), rng.integers(0, 4, 500), rng.integers(0, 60, 500)


def by_hand(codes, groups, clusters, group):
    """Rows, clusters, sums and second moments of one group, cluster by cluster."""
    x = np.array([[1, *[code >> bit & 1 for bit in range(BITS)]] for code in codes], dtype=float)
    totals = [x[(groups == group) & (clusters == c)].sum(axis=0) for c in np.unique(clusters[groups == group])]
    return (groups == group).sum(), len(totals), sum(totals), sum(np.outer(t, t) for t in totals)


@pytest.mark.parametrize("most_empty", [0, 8], ids=["sorted", "table"])
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_sums_are_those_of_a_loop_over_clusters(rows, monkeypatch, most_empty, chunk):
    monkeypatch.setattr(module, "MOST_EMPTY", most_empty)
    monkeypatch.setattr(module, "CHUNK", chunk)
    codes, groups, clusters = rows
    counts = PatternCounts(BITS)
    for part in (slice(0, 1), slice(1, 350), slice(350, 500)):
        counts.add(codes[part].astype(np.int32), groups[part], clusters[part])
        if part.stop == 350:
            assert list(counts.sums())  # rows may come after the sums were asked for
    assert counts.changed
    found = list(counts.sums())
    assert not counts.changed
    assert [group for group, *_ in found] == [0, 1, 2, 3]
    for group, *sums in found:
        for one, other in zip(sums, by_hand(codes, groups, clusters, group), strict=True):
            assert_allclose(one, other)


def test_without_groups_and_clusters_all_rows_are_one_unit(rows):
    counts = PatternCounts(BITS)
    counts.add(rows[0].astype(np.int32), None, None)
    ((group, n, units, linear, second),) = counts.sums()
    assert (group, n, units) == (0, 500, 1)
    assert_allclose(second, np.outer(linear, linear))
