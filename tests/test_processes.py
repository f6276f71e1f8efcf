"""Workers that are started first of all: used, or ended."""

import subprocess
import sys

import pytest

from traintwice import _processes as processes
from traintwice._processes import KEEPS_MEMORY, cores, started_early, worker_environment


def test_a_worker_has_one_thread_and_keeps_its_memory(monkeypatch):
    for name in KEEPS_MEMORY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    found = worker_environment()
    assert found["OMP_NUM_THREADS"] == "1"
    assert found.items() >= KEEPS_MEMORY.items()


def test_what_the_user_says_of_memory_stands(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert worker_environment()["MALLOC_TRIM_THRESHOLD_"] == "131072"


@pytest.mark.usefixtures("worker_processes")
def test_those_that_are_not_used_are_ended():
    with started_early(1) as started:
        (waiting,) = started
        assert waiting.process.poll() is None
    assert waiting.process.returncode is not None
    assert waiting.errors.closed


@pytest.mark.usefixtures("worker_processes")
def test_they_are_ended_when_something_fails():
    kept = []

    def fail():
        with started_early(None) as started:
            kept.extend(started)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(kept) == max(cores() - 1, 1)
    assert all(s.process.returncode is not None for s in kept)


def test_starting_them_loads_nothing_heavy():
    code = "import sys, traintwice._processes; print(*{'torch', 'numpy', 'scipy', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container(tmp_path, files, quota, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processes._quota(tmp_path) == quota
    monkeypatch.setattr(processes, "_quota", lambda root: 0.3)
    assert cores() == 1
