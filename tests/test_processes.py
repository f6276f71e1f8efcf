"""Workers that are started first of all: used, or ended."""

import subprocess
import sys

import pytest

from traintwice.processes import KEEPS_MEMORY, cores, started_early, worker_environment


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
    code = "import sys, traintwice.processes; print(*{'torch', 'numpy', 'scipy', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
