"""A full disk, a store that is removed, a worker that is killed: a clear error, and nothing is lost that was finished."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import traintwice
from heavy import heavy
from traintwice.engine import Execution
from traintwice.errors import StoreError, TrainingFailed
from traintwice.specs import encode
from traintwice.study import Store, _worker, prepare, run, train_missing
from traintwice.study._plan import Task
from traintwice.study._store import EVERY_MINUTE
from traintwice.study._worker import _answers, train_into

ON_A_SMALL_DISK = """
import json, subprocess, sys, torch
from pathlib import Path
from traintwice.errors import StoreError
from traintwice.study import Experiment, Store, gather, prepare
from traintwice.specs import encode
from traintwice.study._store import EVERY_MINUTE
from traintwice.study._worker import _answers, train_into

torch.set_num_threads(1)
folder, study = Path(sys.argv[1]), Experiment.from_dict(json.loads(sys.argv[2]))
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", folder], check=True)
store, data, said = Store(folder / "runs"), study.data.load(), []

def train():
    for task in prepare(study, data, store).missing:
        try:
            list(train_into(store, task.recipe, study.data, data, seed=study.seed, replicas=[task.replica]))
        except StoreError as error:
            said.append(str(error))
    finished = [store.folder(k) / f"{m:04d}.{s}" for k in store.digests() for m in store.replicas(k) for s in ("json", "safetensors")]
    return {str(path): path.read_bytes().hex() for path in finished}

before = train()
subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
few = len(said)
after = train()
print(json.dumps([said[:few], said[few:], before, after, sorted(gather(study, store, data).rows)]))
"""

UNSHARED = ["unshare", "--mount", *([] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["--map-root-user"])]


def can_mount(folder):
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARED, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode == 0


def test_a_full_disk(small, tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("this system lets nobody mount a small disk")
    study = json.dumps(small.override(["replicas=12"]).to_dict())
    paths = os.pathsep.join([str(Path(traintwice.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [*UNSHARED, sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path), study]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True, check=True)
    full, roomy, before, after, rows = json.loads(done.stdout)
    assert 0 < len(full) < 24
    for message in full:
        assert message.endswith("cannot be written (No space left on device); finished replicas are kept; fix that and run again")
    assert roomy == []
    assert len(before) == 2 * (24 - len(full))
    assert len(after) == 2 * 24
    assert before.items() <= after.items()
    assert rows == ["baseline", "ensemble"]


def workers():
    """Process numbers of the children of this process."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


@pytest.fixture
def started(small, tmp_path, worker_processes):
    """A study of which one replica is finished, and what comes next."""
    store, data = Store(tmp_path / "runs"), small.data.load()
    one_by_one = Execution("loop", jobs=1)
    news = train_missing(small, data, store, prepare(small, data, store, execution=one_by_one))
    next(news)
    yield store, news
    news.close()


def test_a_store_that_is_removed(started, small, data):
    store, news = started
    shutil.rmtree(store.path.rename(store.path.with_name("gone")), ignore_errors=True)  # at once, whatever is being written
    with pytest.raises(TrainingFailed, match="the store was removed while it was in use; run again to train what was in it"):
        list(news)
    assert not store.path.exists()
    with pytest.raises(StoreError, match="the store was removed"):
        list(train_into(store, small.rows["baseline"], small.data, data, seed=0, replicas=[0]))
    assert not store.path.exists()


@heavy
def test_a_worker_that_is_killed(started, small):
    store, news = started
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in store.path.rglob("0*.*") if p.suffix in (".json", ".safetensors")}
    assert len(files) == 2
    before = workers()
    os.kill(before[-1], signal.SIGKILL)
    with pytest.raises(TrainingFailed, match=r"a worker was killed \(signal 9.* while training replica .*run again to continue"):
        list(news)
    run(small, store=store, execution=Execution("loop", jobs=1))
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files} == files


@pytest.mark.parametrize(
    ("changes", "message"), [(True, "the data differ each time they are read"), (False, "a bug in traintwice")]
)
def test_data_that_are_not_those_of_the_parent(small, tmp_path, monkeypatch, changes, message):
    source = SimpleNamespace(load=lambda: SimpleNamespace(digest="other" if changes else "here"))
    monkeypatch.setattr(_worker, "_loaded", lambda plain: (source, SimpleNamespace(digest="here")))
    task = Task("there", "baseline", 0, small.rows["baseline"], 0, small.data)
    (answer,) = _answers({"task": encode(task), "replicas": [0]}, Store(tmp_path / "runs"), EVERY_MINUTE)
    assert answer["outcome"] == "failed"
    assert message in answer["reason"]
