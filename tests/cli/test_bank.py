"""`traintwice bank` as it is typed."""

import json
from dataclasses import replace

import pytest

from traintwice.data import Digits
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.replication import replicate
from traintwice.study import Experiment, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store with a trained study of two replicas and one that is not trained, and the replicas of a function."""
    folder = tmp_path_factory.mktemp("bank")
    rows = {"one network": Recipe(network=MLP((4,)), epochs=1)}
    tiny = Experiment("tiny", Digits(train=64, validation=20, test=40), rows, replicas=2)
    results = run(tiny, store=folder / "runs")
    (folder / "waiting.toml").write_text(replace(tiny, name="waiting", replicas=3).to_toml())
    test = results.baseline.test
    replicate(
        lambda run: test.probs[run.replica],
        replicas=2, labels=test.labels, store=folder / "replicas", executor="in-process",
    )  # fmt: skip
    return folder


@pytest.fixture
def typed(traintwice):
    """Run a command line that ends with this status; returns what it printed: errors, where it fails."""

    def call(*words, status=0):
        found, out, err = traintwice(*words)
        assert found == status, err
        return err if status else out

    return call


def test_a_study_is_added_listed_shown_and_measured(typed, folder, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_BANK", str(folder / "mine"))
    added = typed("bank", "add", "tiny", "--store", folder / "runs")
    assert "tiny · digits, MLP 64-4-10 · 40 test examples" in added
    assert "one network  one-network" in added
    again = typed("bank", "add", "tiny", "--store", folder / "runs", status=2)
    assert "tiny.json exists; pass --replace" in again
    listed = json.loads(typed("bank", "--json"))
    (study,) = [s for s in listed["studies"] if s["name"] == "tiny"]
    shown = json.loads(typed("bank", "tiny", "--json"))
    assert shown["recipes"]["one network"] == study["recipes"]["one network"]
    assert shown["command"] == "traintwice run tiny"
    measured = json.loads(typed("measure", "bank:tiny/one-network", "--json"))
    expected = shown["recipes"]["one network"]["measures"]["churn"][0]
    assert measured["measures"]["churn"]["value"] == pytest.approx(expected, rel=1e-5)


def test_replicas_of_a_function_are_added_at_stated_cost(typed, folder, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_BANK", str(folder / "mine"))
    words = ("bank", "add", "mine", "--store", folder / "replicas", "--data", "digits", "--network", "64-4-10")
    assert "its cost is not known; state what it costs" in typed(*words, status=2)
    assert "expected RECIPE=TRAIN,SERVE" in typed(*words, "--cost", "base=1", status=2)
    assert "no recipe named 'bases'" in typed(*words, "--cost", "bases=1,1", status=2)
    shown = json.loads(typed(*words, "--cost", "base=1.5,1", "--json"))
    assert (shown["recipes"]["base"]["train"], shown["recipes"]["base"]["serve"]) == (1.5, 1.0)


def test_bad_words(typed, folder, monkeypatch):
    monkeypatch.setenv("TRAINTWICE_BANK", str(folder / "mine"))
    runs = folder / "runs"
    for words, told in (
        (("add",), "expected the name of a trained study"),
        (("add", folder / "waiting.toml", "--store", runs), "replicas missing or damaged (one network 1)"),
        (("add", "tiny", "--store", folder / "nowhere"), "nowhere"),
        (("add", "tiny", "--store", runs, "--data", "x"), "--data"),
        (("add", "tinny", "--store", runs), "Did you mean 'tiny'"),
        (("add", "mine", "--store", folder / "replicas"), "--data is missing"),
        (("nothing",), "no study in a bank named 'nothing'"),
        (("--replace",), "--replace is for `traintwice bank add STUDY`"),
        (("tiny", "other"), "expected one name"),
    ):
        found = typed("bank", *words, status=2)
        assert told in found
