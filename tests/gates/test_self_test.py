import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from traintwice.errors import BadInput
from traintwice.gates import Budget, gate, self_test
from traintwice.statistics._intervals import scaled_bounds


@pytest.fixture
def again():
    rng = np.random.default_rng(0)
    return [np.where(rng.random(600) < 0.1, 1, 0) for _ in range(5)]


def test_counts_the_outcomes_of_every_ordered_pair(again):
    budget = Budget("churn", max=0.18, rule="point")
    found = self_test(again, [budget])
    over = np.array([[a is not b and gate(a, b, [budget]).outcome == "over" for b in again] for a in again])
    assert found.pairs == 20
    assert_allclose(found.over.value, over.sum() / 20)
    assert 0 < found.over.value < 1
    dropped = [np.delete(np.delete(over, m, 0), m, 1).sum() / 12 for m in range(5)]
    variance = 4 / 5 * np.sum((np.array(dropped) - np.mean(dropped)) ** 2)
    p = found.over.value
    assert_allclose([found.over.low, found.over.high], scaled_bounds(p, stats.t.ppf(0.975, 4) * np.sqrt(variance), "logit"))
    assert found.inconclusive.value == 0
    assert found.by_budget == (("churn", 20 - over.sum(), over.sum(), 0),)
    assert f"over in {100 * p:.0f} %" in found.sentence


def test_never_over_is_not_certainty(again):
    found = self_test(again, [Budget("churn", max=0.9)])
    assert (found.over.value, found.over.low) == (0, 0)
    assert_allclose(found.over.high, 1 - 0.025 ** (1 / 2))


def test_a_tight_budget_is_inconclusive_by_bound(again):
    found = self_test(again, [Budget("churn", max=0.18)])
    assert found.inconclusive.value == 1
    assert found.by_budget == (("churn", 0, 0, 20),)


def test_the_other_retrains_are_the_floor(again):
    budget = Budget("churn", max=2.0, against="times floor", rule="point")
    found = self_test(again, [budget])
    expected = [
        gate(a, b, [budget], floor=[c for c in again if c is not a and c is not b]).outcome
        for a in again
        for b in again
        if a is not b
    ]
    assert found.by_budget == (("churn / floor", *(expected.count(o) for o in ("kept", "over", "inconclusive"))),)


def test_slices_are_counted_apart(again, write):
    country = np.array(["AT", "BR"], dtype=object)[np.arange(600) % 2]
    budgets = [Budget("churn", max=0.9, by="country"), Budget("churn", max=0.0, by="predicted class", rule="point")]
    found = self_test(write(again, groups=country), budgets, min_support=10)
    assert found.by_budget == (
        ("churn where country is AT", 20, 0, 0),
        ("churn where country is BR", 20, 0, 0),
        ("churn where predicted class is 0", 0, 20, 0),
        ("churn where predicted class is 1", 0, 20, 0),
    )
    assert found.over.value == 1
    assert len(found.models) == 5


def test_periods(again, write):
    days = np.array(["2024-01-05", "2024-02-05"])[np.arange(600) % 2]
    found = self_test(write(again, more={"day": days}), [Budget("churn", max=0.9, by="day")], time="day", min_support=10)
    assert [name.split(" is ")[0] for name, *_ in found.by_budget] == ["churn where day"] * 2


@pytest.mark.parametrize(
    ("retrains", "budget", "options", "message"),
    [
        (2, Budget("churn", max=0.1), {}, "got 2 retrains, expected at least 3"),
        (4, Budget("excess", max=0.1), {}, "got 4 retrains, expected at least 5"),
        (5, Budget("churn", max=0.1), {"floor": [1]}, "leave out --floor"),
    ],
)
def test_refusals(again, retrains, budget, options, message):
    with pytest.raises(BadInput, match=message):
        self_test(again[:retrains], [budget], **options)


def test_with_nothing_changed_a_budget_against_the_floor_is_rarely_over():
    rng = np.random.default_rng(0)
    votes = (rng.random((6, 400)) < 0.15).astype(int)
    assert self_test(list(votes), [Budget("churn", max=1.0, against="times floor")]).over.value <= 0.05
