import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import diff
from traintwice.compare._operating import TopSets, check_thresholds, check_top_k, count_of
from traintwice.errors import BadInput
from traintwice.predictions import Predictions


def test_decisions_by_their_definition(draw):
    probs, _ = draw(2, 500, 2)
    probs[0, 0] = [0.7, 0.3]
    old, new = probs[:, :, 1]
    for found in diff(probs[0], probs[1], thresholds=[probs[0, 0, 1], 0.7]).decisions:
        before, after = old >= found.threshold, new >= found.threshold
        assert_allclose([found.old_positive.value, found.new_positive.value], [before.mean(), after.mean()])
        assert_allclose([found.to_positive.value, found.to_negative.value], [(~before & after).mean(), (before & ~after).mean()])
        count = int((before != after).sum())
        expected = stats.binomtest(count, 500).proportion_ci(0.95, method="wilson")
        assert_allclose([found.changed.low, found.changed.high], [expected.low, expected.high])
        expected = stats.binomtest(int(before.sum()), 500).proportion_ci(0.95, method="wilson")
        assert_allclose([found.old_positive.low, found.old_positive.high], [expected.low, expected.high])


class TestSwapSets:
    def test_by_their_definition(self, draw):
        probs, y = draw(2, 90_000, 2)
        probs = np.round(probs, 3)  # many ties, over several blocks
        probs[:, :, 0] = 1 - probs[:, :, 1]
        for found in diff(probs[0], probs[1], label=y, top_k=[100, 0.01], listed=0).swap_sets:
            k = 100 if found.asked == 100 else 900
            old, new = (set(np.argsort(-p, kind="stable")[:k].tolist()) for p in probs[:, :, 1])
            assert (found.rows, found.swapped) == (k, len(new - old))
            assert_allclose(found.overlap.value, len(new & old) / k)
            expected = stats.binomtest(len(new & old), k).proportion_ci(0.95, method="wilson")
            assert_allclose([found.overlap.low, found.overlap.high], [expected.low, expected.high])
            assert_allclose(found.entered_positive, y[list(new - old)].mean())
            assert_allclose(found.left_positive, y[list(old - new)].mean())

    def test_the_same_model_swaps_nothing(self, draw):
        probs, _ = draw(1, 50, 2)
        (found,) = diff(probs[0], probs[0], top_k=[1000]).swap_sets
        assert (found.rows, found.overlap.value, found.swapped, found.entered_positive) == (50, 1.0, 0, None)

    def test_rows_without_a_label_are_no_part_of_the_share(self):
        top = TopSets([2], 4, 2)
        scores = np.array([[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.9, 0.8]])
        probs = np.stack([1 - scores, scores], axis=2)
        top.add(Predictions(probs[:, :3], np.array([1, 0, 1])))
        top.add(Predictions(probs[:, 3:]))
        assert top.swapped(2, 0, 1) == (2, 1.0, 0.5)


def test_more_classes_have_no_thresholds(draw):
    probs, _ = draw(2, 50, 3)
    d = diff(probs[0], probs[1], thresholds=[0.5], top_k=[5])
    assert d.decisions == d.swap_sets == ()
    assert {"thresholds", "top_k"} <= set(d.left_out)


@pytest.mark.parametrize(
    ("check", "bad"), [(check_thresholds, 2), (check_thresholds, -0.1), (check_top_k, 0), (check_top_k, 1.5)]
)
def test_out_of_range(check, bad):
    with pytest.raises(BadInput, match=f"got {bad}"):
        check([0.5, bad])


@pytest.mark.parametrize(("asked", "rows", "k"), [(0.5, 7, 4), (0.001, 7, 1), (3, 7, 3), (1, 7, 1)])
def test_shares_are_of_the_rows(asked, rows, k):
    assert count_of(asked, rows) == k
