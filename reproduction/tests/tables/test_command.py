"""`run` and `show` on tables and figures of the papers."""

import json
import sys
import tomllib

import pytest

from traintwice.study import Experiment
from traintwice_reproduction.studies import STUDIES
from traintwice_reproduction.tables import ARTEFACTS, cost
from traintwice_reproduction.tables.command import TableStudy
from traintwice_reproduction.tables.reproducing import studies


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
        (("run", "churn.table2", "--set", "epoch=2"), "no setting named 'epoch'"),
        (("run", "churn.table2", "--name", "mine"), "--name: churn.table2 is a composite study"),
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
    assert list(plain["scales"]) == ["small", "paper", "extended"]


def test_a_part_without_files_is_said_to_be_left_out(traintwice, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("traintwice.data.FashionMNIST.installed", ())
    monkeypatch.setattr("traintwice_reproduction.tables.command.reproduce", lambda *a, **k: sys.exit(0))
    err = traintwice("run", "ad.table1", "--store", "runs", "--no-report")[2]
    assert "Fashion-MNIST is left out: its files are not on this machine (traintwice fetch FashionMNIST)." in err
    assert "--part fashion: Fashion-MNIST (optional: only where its files are)" in traintwice("show", "ad.table1")[1]


def test_show_gives_warnings_of_a_study_as_json(traintwice):
    warnings = json.loads(traintwice("show", "methods-digits", "--json")[1])["warnings"]
    assert any("softmax ignores" in w["text"] and any(row.startswith("anti") for row in w["rows"]) for w in warnings)
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


def test_show_prints_a_study_file_for_each_part(traintwice):
    status, out, _ = traintwice("show", "churn.table2", "--scale", "paper", "--toml", "--set", "epochs=7")
    assert status == 0
    files = [text for text in out.split("# churn.table2-paper-") if text]
    assert [text.partition(".toml")[0] for text in files] == ["cifar10", "cifar100", "imagenet", "inaturalist", "svhn"]
    for text in files:
        experiment = Experiment.from_dict(tomllib.loads(text.partition("\n")[2]))
        assert experiment.rows["Baseline"].epochs == 7
        assert experiment.data.validation == 0
    one = traintwice("show", "churn.table2", "--toml", "--part", "digits", "--set", "data.validation=100")[1]
    assert Experiment.from_dict(tomllib.loads(one)).data.validation == 100


def test_show_refuses_options_of_study_files_without_toml(traintwice):
    for arguments, message in (
        (("show", "churn.table2", "--scale", "paper"), "add --toml"),
        (("show", "digits", "--scale", "paper", "--toml"), "--scale: digits is one experiment"),
        (("show", "churn.table2", "--scale", "huge", "--toml"), "--scale: got 'huge'"),
    ):
        status, _, err = traintwice(*arguments)
        assert status == 2, arguments
        assert message in err
    assert "epochs = 3\n" in traintwice("show", "digits", "--toml", "--set", "epochs=3")[1]


def test_set_changes_every_study_of_a_table(traintwice, monkeypatch):
    seen = []

    def trained(experiment, **others):
        seen.append(experiment)
        raise SystemExit(0)

    monkeypatch.setattr("traintwice.cli._study.train", trained)
    traintwice("run", "churn.table2", "--part", "digits", "--set", "epochs=3", "--no-report")
    (choice,) = seen
    assert choice.name == "churn.table2-small-digits-choice1"
    assert {recipe.epochs for recipe in choice.rows.values()} == {3}


def test_estimates_know_the_device(monkeypatch):
    planned = studies(ARTEFACTS["ad.table1"], ARTEFACTS["ad.table1"].parts("small")[0], "small")
    speeds = {"cpu": 1e9, "cuda": 1e15}
    monkeypatch.setattr(cost, "multiplications_per_second", lambda device="cpu": speeds[device])
    on_cpu, on_gpu = (cost.estimate(planned, 1, device=device)[1] for device in ("cpu", "cuda"))
    data = planned[0].data.load()
    assert on_cpu == pytest.approx(cost.multiply_adds(planned[0], data) / (1e9 * cost.SHARE_OF_PEAK))
    assert on_gpu == pytest.approx(cost.steps(planned[0], data) * cost.STEP_ON_A_GPU)  # kernels start one after the other
    assert cost.steps(planned[0], data) == 10 * 7 * 2 * 20 * 47
