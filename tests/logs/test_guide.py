"""Every command and example of docs/start/evaluation-logs.md and docs/guides/quantised.md runs as it is written."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from command_line import _command_built_once, traintwice  # noqa: F401  (fixtures)
from log_files import llama_cpp, lm_eval

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "start" / "evaluation-logs.md").read_text()
BOTH = PAGE + (DOCS / "guides" / "quantised.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", BOTH, flags=re.DOTALL) for line in block.splitlines()]
COMMANDS = list(dict.fromkeys(COMMANDS)) + re.findall(r"`(traintwice measure [^`]*)`", PAGE)


@pytest.fixture
def logs(tmp_path):
    """The runs that the page names."""
    for name, wrong in (("base_run", (1, 2)), ("quantised_run", (1, 2, 3))):
        lm_eval(tmp_path / name, wrong=wrong, filters=("none",))
    for k in range(1, 5):
        lm_eval(tmp_path / f"base_rerun_{k}", wrong=(1, k), filters=("none",))
    rng = np.random.default_rng(0)
    for name in ("old", "new", "rerun_1", "rerun_2", "rerun_3"):
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            for i in range(30):
                ok = bool(rng.random() < 0.7)
                row = {"doc": {"id": i}, "metrics": {"exact_match": ok}, "filtered_resps": [str(i + (not ok))], "target": str(i)}
                file.write(json.dumps({**row, "id": i, "ok": ok, "text": str(i + (not ok))}) + "\n")
    tokens, logits = rng.integers(0, 12, (3, 9)), rng.normal(size=(3, 4, 12))
    for name, noise in (("base", 0), ("quantised", 0.1)):
        llama_cpp(tmp_path / f"{name}.kld", logits + noise * rng.normal(size=logits.shape), tokens)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(logs, traintwice, monkeypatch, command):  # noqa: F811
    monkeypatch.chdir(logs)
    status, out, err = traintwice(*shlex.split(command)[1:])
    assert status in ((0, 1, 3) if " gate " in command else (0,)), err
    assert out


def test_the_example_runs(logs, monkeypatch):
    monkeypatch.chdir(logs)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(block, "example", "exec"), {})  # noqa: S102
