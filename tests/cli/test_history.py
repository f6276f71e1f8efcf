"""`--ledger`, `--floor ledger` and `traintwice history` on the command line; comments for pull requests; version and date."""

import json
import re
from xml.etree import ElementTree

import pytest

import traintwice as package

MADE = {"traintwice": package.__version__, "date": "2023-11-14T22:13:20Z"}


@pytest.fixture
def ledger(files, traintwice):
    """Five launches among retrains, and a sixth that changes more."""
    for k in range(4):
        assert traintwice("diff", f"again{k}.csv", f"again{k + 1}.csv", "--ledger", "l.jsonl", "-q")[0] == 0
    status, out, err = traintwice(
        "gate", "old.csv", "new.csv", "--floor", "ledger", "--ledger", "l.jsonl", "--max", "churn/floor=1.5", "--max", "churn=90%"
    )
    assert (status, err) == (1, "")
    assert "floor: what 4 launches of l.jsonl changed from old to new" in " ".join(out.split())
    return files / "l.jsonl"


def test_history_in_every_form(ledger, traintwice):
    status, out, err = traintwice("history", "l.jsonl")
    assert (status, err) == (0, "")
    assert "5 launches" in out
    assert "gates: 1 over" in out
    found = json.loads(traintwice("history", "l.jsonl", "--json")[1])
    assert {key: found[key] for key in MADE} == MADE
    diff = package.diff("again0.csv", "again1.csv")
    assert found["launches"][0]["numbers"]["churn"]["value"] == diff["churn"].value
    assert [launch["outcome"] for launch in found["launches"]] == [None] * 4 + ["over"]
    assert traintwice("history", "l.jsonl", "--report", "h.html")[1].endswith("Report: h.html\n")
    page = (ledger.parent / "h.html").read_text()
    assert 'id="chart-launches-churn"' in page
    titles = re.findall(r'<li class="card[^"]*">\s*<h3>(.*?)</h3>', page)
    assert titles == ["Gate", "Quality", "Regressions", "Disagreement"]
    assert '<strong data-mark="✕">over</strong>' in page
    assert "1 of 2 budgets kept" in page
    assert "prefers-color-scheme: dark" in page
    assert f"Written by traintwice {package.__version__} at {MADE['date']}" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("history", "none.jsonl"), "none.jsonl: no such file; diff and gate write a ledger with --ledger FILE"),
        (("history", "old.csv"), "old.csv: line 1 is not of a ledger of format 1"),
        (("diff", "old.csv", "new.csv", "--ledger", "old.csv"), "--ledger old.csv: is the same file as the input old.csv"),
        (("diff", "old.csv", "new.csv", "--ledger", "again0.csv"), "again0.csv: line 1 is not of a ledger"),
        (("diff", "old.csv", "new.csv", "--floor", "ledger"), "needs the file of the ledger"),
        (("diff", "old.csv", "new.csv", "--last", "3"), 'are for floor="ledger"'),
        (("diff", "old.csv", "new.csv", "--short"), "--short: is for --markdown; pass --markdown --short"),
        (("gate", "--self-test", "again*.csv", "--max", "churn=9%", "--ledger", "l.jsonl"), "leave out OLD, NEW, --junit"),
    ],
)
def test_bad_input(files, traintwice, arguments, message):
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    status, out, err = traintwice(*arguments)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_a_comment_for_a_pull_request_is_short(files, traintwice):
    budgets = [word for k in range(6) for word in ("--max", f"churn@country={5 + k}%")]
    status, out, _ = traintwice("gate", "old.csv", "new.csv", *budgets, "--markdown", "--short")
    assert status == 1
    lines = out.splitlines()
    assert len(lines) < 20
    assert lines[0].startswith("**Gate failed: ")
    assert sum("| over |" in line for line in lines) == 4
    assert "8 more budgets" in out
    assert lines[-1] == f"_traintwice {package.__version__}, {MADE['date']}_"
    _, out, _ = traintwice("diff", "old.csv", "new.csv", "--markdown", "--short")
    assert out.startswith("**Verdict: ")
    assert [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("|")][2:] == [
        "Quality", "Regressions", "Disagreement", "Slices",
    ]  # fmt: skip


def test_outputs_have_version_and_date(files, traintwice):
    _, out, _ = traintwice("gate", "old.csv", "new.csv", "--max", "churn=50%", "--json", "--junit", "g.xml", "--report", "g.html")
    assert {key: json.loads(out)[key] for key in MADE} == MADE
    (suite,) = ElementTree.parse(files / "g.xml").getroot()
    assert suite.attrib["timestamp"] == "2023-11-14T22:13:20"
    assert suite.find("properties/property").attrib == {"name": "traintwice", "value": package.__version__}
    assert f"Written by traintwice {package.__version__} at {MADE['date']}" in (files / "g.html").read_text()
