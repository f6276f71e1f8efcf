"""docs/guides/data.md names every data set, and every setting in it is one."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from heavy import heavy
from traintwice.data import ALL, FETCHED, Source
from traintwice.engine import Execution
from traintwice.specs import decode
from traintwice.study import Experiment, run

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "guides" / "data.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_table_is_a_data_set(block):
    assert type(decode(Source, tomllib.loads(block)["data"])) in ALL


def test_every_data_set_has_a_table_and_is_described():
    shown = {tomllib.loads(block)["data"]["type"] for block in BLOCKS}
    assert shown == {cls.__name__ for cls in ALL}
    download = PAGE.partition("## To download")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", download, flags=re.MULTILINE)) == set(FETCHED)


@heavy
@pytest.mark.usefixtures("worker_processes")
def test_the_loader_with_workers_of_its_own_trains(tmp_path, monkeypatch):
    """As written, in a worker process that reads its tasks while the DataLoader forks."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "mypackage/loaders.py" in block]
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "loaders.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    (data,) = [tomllib.loads(block) for block in BLOCKS if "mypackage.loaders" in block]
    study = Experiment.from_dict({**data, "name": "mine", "replicas": 2, "recipe": {"epochs": 1, "batch_size": 50}})
    results = run(study, store=tmp_path / "runs", execution=Execution(jobs=1))
    assert results["baseline"].test.probs.shape == (2, 597, 10)
