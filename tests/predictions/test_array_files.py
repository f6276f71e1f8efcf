"""Arrays in files come back block by block as they were saved, and take no more memory when there are more of them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from heavy import heavy
from traintwice.errors import BadInput
from traintwice.predictions import _array_files as array_files
from traintwice.predictions import open_predictions
from traintwice.predictions._array_files import open_arrays

ROWS = 5000


@pytest.fixture
def models():
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(3), (2, ROWS)), np.array([f"row {n}" for n in range(ROWS)])


def save(path, ending, ids, probs):
    whole = {"id": ids, "p": probs, "classes": np.array(["a", "b", "c"])}
    if ending == "npz":
        np.savez(path, **whole)
    elif ending == "compressed":
        np.savez_compressed(path, **whole)
    else:
        np.savez(path, **whole | {"p": np.asfortranarray(probs)})
    return path


@pytest.mark.parametrize("ending", ["npz", "compressed", "by column"])
def test_blocks_make_up_the_whole(ending, models, tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "BLOCK_BYTES", 1)  # blocks of 2048 rows, each with texts of its own
    probs, ids = models
    paths = [save(tmp_path / f"{m}.npz", ending, ids, p) for m, p in enumerate(probs)]
    with open_predictions(paths) as both:
        back = both.read()
    assert back.class_names == ("a", "b", "c")
    assert back.ids.tolist() == ids.tolist()
    np.testing.assert_array_equal(back.probs, probs)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8"])
def test_npy_in_any_order_of_bytes_and_axes(dtype, models, tmp_path):
    probs = models[0].astype(dtype)
    for m, p in enumerate(probs):
        np.save(tmp_path / f"{m}.npy", np.asfortranarray(p) if m else p)
    with open_predictions([tmp_path / "0.npy", tmp_path / "1.npy"], by_position=True) as both:
        np.testing.assert_array_equal(both.read().probs, probs.astype(np.float64))


def test_safetensors_in_blocks_and_in_bfloat16(tmp_path, monkeypatch):
    monkeypatch.setattr(array_files, "BLOCK_BYTES", 1)
    rng = np.random.default_rng(1)
    score = rng.integers(0, 129, ROWS) / 128  # exact in bfloat16
    save_file({"id": np.arange(ROWS), "p": score}, tmp_path / "a.safetensors")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    save_torch({"id": torch.arange(ROWS), "p": torch.from_numpy(score).bfloat16()}, tmp_path / "b.safetensors")
    with open_predictions([tmp_path / "a.safetensors", tmp_path / "b.safetensors"]) as both:
        back = both.read()
    np.testing.assert_array_equal(back.probs[0, :, 1], score)
    np.testing.assert_array_equal(back.probs[1], back.probs[0])


def test_a_file_cut_short_while_it_is_read(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((100, 2)))
    (array,) = open_arrays(path, tmp_path, "a file").values()
    path.write_bytes(path.read_bytes()[:500])
    assert array.rows(0, 10).shape == (10, 2)
    with pytest.raises(BadInput, match="was cut short while it was read"):
        array.rows(0, 100)


def test_an_archive_that_holds_something_else(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(BadInput, match=r"'notes\.txt' in it is not an array"):
        open_predictions(tmp_path / "a.npz")


PEAK = """
import sys, duckdb, numpy, traintwice
from traintwice.predictions import open_predictions
with open_predictions(sys.argv[1:], memory="64MB", by_position=True) as one:
    assert one.sums({"first": "v0 = 0"})["first"] == one.summary.rows
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@heavy
def test_memory_does_not_grow_with_rows(tmp_path):
    """384 MB of float64, of which the system stores the zeros in none."""
    rows = 12_000_000
    path = tmp_path / "a.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype="f8", shape=(rows, 4), fortran_order=True)[:, 0] = 1.0
    small = tmp_path / "b.npy"
    np.save(small, np.eye(4)[np.zeros(1000, int)])
    peaks = [
        int(subprocess.run([sys.executable, "-c", PEAK, str(f)], capture_output=True, text=True, check=True).stdout)
        for f in (small, path)
    ]
    assert peaks[1] - peaks[0] < 250, peaks


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")
def test_no_room_to_unpack_into(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", id=np.arange(100_000), p=np.full(100_000, 0.5))
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setattr("tempfile.tempdir", str(small))
    try:
        with pytest.raises(BadInput, match=r"cannot be read \(No space left on device\); npz files are unpacked"):
            open_predictions(tmp_path / "a.npz")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
