import json
import re
from xml.etree import ElementTree

import pytest

from traintwice.cli._gate import budgets
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


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--max", "churn=90%", "--min", "accuracy=-50%"], 0, "Gate passed: 2 of 2 budgets kept."),
        (["--max", "churn=1%"], 1, "Gate failed: 1 over (churn), of 1 budget."),
        (["--max", "churn=0.21"], 3, "Gate inconclusive: 1 inconclusive (churn), of 1 budget."),
        (["--max", "churn=21%", "--inconclusive", "pass"], 0, "Gate passed: 1 inconclusive (churn), of 1 budget."),
        (["--max", "churn=21%", "--inconclusive", "fail"], 1, "Gate failed: 1 inconclusive (churn), of 1 budget."),
        (["--max", "churn=22%", "--rule", "point"], 0, "Gate passed: 1 of 1 budget kept."),
        (["--max", "churn=20%", "--rule", "point"], 1, "Gate failed: 1 over (churn), of 1 budget."),
        (["--max", "churn=22%", "--max", "negative_flips=1%"], 1, "Gate failed: 1 over (negative_flips), 1 inconclusive (churn)"),
    ],
)
def test_three_outcomes_and_what_they_exit_with(files, traintwice, arguments, status, sentence):
    found, out, err = traintwice("gate", "old.csv", "new.csv", *arguments)
    assert (found, err) == (status, "")
    assert out.startswith(sentence)


def test_budgets_hold_in_slices_too(files, traintwice):
    status, out, _ = traintwice("gate", "old.csv", "new.csv", "--max", "churn=28%", "--by", "country", "--json")
    found = json.loads(out)
    assert status == 1
    assert [(c["value"], c["outcome"]) for c in found["checks"]] == [(None, "kept"), ("BR", "over"), ("DE", "kept")]
    one = json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn@country=28%", "--json")[1])
    assert [(c["value"], c["outcome"]) for c in one["checks"]] == [("BR", "over"), ("DE", "kept")]
    only = json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn@country=DE=28%", "--json")[1])
    assert [(c["value"], c["outcome"]) for c in only["checks"]] == [("DE", "kept")]


def test_budgets_against_the_floor(files, traintwice):
    arguments = ["--max", "churn/floor=1.5", "--max", "negative_flips-floor=20%", "--floor", "again*.csv"]
    status, out, _ = traintwice("gate", "old.csv", "new.csv", *arguments)
    assert status == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert any(line.startswith("churn / floor over 2.3") and line.endswith("at most 1.5") for line in lines)
    assert any(re.match(r"negative_flips − floor kept \+6\.\d+ pp .* at most 20 pp", line) for line in lines)


def test_operating_points(files, traintwice):
    rows = "".join(f"{i},{i / 400!r},{int(i % 3 > 0)}\n" for i in range(400))
    moved = "".join(f"{i},{(i + 10) % 400 / 400!r},{int(i % 3 > 0)}\n" for i in range(400))
    (files / "a.csv").write_text("id,score,y\n" + rows)
    (files / "b.csv").write_text("id,score,y\n" + moved)
    arguments = ["--max", "decisions(0.5)=9%", "--max", "swapped(100)=30%", "--label", "y", "--id", "id", "--probs", "score"]
    found = json.loads(traintwice("gate", "a.csv", "b.csv", *arguments, "--json")[1])
    assert [c["estimate"]["value"] for c in found["checks"]] == pytest.approx([20 / 400, 10 / 100])


def test_self_test_of_retrains(files, traintwice):
    status, out, err = traintwice("gate", "--self-test", "again*.csv", "--max", "churn=5%", "--max", "churn=30%")
    assert (status, err) == (0, "")
    assert out.startswith("20 ordered pairs of 5 retrains")
    found = json.loads(traintwice("gate", "--self-test", *[f"again{k}.csv" for k in range(5)], "--max", "churn=5%", "--json")[1])
    assert found["pairs"] == 20
    assert found["over"]["value"] > 0.5


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
    assert out.startswith("**Gate failed: 1 over (churn), of 1 budget.**")
    assert "| churn |" in out
    root = ElementTree.parse(files / "junit.xml").getroot()
    assert root.attrib["failures"] == "1"
    page = (files / "gate.html").read_text()
    assert page.index("Gate failed: 1 over") < page.index('id="answers"')


def test_waived_ids_do_not_count(files, traintwice):
    worst = json.loads(traintwice("diff", "old.csv", "new.csv", "--json")[1])["largest_changes"]
    (files / "waived.txt").write_text("\n".join(row["id"] for row in worst) + "\n\n")
    before, after = (
        json.loads(traintwice("gate", "old.csv", "new.csv", "--max", "churn=1", "--json", *waive)[1])
        for waive in ([], ["--waive", "@waived.txt", "--waive", "id0"])
    )
    assert after["diff"]["waived"] == len({row["id"] for row in worst} | {"id0"})
    assert after["checks"][0]["estimate"]["value"] < before["checks"][0]["estimate"]["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.csv", "new.csv"], "no budget; pass --max MEASURE=LIMIT"),
        (["old.csv"], "give the predictions of the new model too"),
        (["none.toml"], "none.toml: cannot be read"),
        (["gate.toml", "--max", "churn=1"], "belong in the file"),
        (["old.csv", "new.csv", "--max", "churn"], "expected MEASURE=LIMIT"),
        (["old.csv", "new.csv", "--max", "churn=x"], "expected MEASURE=LIMIT"),
        (["old.csv", "new.csv", "--max", "churm=1"], "Did you mean 'churn'"),
        (["old.csv", "new.csv", "--max", "churn=inf"], "expected a finite number"),
        (["old.csv", "new.csv", "--max", "churn=2"], "reads as 200 %"),
        (["old.csv", "new.csv", "--min", "accuracy=-2"], "reads as -200 %"),
        (["old.csv", "new.csv", "--max", "churn/floor=1.5"], "needs retrains"),
        (["--self-test", "again*.csv"], "no budget"),
        (["old.csv", "new.csv", "--self-test", "again*.csv", "--max", "churn=2%"], "leave out OLD, NEW"),
        (["--max", "churn=2%"], "give the predictions of the old and the new model"),
        (["old.csv", "new.csv", "--max", "excess=1%"], "needs retrains"),
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


def test_a_measure_without_value_is_inconclusive(files, traintwice):
    status, out, _ = traintwice("gate", "old.csv", "new.csv", "--max", "kendall_tau=1")
    assert status == 3
    assert "cannot be checked" in out


@pytest.mark.parametrize("text", ["churn=", "=1", "churn=1=2", "churn==1", "a b=1", "churn=1%%", "churn@=1", "churn-flor=1"])
def test_what_is_no_budget(text):
    with pytest.raises(BadInput, match="expected MEASURE=LIMIT"):
        budgets([text], [], [])


@pytest.mark.parametrize(
    ("text", "measure", "against", "by", "where", "limit"),
    [
        ("churn=2%", "churn", None, None, None, 0.02),
        (" churn = 2 % ", "churn", None, None, None, 0.02),
        ("decisions(0.5)=1%", "decisions(0.5)", None, None, None, 0.01),
        ("swapped(100)=5%", "swapped(100)", None, None, None, 0.05),
        ("negative_flips-floor=0.2%", "negative_flips", "minus floor", None, None, 0.002),
        ("negative_flips - floor=0.002", "negative_flips", "minus floor", None, None, 0.002),
        ("churn/floor=1.5", "churn", "times floor", None, None, 1.5),
        ("churn@country=5%", "churn", None, "country", None, 0.05),
        ("churn@country=BR=5%", "churn", None, "country", "BR", 0.05),
        ("churn@country=a=b=5%", "churn", None, "country", "a=b", 0.05),
        ("decisions(0.5)/floor@country=BR=1.5", "decisions(0.5)", "times floor", "country", "BR", 1.5),
        ("churn@the country (ISO)=2%", "churn", None, "the country (ISO)", None, 0.02),
        ("accuracy=-0.2%", "accuracy", None, None, None, -0.002),
    ],
)
def test_grammar_of_budgets(text, measure, against, by, where, limit):
    (found,) = budgets([text], [], [])
    assert (found.measure, found.against, found.by, found.where, found.min) == (measure, against, by, where, None)
    assert found.max == pytest.approx(limit)
    (least,) = budgets([], [text], [])
    assert (least.max, least.min) == (None, found.max)


def test_columns_of_by_are_for_budgets_without_one():
    found = budgets(["churn=2%", "churn@country=5%"], [], ["day"])
    assert [(b.max, b.by) for b in found] == [(0.02, None), (0.02, "day"), (0.05, "country")]
