import json

import pytest


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
