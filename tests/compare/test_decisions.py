import numpy as np
from numpy.testing import assert_allclose

from traintwice.compare import diff


def test_decisions_by_their_definition(draw):
    probs, _ = draw(2, 500, 2)
    old, new = probs[:, :, 1]
    for found in diff(probs[0], probs[1], thresholds=[0.3, 0.7]).decisions:
        before, after = old >= found.threshold, new >= found.threshold
        assert_allclose([found.old_positive.value, found.new_positive.value], [before.mean(), after.mean()])
        assert_allclose([found.to_positive.value, found.to_negative.value], [(~before & after).mean(), (before & ~after).mean()])
        assert_allclose(found.changed.standard_error, (before != after).std(ddof=1) / np.sqrt(500))


def test_swap_sets_by_their_definition(draw):
    probs, y = draw(2, 90_000, 2)
    probs = np.round(probs, 3)  # many ties, over several blocks
    probs[:, :, 0] = 1 - probs[:, :, 1]
    for found in diff(probs[0], probs[1], label=y, top_k=[100, 0.01]).swap_sets:
        k = 100 if found.asked == 100 else 900
        old, new = (set(np.argsort(-p, kind="stable")[:k].tolist()) for p in probs[:, :, 1])
        assert found.rows == k
        assert found.swapped == len(new - old)
        assert_allclose(found.overlap, len(new & old) / k)
        assert_allclose(found.entered_positive, y[list(new - old)].mean())
        assert_allclose(found.left_positive, y[list(old - new)].mean())


def test_the_same_model_swaps_nothing(draw):
    probs, _ = draw(1, 50, 2)
    (found,) = diff(probs[0], probs[0], top_k=[1000]).swap_sets
    assert (found.rows, found.overlap, found.swapped, found.entered_positive) == (50, 1.0, 0, None)


def test_more_classes_have_no_thresholds(draw):
    probs, _ = draw(2, 50, 3)
    d = diff(probs[0], probs[1], thresholds=[0.5], top_k=[5])
    assert d.decisions == d.swap_sets == ()
    assert {"thresholds", "top_k"} <= set(d.left_out)
