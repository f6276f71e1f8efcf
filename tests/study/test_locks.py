"""Locks on file systems with locks and without."""

import errno
import os
import subprocess
import sys

import pytest
from filelock import Timeout

from traintwice.errors import StoreError
from traintwice.study._locks import held_lock


@pytest.mark.parametrize("answer", [None, errno.ENOLCK, errno.EOPNOTSUPP])
def test_one_holder_at_a_time(tmp_path, monkeypatch, answer):
    if answer is not None:
        import fcntl

        def without(*_):
            raise OSError(answer, os.strerror(answer))

        monkeypatch.setattr(fcntl, "flock", without)
    path = tmp_path / "a.lock"
    with held_lock(path):
        with pytest.raises(Timeout), held_lock(path):
            pass
        with held_lock(tmp_path / "b.lock"):
            pass
    with held_lock(path):
        pass


def test_a_dead_holder_holds_nothing(tmp_path, monkeypatch):
    """On a file system without locks the file of a killed process is left, and ignored."""
    import fcntl

    source = (
        "import fcntl, errno, os, sys, signal; from pathlib import Path; import traintwice.study._locks as locks\n"
        "def without(*_): raise OSError(errno.ENOLCK, 'no locks')\n"
        "fcntl.flock = without\n"
        "held = locks.held_lock(Path(sys.argv[1])); held.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.lock"
    assert subprocess.run([sys.executable, "-c", source, path], check=False).returncode == -9
    assert path.with_suffix(".held").exists()

    def without(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", without)
    with held_lock(path):
        pass


def test_a_lock_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match=r"cannot be locked .* choose another --store"), held_lock(file / "a.lock"):
        pass
