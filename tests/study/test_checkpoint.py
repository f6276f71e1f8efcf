"""Killed at random moments and resumed from its checkpoints, a training ends in the bytes of one that nothing disturbed."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import traintwice
from heavy import heavy
from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.data import Digits
from traintwice.engine import Execution, Numerics, train
from traintwice.errors import BadSpec, StoreError
from traintwice.losses import CrossEntropy, RunningDecorrelation
from traintwice.methods import Method, Term
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.specs import encode, identity, key_of
from traintwice.study import Store
from traintwice.study._store import Checkpoint, Clock, Every
from traintwice.study._worker import train_into

SOURCE = Digits(train=64, validation=20, test=40)
DATA = SOURCE.load()
RECIPE = Recipe(
    network=MLP((8,), batch_norm=True, dropout=0.2),
    augmentation=Shift(),
    method=Method((Term(CrossEntropy()), Term(RunningDecorrelation(0.9), 0.05)), 2, "mean-prob"),
    averaging=EMA(),
    epochs=50,
    batch_size=8,
)
KEY = key_of(RECIPE, DATA.digest, 0)


OFTEN = Every(steps=5)


def into(store, *, recipe=RECIPE, every=OFTEN, replicas=(1,), engine="loop"):
    chosen = {"seed": 0, "replicas": replicas, "save_weights": True, "every": every, "execution": Execution(engine)}
    return list(train_into(store, recipe, SOURCE, DATA, **chosen))


def new_store(path):
    store = Store(path)
    store.prepare(KEY, identity(RECIPE, DATA.digest, 0))
    return store


@pytest.fixture
def in_memory(tmp_path):
    """A folder in memory, where the system has one: on a disk every checkpoint is waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as folder:  # noqa: S108
        yield Path(folder)


@heavy
@pytest.mark.parametrize(("engine", "kills", "mid_epoch"), [("loop", 6, 2), ("stacked", 4, 1)])
def test_killed_many_times(in_memory, engine, kills, mid_epoch):
    """Four replicas of 25 epochs of 8 steps, a checkpoint every 5 steps; stacked in other groups after every kill."""
    recipe, replicas = RECIPE.change(epochs=25), 4
    key = key_of(recipe, DATA.digest, 0)
    plain = [json.dumps(value) for value in (encode(recipe), {k: v for k, v in encode(SOURCE).items() if k != "type"})]
    command = [sys.executable, Path(__file__).with_name("fork_and_kill.py"), in_memory, *plain, str(replicas), str(kills), engine]
    paths = os.pathsep.join([str(Path(traintwice.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seen = json.loads(done.stdout)
    whole, broken = Store(in_memory / "whole"), Store(in_memory / "broken")

    assert len(seen) == kills
    arrays = [p.name for p in sorted(whole.folder(key).glob("*.safetensors"))]
    assert len(arrays) == 2 * replicas  # logits and weights
    for name in arrays:
        assert (broken.folder(key) / name).read_bytes() == (whole.folder(key) / name).read_bytes(), name
    assert all(broken.record(key, m)["loss"] == whole.record(key, m)["loss"] for m in range(replicas))
    assert sum(steps % 8 > 0 for at_kill in seen for steps in at_kill["steps"]) >= mid_epoch  # resumed in the middle of an epoch
    resumed = [broken.record(key, m).get("resumed", []) for m in range(replicas)]
    assert sum(map(len, resumed)) >= mid_epoch  # and went on from there at least as far as to the next checkpoint
    for at_kill in seen:
        assert at_kill["files"] == {name: (broken.folder(key) / name).stat().st_mtime_ns for name in at_kill["files"]}
    if engine == "loop":
        assert len(seen[-1]["files"]) >= 3  # some replica was finished before the last kill: logits, weights, record
    assert not list(broken.path.rglob("*.checkpoint"))


@pytest.fixture
def stopped(tmp_path):
    """A store with the checkpoint of a training that was stopped after 20 steps, and that training's recipe, shortened."""

    class Stop(Exception):
        pass

    class Stopping(Checkpoint):
        def after_step(self, steps, training):
            super().after_step(steps, training)
            if steps == 22:
                raise Stop

    store = new_store(tmp_path / "runs")
    import torch

    checkpoint = Stopping(store, KEY, 1, Numerics.here(threads=torch.get_num_threads()), Clock(Every(steps=5)))
    with pytest.raises(Stop):
        train(RECIPE, DATA, seed=0, replica=1, keeper=checkpoint)
    return store


def again(store, **changed):
    import torch

    settings = {"key": KEY, "replica": 1, "numerics": Numerics.here(threads=torch.get_num_threads()), **changed}
    checkpoint = Checkpoint(store, settings["key"], settings["replica"], settings["numerics"], Clock(Every()))
    return checkpoint, checkpoint.resume()


def test_the_last_checkpoint_is_resumed(stopped):
    checkpoint, (steps, state) = again(stopped)
    assert (steps, checkpoint.resumed, checkpoint.ignored) == (20, [20], None)
    assert "memories.1.moments" in state
    assert checkpoint.seconds > 0
    assert stopped.replicas(KEY) == []  # a checkpoint is no replica


def test_every_kind_of_damage_is_seen(stopped):
    path = stopped.checkpoint(KEY, 1)
    good = path.read_bytes()
    line = good.index(b"\n")
    for bad in (b"", b"\n", b"[]\n", good[:-1], good[:line], good[:40], b"{}\n" + good[line + 1 :]):
        path.write_bytes(bad)
        checkpoint, resumed = again(stopped)
        assert resumed is None
        assert checkpoint.ignored == "0001.checkpoint is damaged; training from the beginning"
    for place in (3, line // 2, line + 9, len(good) - 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert again(stopped)[1] is None


def test_checkpoints_of_other_trainings_are_ignored(stopped):
    import torch

    here = Numerics.here(threads=torch.get_num_threads())
    checkpoint, resumed = again(stopped, numerics=replace(here, threads=here.threads + 1))
    assert resumed is None
    assert "belongs to another training (other numerics)" in checkpoint.ignored
    other = key_of(RECIPE.change(epochs=3), DATA.digest, 0)
    stopped.folder(other).mkdir()
    stopped.checkpoint(KEY, 1).rename(stopped.checkpoint(other, 2))
    checkpoint, resumed = again(stopped, key=other, replica=2)
    assert resumed is None
    assert "belongs to another training (other key and replica)" in checkpoint.ignored


def test_an_ignored_checkpoint_is_said_and_removed(tmp_path):
    short = RECIPE.change(epochs=1)
    key = key_of(short, DATA.digest, 0)
    store = Store(tmp_path / "runs")
    store.prepare(key, identity(short, DATA.digest, 0))
    store.checkpoint(key, 1).write_bytes(b"nonsense")
    (answer,) = into(store, recipe=short)
    assert answer["outcome"] == "done"
    assert answer["note"] == "0001.checkpoint is damaged; training from the beginning"
    assert not store.checkpoint(key, 1).exists()
    store.checkpoint(key, 1).touch()  # as a process leaves it that is killed between the record and here
    assert list(store.leftovers()) == [store.checkpoint(key, 1)]


def test_a_full_disk_is_an_error_and_leaves_the_last_checkpoint(stopped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = stopped.checkpoint(KEY, 1)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device\); finished replicas are kept"):
        into(stopped)
    assert path.read_bytes() == before


@pytest.mark.parametrize("settings", [{"seconds": 0.0}, {"steps": 0}])
def test_mistakes(settings):
    with pytest.raises(BadSpec, match="Every"):
        Every(**settings)
