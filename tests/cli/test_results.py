"""What the methods imply, how alike components are, where churn comes from: on the terminal, on the page and in JSON."""

import json

import pytest

STUDY = """
name = "small"
replicas = 2
data = { type = "Digits", train = 64, validation = 20, test = 40 }
[recipe]
epochs = 1
network = { type = "MLP", hidden = [8] }
[rows.baseline]
[rows.anti]
method = "anti_distillation"
[rows.residue]
method = { builder = "anti_distillation", matrix = "residue", center = "class" }
[rows."sub-network"]
method = { builder = "anti_distillation", signal = "0" }
[rows."same start"]
fixed = ["initialisation"]
"""

GAUGE = "softmax ignores a number added to all logits of a component"
PULLS = "Decorrelation('residue') is smallest for identical components"
SCALE = "scales with the fourth power of the outputs of '0', which rewards smaller ones"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(STUDY)
    return path


def test_show_prints_warnings_of_a_file(traintwice, file):
    status, out, err = traintwice("show", file)
    said = " ".join(out.split())
    assert (status, err) == (0, "")
    assert f"Note, anti: Decorrelation: {GAUGE}" in said
    assert f"Note, residue: {PULLS}" in said
    assert f"Note, sub-network: Decorrelation {SCALE}" in said
    assert "Note, baseline" not in said


def test_show_gives_warnings_of_a_study_as_json(traintwice, file):
    for name in (file, "digits"):
        warnings = json.loads(traintwice("show", name, "--json")[1])["warnings"]
        assert any(GAUGE in w["text"] and any(row.startswith("anti") for row in w["rows"]) for w in warnings)


def test_toml_of_a_study_with_warnings_is_a_study(traintwice, file, tmp_path):
    (tmp_path / "again.toml").write_text(traintwice("show", file, "--toml")[1])
    assert traintwice("show", "again.toml", "--toml")[1] == (tmp_path / "again.toml").read_text()


def test_run_says_all_of_it_everywhere(traintwice, file, tmp_path):
    status, out, err = traintwice("run", file, "--store", "runs", "--report", "out")
    assert status == 0
    assert f"note, anti: Decorrelation: {GAUGE}" in err
    assert f"note, residue: {PULLS}" in err
    terminal = " ".join(out.split())
    for title in ("variance of mean", "gauge-fixed", "Pearson", "only this one fixed"):
        assert title in terminal
    plain = json.loads((tmp_path / "out/results.json").read_text())
    assert {row for w in plain["warnings"] for row in w["rows"]} == {"anti", "residue", "sub-network"}
    assert set(plain["components"]) == {"anti", "residue", "sub-network"}
    assert plain["sources"]["rows"][0]["name"] == "initialisation"
    page = " ".join((tmp_path / "out/index.html").read_text().split())
    for heading in ("components", "sources", "warnings"):
        assert f'<h2 id="{heading}">' in page
        assert f'<a href="#{heading}">' in page
    assert PULLS.replace("'", "&#39;") in page
