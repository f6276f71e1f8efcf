import json
from xml.etree import ElementTree

import pytest

from traintwice.cli.gate import budgets
from traintwice.errors import BadInput

TOML = """
old = "old.csv"
new = "new.csv"
by = "country"
[[budgets]]
measure = "churn"
max = 0.6
[[budgets]]
measure = "churn"
max = 0.2
by = "country"
"""


def test_status_0_where_kept_and_1_where_not(files, traintwice):
    status, out, err = traintwice("gate", "old.csv", "new.csv", "--max", "churn=90%", "--min", "accuracy=-0.5")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "Gate passed: 2 of 2 budgets kept."
    status, out, err = traintwice("gate", "old.csv", "new.csv", "--max", "churn=0.01")
    assert (status, err) == (1, "")
    assert out.splitlines()[-1] == "Gate failed: 1 of 1 budgets over (churn)."


def test_budgets_hold_in_slices_too(files, traintwice):
    status, out, _ = traintwice("gate", "old.csv", "new.csv", "--max", "churn=0.25", "--by", "country", "--json")
    found = json.loads(out)
    assert status == 1
    assert found["schema"] == 1
    assert [(c["value"], c["passed"]) for c in found["checks"]] == [(None, True), ("BR", False), ("DE", True)]
    one = json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn@country=0.25", "--json")[1])
    assert [(c["value"], c["passed"]) for c in one["checks"]] == [("BR", False), ("DE", True)]


def test_the_bad_end_of_the_interval(files, traintwice):
    value = json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn=1", "--json")[1])["checks"][0]["estimate"]
    limit = f"churn={(value['value'] + value['high']) / 2}"
    assert traintwice("gate", "old.csv", "new.csv", "--max", limit)[0] == 0
    assert traintwice("gate", "old.csv", "new.csv", "--max", limit, "--rule", "bound")[0] == 1


def test_a_file_says_it_all_and_options_win(files, traintwice):
    (files / "gate.toml").write_text(TOML)
    status, out, _ = traintwice("gate", "gate.toml", "--json")
    assert status == 1
    assert [c["value"] for c in json.loads(out)["checks"]] == [None, "BR", "DE"]
    status, out, _ = traintwice("gate", "gate.toml", "--no-rows", "--min-support", "500")
    assert status == 0
    assert "slices of fewer than 500 rows were not checked" in out


def test_every_form(files, traintwice):
    status, out, _ = traintwice(
        "gate", "old.csv", "new.csv", "--max", "churn=0.01", "--markdown", "--junit", "junit.xml", "--report", "gate.html"
    )
    assert status == 1
    assert out.startswith("**Gate failed: 1 of 1 budgets over (churn).**")
    assert "| churn |" in out
    root = ElementTree.parse(files / "junit.xml").getroot()
    assert root.attrib["failures"] == "1"
    assert "<!doctype html>" in (files / "gate.html").read_text()


def test_waived_ids_do_not_count(files, traintwice):
    worst = json.loads(traintwice("diff", "old.csv", "new.csv", "--json")[1])["moved"]
    (files / "waived.txt").write_text("\n".join(row["id"] for row in worst) + "\n\n")
    before, after = (
        json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn=1", "--json", *waive)[1])
        for waive in ([], ["--waive", "@waived.txt", "--waive", "id0"])
    )
    assert after["waived"] == len({row["id"] for row in worst} | {"id0"})
    assert after["checks"][0]["estimate"]["value"] < before["checks"][0]["estimate"]["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.csv", "new.csv"], "no budget; pass --max MEASURE=LIMIT"),
        (["old.csv"], "give the predictions of the new model too"),
        (["none.toml"], "none.toml: cannot be read"),
        (["gate.toml", "--max", "churn=1"], "belong into the file"),
        (["old.csv", "new.csv", "--max", "churn"], "expected MEASURE=LIMIT"),
        (["old.csv", "new.csv", "--max", "churn=x"], "expected MEASURE=LIMIT"),
        (["old.csv", "new.csv", "--max", "churm=1"], "Did you mean 'churn'"),
        (["old.csv", "new.csv", "--max", "churn=nan"], "expected a finite number"),
        (["old.csv", "new.csv", "--max", "excess=1"], "needs retrains"),
        (["old.csv", "new.csv", "--max", "churn@country=1", "--min-support", "1000"], "nothing was checked"),
        (["old.csv", "new.csv", "--max", "churn=1", "--waive", "@none.txt"], "cannot be read as a list of ids"),
        (["old.csv", "new.csv", "--max", "churn=1", "--junit", "none/j.xml"], "there is no directory none"),
    ],
)
def test_mistakes_are_status_2_and_never_1(files, traintwice, arguments, message):
    (files / "gate.toml").write_text(TOML)
    status, out, err = traintwice("gate", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_measure_without_value_does_not_pass(files, traintwice):
    status, out, _ = traintwice("gate", "old.csv", "new.csv", "--max", "kendall_tau=1")
    assert status == 1
    assert "cannot be checked" in out


@pytest.mark.parametrize("text", ["churn=", "=1", "churn=1=2", "churn==1", "a b=1", "churn=1%%"])
def test_what_is_no_budget(text):
    with pytest.raises(BadInput, match="expected MEASURE=LIMIT"):
        budgets([text], [], [])


def test_columns_may_have_any_name():
    (found,) = budgets(["churn@the country (ISO)=2%"], [], ["ignored"])
    assert (found.by, found.max) == ("the country (ISO)", 0.02)
