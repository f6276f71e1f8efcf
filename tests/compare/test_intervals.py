import math
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from traintwice.compare.intervals import t_quantile, t_two_sided

from traintwice.compare import example_variance, interval, replica_variance
from traintwice.errors import BadInput
from traintwice.metrics import accuracy, churn, churn_correct, churn_to_error, log_loss


def pair_churn(v):
    return np.mean([v[a] != v[b] for a, b in combinations(range(len(v)), 2)], axis=0)


def test_replica_variance_is_the_jackknife(draw):
    probs, y = draw(6)
    v = probs.argmax(axis=2)
    theta = np.array([pair_churn(np.delete(v, m, axis=0)).mean() for m in range(6)])
    assert_allclose(replica_variance(churn.measure(v)), 5 / 6 * np.sum((theta - theta.mean()) ** 2), rtol=1e-12)
    for metric in (churn_correct, churn_to_error):
        theta = np.array([metric(np.delete(v, m, axis=0), y) for m in range(6)])
        assert_allclose(replica_variance(metric.measure(v, y)), 5 / 6 * np.sum((theta - theta.mean()) ** 2), rtol=1e-11)


def test_example_variance_of_a_mean_and_of_a_ratio(draw):
    probs, y = draw(4)
    v = probs.argmax(axis=2)
    u = pair_churn(v)
    assert_allclose(example_variance(churn.measure(v)), np.var(u, ddof=1) / 40, rtol=1e-12)
    wrong = (v != y).mean(axis=0)
    z = (u - u.mean() / wrong.mean() * wrong) / wrong.mean()
    assert_allclose(example_variance(churn_to_error.measure(v, y)), np.var(z, ddof=1) / 40, rtol=1e-12)


def test_a_replica_mean_has_the_textbook_variance(draw):
    probs, y = draw(5)
    per_replica = (probs.argmax(axis=2) == y).mean(axis=1)
    assert_allclose(replica_variance(accuracy.measure(probs, y)), per_replica.var(ddof=1) / 5, rtol=1e-12)


def test_interval_from_its_parts(draw):
    measured = churn.measure(draw(5)[0])
    of_replicas, of_examples = replica_variance(measured), example_variance(measured)
    error = math.sqrt(of_replicas + of_examples)
    freedom = (of_replicas + of_examples) ** 2 / (of_replicas**2 / 4 + of_examples**2 / 39)
    e = interval(measured, level=0.9)
    assert_allclose([e.standard_error, e.degrees_of_freedom], [error, freedom], rtol=1e-13)
    assert_allclose(e.half_width, stats.t.ppf(0.95, freedom) * error, rtol=1e-12)
    assert_allclose((e.low + e.high) / 2, measured.value)
    only = interval(measured, target="replicas")
    assert_allclose(only.half_width, stats.t.ppf(0.975, 4) * math.sqrt(of_replicas), rtol=1e-12)
    only = interval(measured, target="examples")
    assert_allclose(only.half_width, stats.t.ppf(0.975, 39) * math.sqrt(of_examples), rtol=1e-12)


def test_two_models_get_an_interval_over_examples_that_says_so(draw):
    measured = churn.measure(draw(2)[0])
    assert interval(measured).target == "examples"
    with pytest.raises(BadInput, match="needs at least 3 replicas, got 2"):
        interval(measured, target="replicas")
    assert interval(accuracy.measure(*draw(2))).target == "both"


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -1])
def test_level_must_be_a_probability(draw, level):
    with pytest.raises(BadInput, match="expected a number between 0 and 1"):
        interval(churn.measure(draw()[0]), level=level)


def test_no_spread_gives_no_width():
    e = interval(churn.measure(np.zeros((3, 5), int)))
    assert (e.value, e.low, e.high, e.standard_error) == (0, 0, 0, 0)


def test_an_infinite_number_has_no_interval(draw):
    probs, y = draw(3)
    probs[1, 7] = np.eye(3)[(y[7] + 1) % 3]
    for weights in (None, np.linspace(1, 2, 40)):
        e = interval(log_loss.measure(probs, y) if weights is None else _weighted(log_loss, probs, y, weights))
        assert e.value == math.inf
        assert math.isnan(e.low)
        assert math.isnan(e.high)
        assert math.isnan(e.standard_error)


def test_a_row_of_weight_zero_does_not_make_a_number_infinite(draw):
    probs, y = draw(3)
    weights = np.ones(40)
    weights[7] = 0
    expected = interval(_weighted(log_loss, probs, y, weights))
    probs[1, 7] = np.eye(3)[(y[7] + 1) % 3]
    assert interval(_weighted(log_loss, probs, y, weights)).value == expected.value
    assert math.isfinite(expected.half_width)


def test_a_ratio_undefined_without_one_replica_has_no_replica_part():
    votes = np.array([[0, 1], [0, 1], [1, 1]])
    measured = churn_to_error.measure(votes, np.array([0, 1]))
    assert math.isnan(replica_variance(measured))
    with pytest.raises(BadInput, match="without one of the 3 replicas the measure has no finite value"):
        interval(measured, target="replicas")
    hidden = interval(measured)
    assert hidden.target == "both"
    assert math.isnan(hidden.half_width)  # an interval over examples alone would hide how little is known
    assert math.isfinite(interval(measured, target="examples").half_width)


def test_one_example_and_one_replica_give_no_width():
    e = interval(accuracy.measure(np.array([[1]]), np.array([1])))
    assert e.value == 1
    assert math.isnan(e.half_width)


def _weighted(metric, probs, y, weights):
    from traintwice.predictions import Predictions

    return metric.measure(Predictions(probs, y, weights))


def test_student_t():
    assert t_quantile(0.9, 3.7) == pytest.approx(stats.t.ppf(0.9, 3.7))
    assert t_quantile(0.9, math.inf) == pytest.approx(stats.norm.ppf(0.9))
    assert t_two_sided(-2.1, 3.7) == pytest.approx(2 * stats.t.sf(2.1, 3.7))
    assert t_two_sided(2.1, math.inf) == pytest.approx(2 * stats.norm.sf(2.1))


def simulated_votes(rng, M, N, shared=0.0):
    """Votes of one recipe: examples of varying difficulty; ``shared`` correlates the errors of a replica over examples."""
    difficulty = rng.normal(-1.3, 0.9, N)
    latent = np.sqrt(shared) * rng.normal(size=(M, 1)) + np.sqrt(1 - shared) * rng.normal(size=(M, N))
    return (latent < difficulty).astype(int)


def test_product_weight_bootstrap_agrees_at_twenty_replicas():
    rng = np.random.default_rng(11)
    v = simulated_votes(rng, 20, 800, shared=0.2)
    e = interval(churn.measure(v))
    ones = v == 1
    draws = []
    for _ in range(1500):
        w, q = rng.exponential(size=20), rng.exponential(size=800)
        total, first = w.sum(), w @ ones
        differ = total**2 - first**2 - (total - first) ** 2
        draws.append(q @ differ / (q.sum() * (total**2 - w @ w)))
    assert e.standard_error == pytest.approx(np.std(draws), rel=0.15)


@pytest.mark.parametrize("shared", [0.0, 0.2])
@pytest.mark.parametrize("M", [4, 10])
def test_coverage_of_new_replicas_and_new_examples(shared, M):
    truth = np.mean([churn(simulated_votes(np.random.default_rng(i), 2, 100_000, shared)) for i in range(60)])
    rng = np.random.default_rng(100 + M)
    covered = 0
    for _ in range(400):
        e = interval(churn.measure(simulated_votes(rng, M, 300, shared)))
        covered += e.low <= truth <= e.high
    assert 0.92 <= covered / 400 <= 0.99
