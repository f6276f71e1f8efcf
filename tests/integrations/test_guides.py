"""The Python of the guides runs as it stands, where the packages that it needs are installed."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "guides"
GUIDES = [FOLDER / f"{name}.md" for name in ("lightning", "pytorch", "scikit-learn", "trackers", "transformers")]
BLOCKS = [
    pytest.param(block, id=f"{path.stem}-{i}")
    for path in GUIDES
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
