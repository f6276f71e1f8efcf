"""Every example of the guides of replication runs as it is written; those of Ray, JAX and torchrun in `make test-frameworks`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from heavy import heavy

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGES = ("replicate", "slurm", "ray", "torchrun", "jax")


def blocks_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (GUIDES / f"{page}.md").read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with the files of the pages and the commands `traintwice`, `python`, `ray` and `torchrun`."""
    made = tmp_path_factory.mktemp("guide")
    for block in (block for page in PAGES for block in blocks_of(page, "python")):
        if name := re.match(r"# (\w+\.py)\n", block):
            (made / name[1]).write_text(block)
    (toml,) = blocks_of("replicate", "toml")
    (made / "study.toml").write_text(toml)
    tools = made / "tools"
    tools.mkdir()
    modules = {
        "traintwice": "-m traintwice",
        "python": "",
        "ray": "-m ray.scripts.scripts",
        "torchrun": "-m torch.distributed.run",
    }
    for name, arguments in modules.items():
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


def scripts():
    for page in PAGES:
        for number, block in enumerate(block for block in blocks_of(page, "python") if "traintwice.replicate(" in block):
            marks = [heavy] if page == "jax" or 'executor="ray"' in block or number else []
            yield pytest.param(block, id=f"{page}-{number}", marks=marks)


SCRIPTS = list(scripts())


@pytest.mark.parametrize("block", SCRIPTS)
def test_scripts(folder, block):
    (folder / "example.py").write_text(block.replace("replicas=5", "replicas=3"))  # each is a process
    assert re.search(r"base|all", ran(folder, sys.executable, "example.py"))


def lines_of(page):
    return [line for block in blocks_of(page, "sh") for line in block.splitlines() if line.startswith("traintwice")]


@heavy
def test_commands_in_their_order(folder):
    for line in lines_of("replicate"):
        assert len(ran(folder, "sh", "-c", line)) > 50
    words = ["run", "study.toml", "--store", "commands-of-file", "--no-report", "--replicas", "1"]
    assert "2 of 2 replicas" in ran(folder, "traintwice", *words)


def test_the_array_job(folder):
    job, summary = blocks_of("slurm", "sh")
    (folder / "job.sh").write_text(job)
    (folder / "summary.sh").write_text(summary)
    for index in (0, 5, 5):
        ran(folder, "sh", "job.sh", SLURM_ARRAY_TASK_ID=str(index))
    found = sorted(str(path.relative_to(folder / "shared" / "predictions")) for path in (folder / "shared").rglob("*.parquet"))
    assert found == ["base/0000.parquet", "calm/0002.parquet"]
    assert "2 of 6 replicas" in ran(folder, "sh", "summary.sh")
    assert (folder / "page" / "index.html").exists()


@heavy
def test_torchrun_from_start_to_gate(folder):
    lines = lines_of("torchrun")
    for train, gate in zip(lines[::2], lines[1::2], strict=True):  # parameters on every process, and sharded
        assert "4 of 4 replicas" in ran(folder, "sh", "-c", train)
        assert "pass" in ran(folder, "sh", "-c", gate).lower()


@heavy
def test_ray_on_this_machine_and_on_a_cluster(folder):
    here, on_cluster = lines_of("ray")
    assert "3 of 3 replicas" in ran(folder, "sh", "-c", here)
    words = ["start", "--head", "--num-cpus", "1", "--include-dashboard", "false", "--disable-usage-stats", "--block"]
    with subprocess.Popen([folder / "tools" / "ray", *words], stdout=subprocess.PIPE, text=True) as head:
        try:
            assert any("Ray runtime started" in line for line in head.stdout)
            assert "3 of 3 replicas" in ran(folder, "sh", "-c", on_cluster.replace("on-ray", "on-cluster"))
        finally:
            head.terminate()


def test_what_the_pages_cover():
    assert [param.id for param in SCRIPTS] == [
        *(f"replicate-{n}" for n in range(3)), "ray-0", "ray-1", *(f"jax-{n}" for n in range(3))
    ]  # fmt: skip
    assert {line.split()[1] for page in PAGES for line in lines_of(page)} == {"replicate", "measure", "check", "report", "gate"}
