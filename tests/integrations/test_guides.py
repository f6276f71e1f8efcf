"""The Python of the guides runs as it stands, where the packages that it needs are installed."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

GUIDES = sorted((Path(__file__).resolve().parents[2] / "docs" / "guides").glob("*.md"))
# tests/logs/test_guide.py, and tests/replication/test_guide.py for what is written in files of its own
ELSEWHERE = ("evaluation-logs", "replicate", "slurm", "ray", "torchrun", "jax")
BLOCKS = [
    pytest.param(block, id=f"{path.stem}-{i}")
    for path in GUIDES
    if path.stem not in ELSEWHERE
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL))
]


@pytest.mark.filterwarnings("default")  # trainers warn of their own parts
@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run(block, tmp_path, monkeypatch):
    for package in re.findall(r"^(?:from|import) (\w+)|find_spec\(\"(\w+)\"\)", block, flags=re.MULTILINE):
        if find_spec("".join(package)) is None:
            pytest.skip(f"{''.join(package)} is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {"__name__": "__main__"})  # noqa: S102


def test_no_link_is_dead():
    for path in GUIDES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert "://" in target or (path.parent / target).exists(), f"{path.name} links to {target}"
