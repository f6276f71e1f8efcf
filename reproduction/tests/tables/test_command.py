"""`run` and `show` on tables and figures of the papers."""

import json
import sys
import tomllib

import pytest

from traintwice.study import Experiment
from traintwice_reproduction.studies import STUDIES
from traintwice_reproduction.tables.command import TableStudy


def test_a_figure_of_a_formula_trains_nothing(traintwice, tmp_path):
    status, out, err = traintwice("run", "churn.figure5", "--report", str(tmp_path / "out"), "--store", str(tmp_path / "runs"))
    assert status == 0
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"churn.figure5-temperature.svg", "churn.figure5-temperature.png"}
    assert (tmp_path / "out" / "churn.figure5-temperature.svg").read_text().startswith("<svg")
    assert "churn.figure5-temperature.svg" in out
    assert "trainings" not in err


def test_what_cannot_be_is_said_before_anything_is_trained(traintwice, tmp_path):
    store = str(tmp_path / "runs")
    for arguments, message in (
        (("run", "digits", "--part", "digits"), "--part: digits is one experiment, which has neither parts nor scales"),
        (("run", "digits", "--scale", "paper"), "--scale: digits is one experiment"),
        (("run", "churn.table2", "--scale", "huge"), "--scale: got 'huge', expected one of 'small', 'paper'"),
        (("run", "churn.table2", "--part", "digit"), "digits"),
        (("run", "churn.table2", "--set", "epochs=2"), "--set: churn.table2 is a composite study"),
        (("run", "churn.table99"), "churn.table"),
    ):
        status, out, err = traintwice(*arguments, "--store", store, "--no-report")
        assert status == 2, arguments
        assert message in err
        assert not out
    assert not (tmp_path / "runs").exists()


def test_show_lists_parts_of_both_scales(traintwice):
    status, out, _ = traintwice("show", "churn.table2")
    assert status == 0
    assert "--part cifar100" in out
    assert "--part digits" in out
    plain = json.loads(traintwice("show", "churn.table2", "--json")[1])
    assert list(plain["scales"]) == ["small", "paper"]


def test_a_part_without_files_is_said_to_be_left_out(traintwice, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("traintwice.data.FashionMNIST.installed", ())
    monkeypatch.setattr("traintwice_reproduction.tables.command.reproduce", lambda *a, **k: sys.exit(0))
    err = traintwice("run", "ad.table1", "--store", "runs", "--no-report")[2]
    assert "Fashion-MNIST is left out: its files are not on this machine (traintwice fetch FashionMNIST)." in err
    assert "--part fashion: Fashion-MNIST (optional: only where its files are)" in traintwice("show", "ad.table1")[1]


def test_show_gives_warnings_of_a_study_as_json(traintwice):
    warnings = json.loads(traintwice("show", "methods-digits", "--json")[1])["warnings"]
    assert any("softmax is blind" in w["text"] and any(row.startswith("anti") for row in w["rows"]) for w in warnings)
    assert json.loads(traintwice("show", "ablation-digits", "--json")[1])["warnings"] == []


def test_list_and_show_know_every_study(traintwice):
    listed = json.loads(traintwice("list", "--json")[1])
    assert set(STUDIES) <= set(listed["studies"])
    assert {listed["packages"][name] for name in STUDIES} == {"traintwice-reproduction"}
    for name in STUDIES:
        status, out, _ = traintwice("show", name)
        assert status == 0
        assert name in out


@pytest.mark.parametrize("name", [name for name, maker in STUDIES.items() if not isinstance(maker, TableStudy)])
def test_studies_survive_a_file(name):
    experiment = STUDIES[name]()
    assert Experiment.from_dict(tomllib.loads(experiment.to_toml())) == experiment
