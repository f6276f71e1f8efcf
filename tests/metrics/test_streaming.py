import numpy as np
import pytest

from traintwice.compare import interval
from traintwice.errors import BadInput, Undefined
from traintwice.metrics import Accumulator, accuracy, churn, churn_correct, churn_to_error, log_loss, surrogate_churn
from traintwice.metrics.streaming import Moments
from traintwice.predictions import Predictions


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
            assert a.compute().dropped.tolist() == whole.dropped.tolist()


def test_an_infinite_part_stays_infinite(draw):
    p, y = draw()
    p[0, 3] = np.eye(4)[(y[3] + 1) % 4]
    a = Accumulator(log_loss).update(p[:, :20], y[:20]).update(p[:, 20:], y[20:])
    assert a.compute().value == np.inf
    assert np.isnan(a.compute().example_variance)
    assert np.isnan(interval(a.compute()).half_width)


def test_moments_do_not_cancel_far_from_zero():
    u = 1e8 + np.random.default_rng(0).normal(size=(1, 1000))
    m = Moments.of(u[:, :300], None) + Moments.of(u[:, 300:], None)
    assert m.spread(np.ones(1), np.array([u.mean()])) == pytest.approx(999 * u.var(ddof=1), rel=1e-6)


def test_weights_of_zero_add_examples_that_do_not_count(draw):
    p, y = draw()
    w = np.r_[np.zeros(10), np.ones(30)]
    whole = churn_correct.measure(Predictions(p, y, w))
    rest = Accumulator(churn_correct).update(p[:, 10:], y[10:])
    assert rest.compute().value == pytest.approx(whole.value, rel=1e-14)
