import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from heavy import heavy
from in_process import in_worker_processes
from traintwice._processes import started_early
from traintwice.engine import Execution, train_group
from traintwice.errors import StoreError, TrainingFailed
from traintwice.study import Store, gather, prepare, run, train_missing
from traintwice.study._store import TEMPORARY

ONE = Execution(jobs=1)


def logits_of(store: Store) -> dict[str, bytes]:
    return {str(p.relative_to(store.path)): p.read_bytes() for p in store.path.rglob("*.safetensors") if TEMPORARY not in p.name}


@pytest.fixture(scope="module")
def trained(small, data, tmp_path_factory):
    """A study that nothing disturbed, trained by a worker process that was started before the study was planned."""
    store = Store(tmp_path_factory.mktemp("undisturbed") / "runs")
    with pytest.MonkeyPatch.context() as patch:
        in_worker_processes(patch)
        with started_early(1) as started:
            (worker,) = started
            made = prepare(small, data, store, execution=ONE)
            finished = list(train_missing(small, data, store, made, started=started))
    return SimpleNamespace(store=store, worker=worker, waiting=started, missing=made.missing, finished=finished)


@pytest.fixture(scope="module")
def undisturbed(trained):
    """The store of a study that nothing disturbed."""
    return trained.store


def test_processes_give_the_bits_of_a_plain_call(small, data, undisturbed):
    results = gather(small, undisturbed, data)
    for row, recipe in small.rows.items():
        for m in range(3):
            ((_, made),) = train_group(recipe, data, seed=small.seed, replicas=[m])
            alone = made.outputs["test"]
            assert alone.tobytes() == results[row].logits["test"][m].tobytes()


def test_more_replicas_train_only_the_missing_ones(small, undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed.path, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    before = {p: p.stat().st_mtime_ns for p in store.path.rglob("0*")}
    results = run(replace(small, replicas=5), store=store, execution=Execution(jobs=2))
    assert results["ensemble"].test.replicas == 5
    assert all(p.stat().st_mtime_ns == then for p, then in before.items())
    assert logits_of(undisturbed).items() <= logits_of(store).items()
    assert store.study("small")["replicas"] == 5


COMMAND = """
import sys
from traintwice.engine import Execution
from traintwice.study import Experiment, run
from pathlib import Path
run(Experiment.read(Path(sys.argv[1])), store=sys.argv[2], execution=Execution(jobs=int(sys.argv[3])))
"""


def start(small, tmp_path, jobs):
    file = tmp_path / "small.toml"
    file.write_text(small.to_toml())
    return subprocess.Popen([sys.executable, "-c", COMMAND, file, tmp_path / "runs", str(jobs)], start_new_session=True)


@heavy
def test_killed_and_then_run_twice_at_once(small, undisturbed, tmp_path):
    """`kill -9` of the parent, then the same command in two processes at once: the same bytes, and nothing half done."""
    process = start(small, tmp_path, jobs=1)
    time.sleep(3.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first, second = start(small, tmp_path, jobs=1), start(small, tmp_path, jobs=2)
    assert (first.wait(), second.wait()) == (0, 0)
    store = Store(tmp_path / "runs")
    assert logits_of(store) == logits_of(undisturbed)
    assert not list(store.leftovers())


@heavy
def test_workers_end_with_their_parent(small, tmp_path):
    long = small.override(["epochs=100000"])
    process = start(long, tmp_path, jobs=2)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    deadline = time.monotonic() + 60
    workers: list[int] = []
    while len(workers) < 2 and time.monotonic() < deadline:
        with open(children) as listed:  # noqa: PTH123
            workers = [int(pid) for pid in listed.read().split()]
        time.sleep(0.1)
    time.sleep(4)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(os.path.exists(f"/proc/{pid}") for pid in workers) and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.1)
    assert len(workers) == 2
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)  # noqa: PTH110


def test_damage_is_mended_to_the_same_bytes(small, undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed.path, tmp_path / "runs")
    store = Store(tmp_path / "runs")
    victim = next(iter(store.path.rglob("0002.safetensors")))
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    with pytest.raises(StoreError, match="replicas missing or damaged"):
        gather(small, store, small.data.load())
    run(small, store=store)
    assert logits_of(store) == logits_of(undisturbed)


def test_a_replica_that_cannot_be_trained_is_named_and_the_others_are_kept(small, tmp_path):
    impossible = small.override(["rows.ensemble.components=[{inputs=[0, 99]}, {}]"])
    with pytest.raises(
        TrainingFailed, match=r"3 of 6 replicas failed, the others are kept:\nensemble, replicas 0, 1, 2: Component.inputs: got"
    ):
        run(impossible, store=tmp_path / "runs")
    store, data = Store(tmp_path / "runs"), impossible.data.load()
    assert store.replicas(impossible.key("baseline", data)) == [0, 1, 2]


def is_worker(pid):
    try:
        return b"traintwice.study._worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.usefixtures("worker_processes")
def test_a_killed_worker_is_reported(small, tmp_path):
    long = small.override(["epochs=100000"])
    store, data = Store(tmp_path / "runs"), long.data.load()
    news = train_missing(long, data, store, prepare(long, data, store, execution=ONE))

    import threading

    def kill_it():
        children = f"/proc/{os.getpid()}/task"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for task in os.listdir(children):  # noqa: PTH208
                with open(f"{children}/{task}/children") as listed:  # noqa: PTH123
                    pids = [int(pid) for pid in listed.read().split() if is_worker(pid)]
                if pids:
                    time.sleep(0.5)
                    os.kill(pids[0], signal.SIGKILL)
                    return
            time.sleep(0.1)

    killer = threading.Thread(target=kill_it)
    killer.start()
    with pytest.raises(TrainingFailed, match=r"a worker was killed \(signal 9.* while training replica 0 of 'baseline'"):
        next(news)
    killer.join()


def test_another_study_of_the_same_name(small, undisturbed):
    other = small.override(["epochs=2"])
    with pytest.raises(StoreError, match=r"has a study named 'small' with other settings \(recipe.epochs 1 there, 2 here\)"):
        run(other, store=undisturbed)


@heavy
def test_two_runs_that_make_the_store_together(small, tmp_path):
    code = "import sys; from traintwice.study import Store; [Store(f'{sys.argv[1]}/{i}') for i in range(300)]"
    makers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [m.wait() for m in makers] == [0, 0]


@heavy
@pytest.mark.usefixtures("worker_processes")
def test_a_worker_that_prints_does_no_harm(small, undisturbed, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('hello from somebody')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    run(small, store=tmp_path / "runs", execution=ONE)
    assert logits_of(Store(tmp_path / "runs")) == logits_of(undisturbed)


def test_an_interrupted_growth_keeps_the_report_of_what_was_there(small, undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed.path, tmp_path / "runs")
    store, data = Store(tmp_path / "runs"), small.data.load()
    more = replace(small, replicas=6)
    news = train_missing(more, data, store, prepare(more, data, store, execution=ONE))
    next(news)
    news.close()
    assert store.study("small")["replicas"] == 3


def test_workers_that_wait_already_are_used(trained):
    assert trained.waiting == []
    assert trained.worker.process.returncode == 0
    assert len(trained.finished) == len(trained.missing) == 6
