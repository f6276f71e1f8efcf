"""A store: what is written comes back, damage is seen, and locks hold on file systems with locks and without."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from filelock import Timeout

from traintwice.errors import StoreError
from traintwice.specs import digest
from traintwice.study import Damage, Store
from traintwice.study._replicas import held_lock

IDENTITY = {"recipe": {"epochs": 1}}
KEY = digest(IDENTITY)
ARRAYS = {"test": np.arange(6, dtype=np.float32).reshape(1, 3, 2)}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs")
    store.prepare(KEY, IDENTITY)
    store.save(KEY, 4, ARRAYS, {"seed": 0}, weights={"0.weight": np.ones(2, np.float32)})
    return store


def test_what_was_saved_comes_back(store):
    np.testing.assert_array_equal(store.load(KEY, 4)["test"], ARRAYS["test"])
    assert store.load_weights(KEY, 4)["0.weight"].tolist() == [1, 1]
    record = store.record(KEY, 4)
    assert (record["key"], record["replica"], record["seed"]) == (KEY, 4, 0)
    names = ["0004.json", "0004.safetensors", "0004.weights.safetensors", "recipe.json"]
    assert sorted(path.name for path in store.folder(KEY).iterdir()) == names
    assert store.record(KEY, 3) is None
    assert store.replicas(KEY) == [4]
    assert store.digests() == [KEY]
    assert Store(store.path).identity(KEY) == {"schema": 1, **IDENTITY}


def test_record_and_arrays_in_one_reading(store):
    record, arrays = store.open(KEY, 4)
    assert record == store.record(KEY, 4)
    np.testing.assert_array_equal(arrays["test"], ARRAYS["test"])
    store.save(KEY, 5, {}, {"diverged": "at step 3 ..."})
    assert store.open(KEY, 5)[1] == {}
    assert store.open(KEY, 3) is None
    path = store.folder(KEY) / "0004.safetensors"
    path.write_bytes(flip_bit(path.read_bytes()))
    assert isinstance(store.open(KEY, 4), Damage)


def flip_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["0004.safetensors", "0004.weights.safetensors", "0004.json"])
@pytest.mark.parametrize("damage", [flip_bit, lambda content: content[:-3], lambda content: b"", lambda content: b"[]"])
def test_damage_is_seen(store, name, damage):
    path = store.folder(KEY) / name
    path.write_bytes(damage(path.read_bytes()))
    found = store.record(KEY, 4)
    assert isinstance(found, Damage)
    assert (found.key, found.replica) == (KEY, 4)
    assert name in found.reason
    with pytest.raises(StoreError, match="replica 4 is damaged"):
        store.load(KEY, 4)


def test_every_single_flipped_bit_of_a_record_is_seen(store):
    path = store.folder(KEY) / "0004.json"
    good = path.read_bytes()
    meaning = store.record(KEY, 4)
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert isinstance(store.record(KEY, 4), Damage) or store.record(KEY, 4) == meaning  # white space may change


def test_missing_logits_are_damage(store):
    (store.folder(KEY) / "0004.safetensors").unlink()
    assert "is missing" in store.record(KEY, 4).reason


def test_logits_without_a_record_do_not_exist(store):
    (store.folder(KEY) / "0004.json").unlink()
    assert store.record(KEY, 4) is None
    with pytest.raises(StoreError, match="replica 4 is missing"):
        store.load(KEY, 4)


def test_another_recipe_under_the_same_digest(store):
    (store.folder(KEY) / "recipe.json").write_text(json.dumps({"recipe": {"epochs": 2}}))
    with pytest.raises(StoreError, match="belongs to another recipe"):
        store.prepare(KEY, IDENTITY)


def test_a_directory_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="not a store of traintwice"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="is a file, expected a directory"):
        Store(tmp_path / "thesis.tex")


def test_a_place_that_cannot_be_written():
    with pytest.raises(StoreError, match=r"/proc/runs: cannot be written \(.*\); choose another --store"):
        Store("/proc/runs")


@pytest.mark.parametrize("left", [["studies"], ["studies", "replicas", "locks"], [".tmp-1"]])
def test_a_store_whose_making_was_interrupted_is_made(tmp_path, left):
    for name in left:
        (tmp_path / name).mkdir()
    assert Store(tmp_path).digests() == []


def test_a_damaged_note_of_a_recipe_is_written_again(store):
    (store.folder(KEY) / "recipe.json").write_bytes(b"\xff")
    store.prepare(KEY, IDENTITY)
    assert store.identity(KEY) == {"schema": 1, **IDENTITY}


def test_a_damaged_note_of_a_study(store):
    store.save_study("a", {"rows": {}, "replicas": 3, "recipe": {}})
    assert store.study("a")["replicas"] == 3
    (store.path / "studies/a.json").write_text('{"rows": {}}')
    with pytest.raises(StoreError, match="does not describe a study; delete it and run the study again"):
        store.study("a")


def test_a_directory_in_the_place_of_a_record(store):
    (store.folder(KEY) / "0004.json").unlink()
    (store.folder(KEY) / "0004.json").mkdir()
    assert isinstance(store.record(KEY, 4), Damage)


def test_every_file_says_its_schema(store):
    assert all(json.loads(p.read_text())["schema"] == 1 for p in store.path.rglob("*.json"))


def test_no_store(tmp_path):
    with pytest.raises(StoreError, match="no store here"):
        Store(tmp_path / "none", create=False)


def test_notes_are_objects(store):
    store.save_note("chains", "daily", {"a": 1})
    assert store.note("chains", "daily") == {"schema": 1, "a": 1}
    assert store.notes("chains") == ["daily"]
    (store.path / "chains" / "daily.json").write_text("[1]")
    with pytest.raises(StoreError, match="got list, expected a JSON object"):
        store.note("chains", "daily")


def test_a_store_of_another_layout(store):
    (store.path / "store.json").write_text('{"layout": 99}')
    with pytest.raises(StoreError, match="has layout 99, this version reads 1"):
        Store(store.path)


def test_a_full_disk_leaves_nothing_half_written(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = sorted(store.path.rglob("*"))
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device\); finished replicas are kept"):
        store.save(KEY, 5, ARRAYS, {"seed": 0})
    assert sorted(store.path.rglob("*")) == before


def test_a_lock_has_one_holder(store):
    with store.lock(KEY, 0), pytest.raises(Timeout), Store(store.path).lock(KEY, 0):
        pass
    with store.lock(KEY, 0):
        pass


def test_what_interrupted_writes_left_is_found_wherever_notes_are(store):
    left = [store.path / kind / f".tmp-{0:032x}" for kind in ("studies", "chains", "searches")]
    for path in left:
        path.touch()
        os.utime(path, (0, 0))
    (store.path / "chains" / f".tmp-{1:032x}").touch()  # perhaps still being written
    assert list(store.leftovers()) == left


def test_removing(store):
    size = sum(path.stat().st_size for path in store.folder(KEY).glob("0004.*"))
    assert store.remove_replica(KEY, 4) == size
    assert store.record(KEY, 4) is None
    assert store.remove_replica(KEY, 4) == 0
    store.remove(KEY)
    assert store.digests() == []


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
        "import fcntl, errno, os, sys, signal; from pathlib import Path; import traintwice.study._replicas as locks\n"
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
