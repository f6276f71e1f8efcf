import math

import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.gates import Budget, gate
from traintwice.gates._budgets import check_budgets, parse_limit, unit_of


@pytest.mark.parametrize("name", ["churn", "excess", "accuracy", "decisions(0.5)", "swapped(100)"])
@pytest.mark.parametrize("limit", [{"max": 2}, {"min": -2}, {"max": 1.5}])
def test_percent_without_its_sign_is_refused_with_both_readings(name, limit):
    value = next(iter(limit.values()))
    with pytest.raises(BadInput) as refused:
        gate(np.zeros(5, int), np.ones(5, int), [Budget(name, **limit)])
    assert f"reads as {100 * value:g} %" in str(refused.value)
    assert f"write {value:g}% ({value / 100:g})" in str(refused.value)


@pytest.mark.parametrize(
    "budget",
    [
        Budget("log_loss", max=2),
        Budget("churn", max=2, against="times floor"),
        Budget("churn", max=1),
        Budget("accuracy", min=-1),
    ],
)
def test_other_numbers_may_be_larger(budget):
    check_budgets([budget])
    assert unit_of(budget) in ("number", "fraction")


@pytest.mark.parametrize("limits", [{"min": 0.9}, {"min": 1.0, "by": "country"}])
def test_a_smallest_change_that_is_meant_for_the_value_is_refused(limits):
    with pytest.raises(BadInput, match=r'limits the change from old to new.*the recall of the new model, write of = "new"'):
        check_budgets([Budget("recall", **limits)])
    check_budgets([Budget("recall", **limits, of="new"), Budget("self_consistency", **limits)])


def test_limits_in_text():
    assert [parse_limit(t) for t in ("2%", " 2 % ", "-0.5%", "0.02", "1e-3", "x", "", "%", "nan", "2%%")] == [
        0.02, 0.02, -0.005, 0.02, 0.001, None, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give max or min"),
        ({"max": math.inf}, "expected a finite number"),
        ({"max": 0.1, "where": "BR"}, "needs by"),
    ],
)
def test_budgets_that_cannot_be(given, message):
    with pytest.raises(BadInput, match=message):
        Budget("churn", **given)
