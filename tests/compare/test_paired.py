import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.compare import compare_with_baseline, holm, interval, paired, replica_variance, replicas_to_settle
from traintwice.errors import BadInput
from traintwice.metrics import Measurement, accuracy, churn


def votes(seed, M=5, N=60, wrong=0.2):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((M, N)) < wrong, 1, 0)


def test_drops_the_same_replica_from_both():
    a, b = votes(1), votes(2)
    difference = paired(churn.measure(a), churn.measure(b))
    theta = np.array([churn(np.delete(a, m, 0)) - churn(np.delete(b, m, 0)) for m in range(5)])
    assert_allclose(replica_variance(difference), 4 / 5 * np.sum((theta - theta.mean()) ** 2), rtol=1e-12)
    assert_allclose(difference.value, churn(a) - churn(b))
    assert_allclose(difference.influence, churn.measure(a).influence - churn.measure(b).influence)


def test_against_itself_nothing_differs_and_two_replicas_have_no_replica_part():
    a = churn.measure(votes(1))
    [d] = compare_with_baseline([(a, a)])
    assert (d.estimate.value, d.p_value, d.settled, d.more_replicas) == (0, 1, False, None)
    assert paired(churn.measure(votes(1, M=2)), churn.measure(votes(2, M=2))).dropped is None


def test_unequal_numbers_are_refused():
    with pytest.raises(BadInput, match="got 5 replicas x 60 examples against 4 x 60"):
        paired(churn.measure(votes(1)), churn.measure(votes(2, M=4)))


def test_holm_equals_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.random(6) ** 2
        order = np.argsort(p)
        expected = np.empty(6)
        for j in range(6):
            expected[order[j]] = max(min(1, (6 - i) * p[order[i]]) for i in range(j + 1))
        assert_allclose(holm(p.tolist()), expected)
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1, 1]


def test_p_value_and_holm_over_the_comparisons():
    base = votes(0, M=8, N=400)
    recipes = [votes(1, M=8, N=400, wrong=0.02), votes(2, M=8, N=400)]
    results = compare_with_baseline([(churn.measure(r), churn.measure(base)) for r in recipes])
    raw = []
    for result in results:
        e = result.estimate
        raw.append(2 * stats.t.sf(abs(e.value / e.standard_error), e.degrees_of_freedom))
    assert_allclose([r.p_value for r in results], raw, rtol=1e-10)
    assert_allclose([r.adjusted for r in results], holm(raw), rtol=1e-10)
    assert [r.settled for r in results] == [True, False]
    assert results[0].more_replicas == 0


def test_a_sure_difference_without_spread_is_settled():
    right, wrong = (
        accuracy.measure(np.zeros((3, 9), int), np.zeros(9, int)),
        accuracy.measure(np.ones((3, 9), int), np.zeros(9, int)),
    )
    [d] = compare_with_baseline([(right, wrong)])
    assert (d.estimate.value, d.p_value, d.settled) == (1.0, 0.0, True)


def test_the_projected_number_is_the_first_that_would_do():
    rng = np.random.default_rng(4)
    dropped = rng.normal(0.02, 0.01, 5)
    difference = Measurement(0.02, dropped, dropped, rng.normal(0, 0.02, 500))
    more = replicas_to_settle(difference, 0.05)

    def significant(m):
        part, rest = replica_variance(difference) * 5 / m, np.var(difference.influence, ddof=1) / 500
        freedom = (part + rest) ** 2 / (part**2 / (m - 1) + rest**2 / 499)
        return stats.t.ppf(0.975, freedom) * np.sqrt(part + rest) < 0.02

    assert more == next(m for m in range(5, 200) if significant(m)) - 5 > 1


def test_the_projection_uses_holms_step_even_where_the_adjusted_p_value_is_cut_off_at_one():
    rng = np.random.default_rng(3)
    base = Measurement(0.0, np.zeros(5), np.zeros(5), np.zeros(500))
    recipes = []
    for value in (0.001, 0.002, 0.003):
        dropped = value + rng.normal(0, 0.01, 5)
        recipes.append(Measurement(value, dropped, dropped, rng.normal(0, 0.001, 500)))
    results = compare_with_baseline([(recipe, base) for recipe in recipes])
    assert [r.adjusted for r in results] == [1, 1, 1]
    order = np.argsort([r.p_value for r in results])
    for step, i in enumerate(order):
        assert results[i].more_replicas == replicas_to_settle(paired(recipes[i], base), 0.05 / (3 - step))


def test_too_few_examples_cannot_be_mended_by_replicas():
    rng = np.random.default_rng(4)
    difference = Measurement(0.02, np.zeros(5), rng.normal(0.02, 0.01, 5), rng.normal(0, 1.0, 50))
    assert replicas_to_settle(difference, 0.05) is None


def test_under_no_difference_few_claims_are_made():
    claims = 0
    for seed in range(200):
        a, b = votes(2 * seed, M=5, N=100), votes(2 * seed + 1, M=5, N=100)
        e = interval(paired(churn.measure(a), churn.measure(b)))
        claims += not e.low <= 0 <= e.high
    assert claims / 200 <= 0.08


def test_two_replicas_settle_nothing():
    """However large the difference: it holds for these models alone."""
    right, wrong = np.zeros((2, 400), int), np.array([[0] * 400, [1] * 400])
    [d] = compare_with_baseline([(churn.measure(right), churn.measure(wrong))])
    assert (d.estimate.value, d.estimate.target, d.settled) == (-1.0, "examples", False)
