"""A model in service that a training function learns from or starts from."""

import numpy as np
import pytest

from trainings import LABELS, probabilities
from traintwice import replicate
from traintwice.errors import BadSpec, StoreError, TrainingFailed
from traintwice.predictions import write_predictions
from traintwice.served import Logged, Weights

IDS = np.arange(40) + 100
IN_PROCESS = {"executor": "in-process", "labels": LABELS, "ids": IDS}


def train(run, share=0.0):
    """A training whose answers are mixed with the logged ones."""
    own = probabilities(run.stream("init"))
    return own if not share else (1 - share) * own + share * run.logged.probs(IDS, classes=2)


def train_from(run):
    """A training that starts from a file."""
    assert run.start.read_bytes() == b"weights"
    return probabilities(run.stream("init"))


def train_by_seed(seed):
    """A training that does not see its recipe."""
    return probabilities(np.random.default_rng(seed))


@pytest.fixture
def served(tmp_path):
    order = np.random.default_rng(0).permutation(40)
    probs = probabilities(np.random.default_rng(9))
    return write_predictions(tmp_path / "served.parquet", probs[order], ids=IDS[order]), probs


def test_logged_predictions_reach_the_function(served, tmp_path):
    file, _ = served
    recipes = {"base": {}, "near": {"share": 0.75, "log": Logged(file, id="id")}}
    study = replicate(train, replicas=3, recipes=recipes, store=tmp_path / "runs", **IN_PROCESS)
    found = study.against(file)
    assert found["near"].churn.value < found["base"].churn.value
    assert "served.parquet" not in str(study.records["near"][0]["settings"])


def test_another_content_is_another_recipe(served, tmp_path):
    recipes = {"base": {}, "near": {"share": 0.75, "log": Logged(served[0])}}
    replicate(train, replicas=2, recipes=recipes, store=tmp_path / "runs", **IN_PROCESS)
    write_predictions(served[0], np.full((40, 2), 0.5), ids=IDS)
    with pytest.raises(StoreError, match=r"near.*other settings"):
        replicate(
            train,
            replicas=2,
            recipes={**recipes, "near": {"share": 0.75, "log": Logged(served[0])}},
            store=tmp_path / "runs",
            **IN_PROCESS,
        )


def test_weights_reach_the_function(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    table = {"type": "Weights", "file": str(tmp_path / "model.safetensors")}  # as in a TOML file
    for start in (table, Weights(tmp_path / "model.safetensors")):
        study = replicate(train_from, replicas=2, recipes={"warm": {"from": start}}, store=tmp_path / "runs", **IN_PROCESS)
        assert not study.failures


def test_what_cannot_be_used_is_said(served, tmp_path):
    with pytest.raises(BadSpec, match=r"train\(seed\) cannot see"):
        replicate(train_by_seed, replicas=2, recipes={"a": {"log": Logged(served[0])}}, store=tmp_path / "a", **IN_PROCESS)
    with pytest.raises(TrainingFailed, match="recipe 'a': has no Logged"):
        replicate(train, replicas=2, recipes={"a": {"share": 0.5}}, store=tmp_path / "b", **IN_PROCESS)


def test_files_in_the_words_of_a_recipe_are_part_of_a_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.csv").write_text("1")
    command = ["sh", "-c", 'printf "id,p\\n1,0.25\\n2,0.5\\n" > "$0"', "{out}"]
    recipes = {"base": "", "near": "--teacher log.csv"}
    replicate(command, replicas=1, recipes=recipes, store="runs", executor="in-process")
    (tmp_path / "log.csv").write_text("2")
    with pytest.raises(StoreError, match=r"'near' was trained with other code \(log.csv changed since\)"):
        replicate(command, replicas=1, recipes=recipes, store="runs", executor="in-process")
