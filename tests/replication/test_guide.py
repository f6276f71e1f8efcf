"""Every example of docs/guides/replicate.md runs as it is written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "replicate.md"


def blocks_of(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with the files of the page and a `traintwice` command."""
    made = tmp_path_factory.mktemp("guide")
    for block in blocks_of("python"):
        if name := re.match(r"# (\w+\.py)\n", block):
            (made / name[1]).write_text(block)
    (toml,) = blocks_of("toml")
    (made / "study.toml").write_text(toml)
    tools = made / "tools"
    tools.mkdir()
    for name, arguments in {"traintwice": "-m traintwice", "python": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        (tools / name).chmod(0o755)
    return made


def ran(folder, *command, **environment):
    path = os.pathsep.join([str(folder / "tools"), os.environ["PATH"]])
    places = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, "PYTHONPATH": places, "COLUMNS": "100", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


PYTHON = [block for block in blocks_of("python") if "traintwice.replicate(" in block]


@pytest.mark.parametrize("block", PYTHON)
def test_scripts(folder, block):
    (folder / "example.py").write_text(block)
    assert re.search(r"base|all", ran(folder, sys.executable, "example.py"))


LINES = [line for block in blocks_of("sh") for line in block.splitlines() if line.startswith("traintwice")]


def test_commands_in_their_order(folder):
    for line in [line for line in LINES if "SLURM" not in line]:
        assert len(ran(folder, "sh", "-c", line)) > 50
    words = ["run", "study.toml", "--store", "commands-of-file", "--no-report", "--replicas", "1"]
    assert "2 of 2 replicas" in ran(folder, "traintwice", *words)


def test_the_array_job(folder):
    (job,) = [block for block in blocks_of("sh") if "SLURM" in block]
    (folder / "job.sh").write_text(job)
    for index in (0, 5):
        ran(folder, "sh", "job.sh", SLURM_ARRAY_TASK_ID=str(index))
    found = sorted(str(path.relative_to(folder / "shared" / "predictions")) for path in (folder / "shared").rglob("*.parquet"))
    assert found == ["base/0000.parquet", "calm/0002.parquet"]


def test_what_the_page_covers():
    assert len(PYTHON) == 4
    assert {line.split()[1] for line in LINES} == {"replicate", "measure", "check"}
