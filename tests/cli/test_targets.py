"""Targets that stop root too: a full disk, a read-only one, a limit on file size. One error, and nothing half-written."""

import os
import subprocess
import sys

import pytest

OUTPUTS = {
    "--report": ("diff", "diff.html"),
    "--rows": ("diff", "rows.parquet"),
    "--junit": ("gate", "gate.xml"),
    "gate --report": ("gate", "gate.html"),
}


def command(output, folder):
    verb, name = OUTPUTS[output]
    budget = ["--max", "churn=1"] if verb == "gate" else []
    return [verb, "old.csv", "new.csv", *budget, output.removeprefix("gate "), str(folder / name)]


@pytest.fixture
def disk(tmp_path):
    """Mounts small file systems in memory, which only root may."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")


@needs_root
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_disk(output, files, traintwice, disk):
    folder = disk("4k")  # a page for the folder itself
    (folder / "filler").write_bytes(b"x" * 4096)
    status, out, err = traintwice(*command(output, folder))
    assert status == 2, err
    assert "written" in err
    assert out == ""
    assert [p.name for p in folder.iterdir()] == ["filler"]


@needs_root
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_disk_keeps_the_old_file(output, files, traintwice, disk):
    folder = disk("8k")
    old = folder / OUTPUTS[output][1]
    old.write_text("old")
    (folder / "filler").write_bytes(b"x" * 4096)
    status, _, err = traintwice(*command(output, folder))
    assert status == 2, err
    assert sorted(p.name for p in folder.iterdir()) == sorted(["filler", old.name])
    assert old.read_text() == "old"


@needs_root
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_read_only_disk(output, files, traintwice, disk):
    folder = disk("64k")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    status, out, err = traintwice(*command(output, folder))
    assert status == 2, err
    assert "Read-only file system" in err
    assert out == ""


LIMITED = """
import resource, signal, sys
from traintwice.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
sys.argv = ["traintwice", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("output", ["--rows", "--junit"])
def test_a_limit_on_file_size(output, files):
    before = sorted(p.name for p in files.iterdir())
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, *command(output, files)], capture_output=True, text=True, cwd=files, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "written" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert sorted(p.name for p in files.iterdir()) == before
