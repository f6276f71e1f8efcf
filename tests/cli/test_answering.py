"""`traintwice selective` and `traintwice update`: answers from predictions alone."""

import json

import numpy as np
import pytest

from traintwice import open_predictions
from traintwice.compare import selective_ensemble, update_predictions

READ = ("--id", "row_id", "--label", "y")


def test_a_selective_ensemble(files, traintwice):
    files_of = ["old.csv", *[f"again{k}.csv" for k in range(5)]]
    status, out, err = traintwice("selective", *files_of, *READ, "--out", "answers.parquet")
    assert (status, err) == (0, "")
    assert "6 models · 600 rows · binomial test at α = 0.05" in out
    assert "at most 10 %" in " ".join(out.split())
    found = json.loads(traintwice("selective", *files_of, *READ, "--json")[1])
    expected = selective_ensemble(files_of, id="row_id", label="y")
    assert found["coverage"]["value"] == expected.coverage.value
    assert found["majority_accuracy"]["value"] == pytest.approx(expected.majority_accuracy.value)
    import duckdb

    written = duckdb.sql("SELECT id, pred FROM 'answers.parquet'").fetchall()
    none = sum(pred is None for _, pred in written)
    assert len(written) == 600
    assert none == int((expected.answers < 0).sum()) > 0
    by_id = dict(zip(expected.ids, expected.answers, strict=True))
    assert all(pred is None or int(pred) == by_id[i] for i, pred in written)


def test_two_selective_ensembles(files, traintwice):
    status, out, _ = traintwice("selective", "again*.csv", "old.csv", *READ, "--against", "again*.csv", "new.csv")
    assert status == 0
    assert "both answer, differently" in out
    found = json.loads(traintwice("selective", "again*.csv", "old.csv", "--against", "again*.csv", "new.csv", "--json")[1])
    assert found["agreement"]["bound"] == 0.1
    assert traintwice("selective", "again*.csv", "old.csv", "--markdown")[1].startswith("**")


def test_an_update(files, traintwice):
    status, out, err = traintwice("update", "old.csv", "new.csv", *READ, "--flip-cost", "1.5", "--out", "served.parquet")
    assert (status, err) == (0, "")
    assert "new answers that differ are taken" in out
    assert "right → wrong here" in out
    found = json.loads(traintwice("update", "old.csv", "new.csv", *READ, "--flip-cost", "1.5", "--json")[1])
    expected = update_predictions("old.csv", "new.csv", id="row_id", label="y", flip_cost=1.5)
    assert found["taken"] == int(expected.taken.sum()) > 0
    assert found["negative_flips_served"]["value"] < found["negative_flips_new"]["value"]
    with open_predictions("served.parquet") as served:
        whole = served.read()
    order = np.argsort(np.asarray(expected.ids).astype(str))
    again = np.argsort(np.asarray(whole.ids).astype(str))
    np.testing.assert_array_equal(np.asarray(whole.votes)[0][again], expected.answers[order])


def test_an_update_by_confusion_matrices(files, traintwice):
    given = ("--calibration", "again0.csv", "again1.csv")
    found = json.loads(traintwice("update", "old.csv", "new.csv", *READ, *given, "--json")[1])
    expected = update_predictions("old.csv", "new.csv", id="row_id", label="y", calibration=("again0.csv", "again1.csv"))
    assert found["churn_served"]["value"] == expected.churn_served.value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("selective", "old.csv", "new.csv"), "2 replicas cannot reach p <= 0.05 even where all agree; expected at least 6"),
        (("selective", "again*.csv", "--alpha", "2"), "got alpha=2.0, expected a number between 0 and 1"),
        (("update", "old.csv", "new.csv", "--flip-cost", "0"), "got flip_cost=0.0, expected a number above 0"),
        (
            ("update", "old.csv", "new.csv", "--calibration", "again0.csv", "again1.csv"),
            "name the column of their labels with --label",
        ),
        (("update", "old.csv", "new.csv", "--out", "old.csv"), "--out"),
        (("update", "old.csv", "new.csv", "--out", "served.csv"), "predictions are written as Parquet"),
        (("update", "old.csv", "missing.csv"), "missing.csv"),
    ],
)
def test_mistakes_are_one_message(files, traintwice, words, message):
    status, out, err = traintwice(*words)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert "Traceback" not in err
