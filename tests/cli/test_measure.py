"""`traintwice measure`, `plan`, `tokens`, `selective` and `update`."""

import json

import numpy as np
import pytest

from log_files import llama_cpp
from traintwice import diff_tokens, open_predictions
from traintwice.compare import selective_ensemble, update_predictions

READ = ("--id", "row_id", "--label", "y")


def test_measure_all_replicas(files, traintwice):
    status, out, err = traintwice("measure", "again*.csv")
    assert (status, err) == (0, "")
    assert out.startswith("5 files · 600 rows")
    assert "churn" in out
    assert "new replicas of the recipe and new examples" in out
    assert "give different labels to" in " ".join(out.split())
    quoted = traintwice("measure", "again*.csv", "--label", "y", "--json")
    expanded = traintwice("measure", *[f"again{k}.csv" for k in range(5)], "--label", "y", "--json")
    assert json.loads(quoted[1])["measures"] == json.loads(expanded[1])["measures"]
    assert json.loads(quoted[1])["schema"] == 2
    assert traintwice("measure", "again*.csv", "--markdown")[1].startswith("**")


def test_multiplicity_and_copies(files, traintwice):
    (files / "copy.csv").write_text((files / "again0.csv").read_text())
    status, out, _ = traintwice("measure", "again0.csv", "again1.csv", "copy.csv", "--multiplicity")
    assert status == 0
    assert "Warning: The predictions of again0.csv, copy.csv are identical, bit for bit (copies" in " ".join(out.split())
    assert "self-consistency of at least 1 " in out
    assert "viable range of 99 % of rows" in out
    assert "intervals of discrepancy: 95 %, for " in out
    assert "self-consistency" not in traintwice("measure", "again0.csv", "again1.csv", "again2.csv")[1]


def test_two_recipes(files, traintwice):
    status, out, _ = traintwice(
        "measure", "again0.csv", "again1.csv", "again2.csv", "--against", "new.csv", "again3.csv", "again4.csv"
    )
    assert status == 0
    assert "3 and 3 replicas · 600 rows" in out
    found = json.loads(traintwice("measure", "again[012].csv", "--against", "again[34].csv", "new.csv", "--json")[1])
    assert found["schema"] == 2
    assert found["measures"][0]["name"] == "churn"


def test_plan_without_and_with_a_pilot(files, traintwice):
    status, out, _ = traintwice(
        "plan", "--churn", "0.05", "--detect", "0.02", "--replicas", "5", "--replicas", "10", "--rows", "10000"
    )
    assert status == 0
    assert "5 replicas" in out
    assert "20 replicas" not in out
    assert "enough" in out
    found = json.loads(traintwice("plan", "--detect", "0.02", "--pilot", "again*.csv", "--json")[1])
    assert found["schema"] == 2
    assert "5 replicas" in found["components"]["source"]
    assert traintwice("plan", "--churn", "0.05", "--markdown")[1].startswith("**")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["measure", "old.csv"], "at least 2"),
        (["measure", "none*.csv"], "none*.csv"),
        (
            ["measure", "again0.csv", "again1.csv", "--against", "again2.csv", "again3.csv", "--multiplicity"],
            "measures one recipe",
        ),
        (["plan"], "churn: got None"),
        (["plan", "--churn", "5"], "churn: got 5"),
        (["plan", "--churn", "0.05", "--pilot", "again0.csv"], "again0.csv"),
    ],
)
def test_mistakes(files, traintwice, arguments, message):
    status, out, err = traintwice(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("traintwice: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["measure", "again0.csv", "again1.csv"], "--by"),
        (["measure", "again0.csv", "again1.csv"], "--time"),
        (["plan", "--churn", "0.05"], "--by"),
        (["plan", "--churn", "0.05"], "--time"),
    ],
)
def test_options_without_an_effect_are_not_offered(files, traintwice, arguments, option):
    assert f"{option} " not in traintwice(arguments[0], "--help")[1]
    status, _, err = traintwice(*arguments, option, "country")
    assert status == 2
    assert f"No such option: {option}" in err


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 12, (3, 9))
    logits = rng.normal(size=(3, 9 - 1 - 9 // 2, 12)) * 2
    paths = [tmp_path / "base.kld", tmp_path / "other.kld"]
    for path, noise in zip(paths, (0.0, 0.2), strict=True):
        llama_cpp(path, logits + noise * rng.normal(size=logits.shape), tokens)
    return [str(path) for path in paths]


def test_a_table_and_json(pair, traintwice):
    status, out, _ = traintwice("tokens", *pair)
    assert status == 0
    assert "Both models find the same token most likely" in out
    assert "mean KL divergence" in out
    assert "new documents" in out
    status, out, _ = traintwice("tokens", *pair, "--json")
    found = json.loads(out)
    assert found["tokens"] == diff_tokens(*pair).tokens
    assert [m["name"] for m in found["measures"]][:2] == ["same_top", "kl_mean"]
    assert found["measures"][1]["at_least"]["value"] == pytest.approx(diff_tokens(*pair)["kl_mean"].at_least.value)


def test_a_missing_file_is_one_error(pair, traintwice):
    status, _, err = traintwice("tokens", pair[0], "nothing.kld")
    assert status == 2
    assert "nothing.kld: no such file" in err


def test_a_measure_that_is_not_there(pair):
    with pytest.raises(KeyError, match=r"no measure named 'kl_meen'\. Did you mean 'kl_mean'"):
        diff_tokens(*pair)["kl_meen"]


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
