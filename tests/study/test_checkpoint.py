"""Killed at random moments and resumed from its checkpoints, a training ends in the bytes of one that nothing disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.data import Digits
from traintwice.engine import Numerics, train
from traintwice.errors import BadSpec, StoreError
from traintwice.losses import CrossEntropy, RunningDecorrelation
from traintwice.methods import Method, Term
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.specs import encode
from traintwice.study import Store
from traintwice.study.checkpoint import Checkpoint, Clock, Every
from traintwice.study.identity import identity, key_of
from traintwice.study.worker import train_into

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
    chosen = {"seed": 0, "replicas": replicas, "save_weights": True, "every": every, "engine": engine}
    return list(train_into(store, recipe, SOURCE, DATA, **chosen))


def new_store(path):
    store = Store(path)
    store.prepare(KEY, identity(RECIPE, DATA.digest, 0))
    return store


def bytes_of(store):
    return {p.name: p.read_bytes() for p in sorted(store.folder(KEY).glob("*.safetensors"))}


SCRIPT = """
import sys, json, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from traintwice.data import Digits
from traintwice.recipes import Recipe
from traintwice.specs import decode
from traintwice.study import Every, Store
from traintwice.study.worker import train_into
recipe, source = decode(Recipe, json.loads(sys.argv[3])), decode(Digits, json.loads(sys.argv[4]))
print("ready", flush=True)
replicas, engine = json.loads(sys.argv[5])
chosen = {"seed": 0, "replicas": replicas, "save_weights": True, "every": Every(steps=5), "engine": engine}
print(*train_into(Store(sys.argv[1]), recipe, source, source.load(), **chosen))
"""


def start(store, replicas, engine):
    from traintwice import __file__ as package

    source = os.path.dirname(os.path.dirname(package))  # noqa: PTH120
    arguments = [
        str(store.path),
        source,
        json.dumps(encode(RECIPE)),
        json.dumps({k: v for k, v in encode(SOURCE).items() if k != "type"}),
        json.dumps([replicas, engine]),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def steps_of(store):
    path = store.checkpoint(KEY, 1)
    return json.loads(path.read_bytes().partition(b"\n")[0])["steps"] if path.exists() else 0


@pytest.mark.parametrize(
    ("engine", "groups", "moments"), [("loop", [[1]], (20, 120, 240)), ("stacked", [[0, 1, 2], [2, 1]], (20, 200))]
)
def test_killed_at_random_moments(tmp_path, engine, groups, moments):
    """Stacked, what was begun as a group of three is finished as groups of two and one."""
    import torch

    whole, broken = new_store(tmp_path / "whole"), new_store(tmp_path / "broken")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        into(whole, every=Every(), replicas=groups[0], engine=engine)
    finally:
        torch.set_num_threads(before)
    chance = random.Random(0)
    for least in moments:
        process = start(broken, groups[0], engine)
        while steps_of(broken) < least + chance.randrange(60):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    for group in (*groups[1:], groups[0]):
        process = start(broken, group, engine)
        assert process.stdout.read().count("'outcome': 'done'") == len(group)
        assert process.wait() == 0
        process.stdout.close()
    assert bytes_of(broken) == bytes_of(whole)
    resumed = broken.record(KEY, 1)["resumed"]
    assert len(resumed) == len(moments)
    assert any(step % 8 for step in resumed)  # in the middle of an epoch
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
    assert "training.memories.1.moments" in state
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
