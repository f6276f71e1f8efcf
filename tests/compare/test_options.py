import pytest

from traintwice import metrics
from traintwice.compare._options import distinct, named
from traintwice.errors import UnknownName


def test_metrics_are_found_by_name_and_each_is_there_once():
    assert named("churn") is metrics.churn
    assert named(metrics.churn) is metrics.churn
    assert distinct(["churn", metrics.accuracy, metrics.churn, "accuracy"]) == (metrics.churn, metrics.accuracy)
    with pytest.raises(UnknownName, match=r"no measure named 'chrun'\. Did you mean 'churn'"):
        distinct(["chrun"])
