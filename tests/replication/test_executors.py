"""Processes of their own: scripts without a guard, output, hangs, kills, and a parent that dies."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from heavy import heavy
from trainings import LABELS, train
from traintwice import replicate
from traintwice.errors import TrainingFailed

SCRIPT = """
import os, sys, time
import numpy as np
import traintwice

LABELS = np.array([0, 1] * 20)

def train(run):
    print("training", run.replica)
    p = run.stream("init").random(40)
    {body}
    return np.stack([1 - p, p], axis=1)

study = traintwice.replicate(train, replicas={replicas}, labels=LABELS, store="runs", jobs=2, {options})
print("finished", len(study.paths["base"]))
"""


def run_script(folder, body="pass", replicas=2, options="", **popen):
    (folder / "script.py").write_text(SCRIPT.format(body=body, replicas=replicas, options=options))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **popen,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def predictions(folder):
    return {p.name: p.read_bytes() for p in (folder / "runs" / "predictions").rglob("*.parquet")}


def test_a_script_without_a_guard(tmp_path):
    status, out, err = finish(run_script(tmp_path))
    assert (status, out, err) == (0, "finished 2\n", "")
    assert (tmp_path / "runs" / "logs" / "base" / "0001.log").read_text() == "training 1\n"


@pytest.mark.parametrize("without_guard", [True, False])
def test_a_module_of_a_package_started_with_m(tmp_path, without_guard):
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.py").write_text("ROWS = 40\n")
    call = "print(len(traintwice.replicate(train, replicas=2, store='runs').paths['base']))\n"
    guarded = call if without_guard else f'if __name__ == "__main__":\n    {call}'
    body = "    p = run.stream('init').random(ROWS)\n    return np.stack([1 - p, p], axis=1)\n\n"
    head = "import numpy as np\nimport traintwice\nfrom .data import ROWS\n\ndef train(run):\n"
    (package / "train.py").write_text(head + body + guarded)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "mypackage.train"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_two_studies_of_one_script_without_a_guard(tmp_path):
    second = 'study = traintwice.replicate(second, replicas=1, labels=LABELS, store="second")\n'
    late = "def second(run):\n    return train(run)\n"
    (tmp_path / "script.py").write_text(SCRIPT.format(body="pass", replicas=1, options="") + late + second)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the function second was not found when the file was loaded in another process" in done.stderr
    assert "finished 1" in done.stdout


def test_processes_and_this_process_give_the_same_files(tmp_path):
    by_processes = replicate(train, replicas=2, labels=LABELS, store=tmp_path / "a", jobs=2)
    here = replicate(train, replicas=2, labels=LABELS, store=tmp_path / "b", executor="in-process")
    assert [p.read_bytes() for p in by_processes.paths["base"]] == [p.read_bytes() for p in here.paths["base"]]


def test_a_spawned_pool(tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        study = replicate(train, replicas=2, labels=LABELS, store=tmp_path / "a", executor=pool)
    assert len(study.paths["base"]) == 2


def test_a_function_inside_a_function(tmp_path):
    shift = 0.1

    def inner(run):
        return (1 - shift) * train(run) + shift / 2

    assert len(replicate(inner, replicas=1, labels=LABELS, store=tmp_path / "a").paths["base"]) == 1


def test_one_thread_each_unless_more_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def threads(run):
        return np.full((int(os.environ["OMP_NUM_THREADS"]), 2), 0.5)

    assert replicate(threads, replicas=1, store=tmp_path / "a").records["base"][0]["splits"][""]["rows"] == 1
    assert replicate(threads, replicas=1, store=tmp_path / "b", threads=3).records["base"][0]["splits"][""]["rows"] == 3


def test_user_errors_and_deaths_are_one_sentence_each(tmp_path):
    body = """
    if run.replica == 0: raise ValueError("no data")
    if run.replica == 1: sys.exit("cannot go on")
    if run.replica == 2: os.kill(os.getpid(), 9)
    if run.replica == 3: os._exit(7)"""
    status, out, err = finish(run_script(tmp_path, textwrap.indent(textwrap.dedent(body), "    ").strip(), 5))
    assert (status, out) == (0, "finished 1\n")
    lines = [line for line in err.splitlines() if line.startswith("base, replica") or "UserWarning" in line]
    for replica, reason in enumerate(
        [
            "ValueError: no data",
            r"the training ended its process with sys.exit\('cannot go on'\)",
            r"its process was killed \(signal 9; if memory was short, use fewer --jobs\)",
            "its process ended with status 7 before it returned predictions",
        ]
    ):
        assert any(re.match(rf"base, replica {replica}: {reason} \(log: ", line) for line in lines), (replica, err)
    assert 'script.py", line' in err
    assert 'raise ValueError("no data")' in err


def test_a_training_that_hangs_is_ended(tmp_path):
    """The only replica, so that it does not matter how long a process needs to start here."""

    def hangs(run):
        time.sleep(600)

    with pytest.raises(TrainingFailed, match=r"replica 0: took longer than 1 s and was ended \(--timeout\)"):
        replicate(hangs, replicas=1, labels=LABELS, store=tmp_path / "runs", timeout=1)


def running(token):
    """Processes that have a text in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and token.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_and_their_children_end_with_the_parent(tmp_path, monkeypatch, end):
    token = f"replication-{os.getpid()}-{end}"
    monkeypatch.setenv("TOKEN", token)
    process = run_script(tmp_path, 'import subprocess; subprocess.Popen(["sleep", "300"]); time.sleep(300)')
    deadline = time.monotonic() + 60
    while len(running(token)) < 5 and time.monotonic() < deadline:  # the parent, two workers, and a child of each
        time.sleep(0.1)
    assert len(running(token)) == 5
    process.send_signal(end)
    process.communicate(timeout=30)
    deadline = time.monotonic() + 15
    while running(token) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(token) == []


@heavy
def test_kills_end_in_the_same_predictions(tmp_path):
    """Twice here; `make kills` kills a function and a command a hundred times."""
    for after in (0.7, 1.2):
        process = run_script(tmp_path, "time.sleep(0.2)", replicas=4)
        time.sleep(after)
        process.kill()
        process.communicate(timeout=30)
    status, out, _ = finish(run_script(tmp_path, "time.sleep(0.2)", replicas=4))
    assert (status, out) == (0, "finished 4\n")
    whole = replicate(as_in_the_script, replicas=4, labels=LABELS, store=tmp_path / "whole", executor="in-process")
    assert predictions(tmp_path) == {path.name: path.read_bytes() for path in whole.paths["base"]}
    assert not list((tmp_path / "runs").glob("*/**/.*"))


def as_in_the_script(run):
    p = run.stream("init").random(40)
    return np.stack([1 - p, p], axis=1)
