from pathlib import Path

import numpy as np
import pytest

from traintwice import diff, metrics, write_predictions
from traintwice.compare._inputs import check_thresholds, check_top_k, count_of, distinct, named, shared_streams
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


@pytest.mark.parametrize(
    ("old", "new", "shared"),
    [
        ("bank:s/one/0", "bank:s/two/0", True),
        ("bank:s/one/0", "bank:s/two/1", False),
        ("bank:s/one/0", "bank:s/one/1", False),
        ("bank:s/one/0", "bank:t/one/0", False),
        ("store/predictions/one/0003.parquet", "store/predictions/two/0003.parquet", True),
        ("store/predictions/one/0003.parquet", "store/predictions/two/0004.parquet", False),
        ("days/one/0003.parquet", "days/two/0003.parquet", False),
    ],
)
def test_one_replica_of_two_recipes_shares_its_random_streams(tmp_path, monkeypatch, old, new, shared):
    monkeypatch.chdir(tmp_path)
    for folder in ("store/predictions/one", "store/predictions/two", "days/one", "days/two"):
        Path(folder).mkdir(parents=True)
    Path("store/replicas.json").write_text("{}")
    assert bool(shared_streams(old, new)) == shared
    if Path(old).parts[0] != "bank:s":
        for path in (old, new):
            write_predictions(path, np.eye(2)[[0, 1, 1]] * 0.8 + 0.1, ids=[1, 2, 3])
        found = diff(old, new)
        assert any("replica 0003 of their recipes, trained with the same random streams" in w for w in found.warnings) == shared


@pytest.mark.parametrize(("shared", "warned"), [(4, True), (5, False)])
def test_files_most_rows_of_which_are_left_out(shared, warned):
    old, new = ({"id": np.arange(first, first + 10), "pred": np.arange(10) % 2} for first in (0, 10 - shared))
    found = diff(old, new, on_missing="drop")
    assert found.alignment.rows == shared
    assert any("6 of 10 rows of table 2 are left out, and 4 are compared" in w for w in found.warnings) == warned
