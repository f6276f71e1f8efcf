import pytest

from traintwice import metrics
from traintwice.compare._inputs import check_thresholds, check_top_k, count_of, distinct, named
from traintwice.errors import BadInput, UnknownName


def test_metrics_are_found_by_name_and_each_is_there_once():
    assert named("churn") is metrics.churn
    assert named(metrics.churn) is metrics.churn
    assert distinct(["churn", metrics.accuracy, metrics.churn, "accuracy"]) == (metrics.churn, metrics.accuracy)
    with pytest.raises(UnknownName, match=r"no measure named 'chrun'\. Did you mean 'churn'"):
        distinct(["chrun"])


@pytest.mark.parametrize(
    ("check", "bad"), [(check_thresholds, 2), (check_thresholds, -0.1), (check_top_k, 0), (check_top_k, 1.5)]
)
def test_out_of_range(check, bad):
    with pytest.raises(BadInput, match=f"got {bad}"):
        check([0.5, bad])


@pytest.mark.parametrize(("asked", "rows", "k"), [(0.5, 7, 4), (0.001, 7, 1), (3, 7, 3), (1, 7, 1)])
def test_shares_are_of_the_rows(asked, rows, k):
    assert count_of(asked, rows) == k
