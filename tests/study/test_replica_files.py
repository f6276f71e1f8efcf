import json

import numpy as np
import pytest

from traintwice.errors import StoreError
from traintwice.study._replica_files import Damage, ReplicaFiles, as_json, read_json

ARRAYS = {"test": np.arange(6, dtype=np.float32).reshape(1, 3, 2)}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "key").mkdir()
    return ReplicaFiles(tmp_path / "key", 4)


def test_what_was_written_is_read(files):
    assert files.read() is None
    files.write(ARRAYS, {"seed": 3}, {"0.weight": np.ones(2, np.float32)})
    record, contents = files.read()
    assert (record["key"], record["replica"], record["seed"]) == ("key", 4, 3)
    assert set(contents) == {"logits", "weights"}
    assert sorted(path.name for path in files.folder.iterdir()) == ["0004.json", "0004.safetensors", "0004.weights.safetensors"]


@pytest.mark.parametrize("suffix", ["json", "safetensors", "weights.safetensors"])
def test_each_changed_file_is_damage(files, suffix):
    files.write(ARRAYS, {"seed": 3}, {"0.weight": np.ones(2, np.float32)})
    content = files.path(suffix).read_bytes()
    files.path(suffix).write_bytes(content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    found = files.read()
    assert isinstance(found, Damage)
    assert (found.key, found.replica) == ("key", 4)
    assert f"0004.{suffix}" in found.reason


def test_a_removed_replica_does_not_exist(files):
    files.write(ARRAYS, {}, None)
    size = sum(path.stat().st_size for path in files.folder.iterdir())
    assert files.remove() == size
    assert files.read() is None
    assert files.remove() == 0


def test_json_files_have_a_schema_and_are_objects(tmp_path):
    path = tmp_path / "note.json"
    path.write_bytes(as_json({"a": 1}))
    assert read_json(path) == {"schema": 1, "a": 1}
    path.write_text(json.dumps([1]))
    with pytest.raises(StoreError, match="got list, expected a JSON object"):
        read_json(path)
