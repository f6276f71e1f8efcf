"""Code of the user's in a study: what it raises, what is kept, and that its versions do not mix."""

import json
import os
import textwrap

import numpy as np
import pytest

from traintwice.data import Digits
from traintwice.engine import train
from traintwice.errors import BadSpec, StoreError, TrainingFailed
from traintwice.nets import MLP, Factory
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Store, run

MODULE = """
    import torch
    from torch import nn
    import my_layers

    class Picky(nn.Module):
        def __init__(self, inputs, classes):
            super().__init__()
            self.inner = my_layers.linear(inputs, classes)

        def forward(self, x):
            if len(x) == 32 and self.training:
                self.misspelt(x)
            return self.inner(x)

    def picky(shape, classes):
        return Picky(shape[0], classes)

    def plain(shape, classes, norm=False):
        inner = my_layers.linear(shape[0], classes)
        return nn.Sequential(nn.BatchNorm1d(shape[0]), inner) if norm else inner
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "my_nets.py").write_text(textwrap.dedent(MODULE))
    (folder / "my_layers.py").write_text("from torch import nn\n\ndef linear(n, k):\n    return nn.Linear(n, k)\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    yield folder
    import sys

    for name in ("my_nets", "my_layers"):
        sys.modules.pop(name, None)


BASE = Recipe(network=MLP((4,)), epochs=1, batch_size=32)
DATA = Digits(train=64, validation=20, test=20)


def test_an_error_has_its_traceback_and_the_others_go_on(tmp_path):
    rows = {"picky": BASE.change(network=Factory("my_nets:picky")), "mlp": BASE}
    with pytest.raises(TrainingFailed) as failed:
        run(Experiment("s", DATA, rows, replicas=2), store=tmp_path / "runs")
    said = str(failed.value)
    assert said.startswith(
        "2 of 4 replicas failed, the others are kept:\npicky, replicas 0, 1: AttributeError: 'Picky' object has no"
    )
    assert said.count("my_nets.py") == said.count("self.misspelt(x)") == 1
    assert "engine/_loop.py" not in said
    assert "site-packages" not in said[: said.index("my_nets.py")]
    assert "Fix the code and run again" in said
    store = Store(tmp_path / "runs")
    (key,) = [key for key in store.digests() if store.replicas(key)]
    assert store.replicas(key) == [0, 1]
    notes = [json.loads(path.read_text()) for path in store.path.rglob("*.failed")]
    assert len(notes) == 2
    assert all("self.misspelt(x)" in note["traceback"] for note in notes)
    assert store.studies() == ["s"]


def test_what_was_fixed_trains_and_forgets_the_failure(tmp_path, project):
    study = Experiment("s", DATA, {"picky": BASE.change(network=Factory("my_nets:picky"))}, replicas=2)
    with pytest.raises(TrainingFailed):
        run(study, store=tmp_path / "runs")
    assert Store(tmp_path / "runs").studies() == []  # nothing was trained, so the name is free
    other = Experiment("s", DATA, {"picky": BASE.change(network=Factory("my_nets:plain"))}, replicas=2)
    run(other, store=tmp_path / "runs")
    assert Store(tmp_path / "runs").studies() == ["s"]


def test_rows_may_be_added(tmp_path):
    run(Experiment("s", DATA, {"a": BASE}, replicas=2), store=tmp_path / "runs")
    results = run(Experiment("s", DATA, {"a": BASE, "b": BASE.change(epochs=2)}, replicas=2), store=tmp_path / "runs")
    assert list(results.rows) == ["a", "b"]
    assert list(Store(tmp_path / "runs").study("s")["rows"]) == ["a", "b"]
    with pytest.raises(StoreError, match=r"with other settings \(rows.b"):
        run(Experiment("s", DATA, {"a": BASE, "b": BASE.change(epochs=3)}, replicas=2), store=tmp_path / "runs")


def test_replicas_of_other_code_do_not_mix(tmp_path, project):
    import sys

    study = Experiment("s", DATA, {"a": BASE.change(network=Factory("my_nets:plain"))}, replicas=2)
    run(study, store=tmp_path / "runs")
    (record,) = {path.read_text() for path in (tmp_path / "runs").rglob("0000.json")}
    assert set(json.loads(record)["code"]) == {"my_nets.py", "my_layers.py"}
    (project / "my_layers.py").write_text("from torch import nn\n\ndef linear(n, k):\n    return nn.Linear(n, k, bias=False)\n")
    more = Experiment("s", DATA, study.rows, replicas=3)
    for name in ("my_nets", "my_layers"):
        sys.modules.pop(name, None)
    with pytest.raises(StoreError, match=r"was trained with other code \(my_layers.py changed since\).*--mix-code"):
        run(more, store=tmp_path / "runs")
    assert run(more, store=tmp_path / "runs", mix_code=True)["a"].test.probs.shape[0] == 3


def test_a_last_mini_batch_of_one_example_under_batch_normalisation(tmp_path):
    data, network = Digits(train=65, validation=20, test=20), Factory("my_nets:plain", {"norm": True})
    for recipe in (BASE.change(network=MLP((4,), batch_norm=True)), BASE.change(network=network)):
        assert np.isfinite(train(recipe, data.load(), seed=0, replica=0).outputs["test"]).all()
    with pytest.warns(UserWarning, match=r"a: 65 training examples in mini-batches of 32 .* have 31 and 2"):
        run(Experiment("s", data, {"a": BASE.change(network=network)}, replicas=2), store=tmp_path / "runs")
    with pytest.raises(BadSpec, match=r"batch_size: got 2 for 65 .* set batch_size to 3 or more"):
        train(BASE.change(network=network, batch_size=2), data.load(), seed=0, replica=0)
