"""Arrays in files come back block by block as they were saved, in bounded memory; what is written can be read, or leaves nothing behind."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

import traintwice
from heavy import heavy
from traintwice.errors import BadInput
from traintwice.predictions import _array_files as array_files
from traintwice.predictions import open_predictions, open_rows, write_predictions
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
from traintwice.predictions import open_predictions, open_rows, write_predictions
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


PROBS = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_round_trip(tmp_path, dtype):
    probs = PROBS.astype(dtype)
    path = write_predictions(
        tmp_path / "it's [1].parquet",
        probs,
        ids=np.array([8, 5, 6]),
        labels=np.array([0, 1, 1]),
        weights=np.array([1.0, 2.0, 3.0]),
    )
    with open_predictions(path, weight="w") as one:
        back = one.read()
    assert back.ids.tolist() == [5, 6, 8]
    np.testing.assert_array_equal(back.probs[0], probs[[1, 2, 0]].astype(np.float64))
    assert (back.labels.tolist(), back.weights.tolist()) == ([1, 1, 0], [2.0, 3.0, 1.0])


def test_names_of_classes_and_text_ids(tmp_path):
    path = write_predictions(
        tmp_path / "a.parquet", PROBS, ids=np.array(["b", "a", "c"]), labels=np.array([0, 1, 1]), class_names=["cat", "dog"]
    )
    with open_predictions(path) as one:
        back = one.read()
    assert (back.class_names, back.ids.tolist(), back.labels.tolist()) == (("cat", "dog"), ["a", "b", "c"], [1, 0, 1])


def test_predicted_labels(tmp_path):
    path = write_predictions(tmp_path / "a.parquet", np.array([2, 0, 1]), ids=np.arange(3))
    with open_predictions(path) as one:
        assert one.read().votes.tolist() == [[2, 0, 1]]


def test_without_ids_only_by_position(tmp_path):
    path = write_predictions(tmp_path / "a.parquet", PROBS)
    with pytest.raises(BadInput, match="pass --id, or --by-position"):
        open_predictions(path)
    with open_predictions(path, by_position=True) as one:
        assert one.read().ids is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a.csv", r"a\.csv: predictions are written as Parquet"),
        ("none/a.parquet", r"cannot be written here \(No such file or directory\)"),
        ("/proc/a.parquet", r"/proc/a\.parquet: cannot be written here"),
        ("/dev/full/a.parquet", r"cannot be written here \(Not a directory\)"),
        ("full.parquet", r"full\.parquet is not a regular file"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path, path, message):
    (tmp_path / "full.parquet").symlink_to("/dev/full")
    with pytest.raises(BadInput, match=message):
        write_predictions(tmp_path / path, PROBS)
    assert [p.name for p in tmp_path.iterdir()] == ["full.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": np.array([1, 1, 2])}, "1 ids are on more than one row"),
        ({"ids": np.array([1, 2])}, "ids: got 2 entries, expected 3"),
        (
            {"ids": np.array([1.0, 2.0, 3.0])},
            "ids: got dtype float64, which does not identify rows exactly; expected integers or text",
        ),
        ({"ids": np.array([1, 2, None], dtype=object)}, "ids: got dtype float64"),
        ({"ids": np.array([1, "a", None], dtype=object)}, "holds Python objects of several types"),
        ({"class_names": ["a"]}, "class_names: got 1, expected 2"),
        ({"class_names": ["a", "A"]}, "class_names: got a, A; each needs a name .* differs from the others in more than case"),
        ({"class_names": ["10", "20"]}, "class_names: got 10, 20; each needs a name that is not a number"),
        ({"labels": np.array([0, 1, 2])}, "labels: 1 are outside 0 to 1"),
    ],
)
def test_arrays_that_are_no_predictions(tmp_path, options, message):
    with pytest.raises(BadInput, match=message):
        write_predictions(tmp_path / "a.parquet", PROBS, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_files", [False, True])
def test_one_column_is_a_score(tmp_path, as_files):
    z = np.array([[[-1.0], [2.0], [0.5], [-3.0]], [[1.0], [2.0], [-0.5], [-3.0]]])

    def given(arrays, name):
        if not as_files:
            return list(arrays)
        for n, array in enumerate(arrays):
            np.savez(tmp_path / f"{n}.npz", id=np.arange(4), **{name: array})
        return [tmp_path / "0.npz", tmp_path / "1.npz"]

    for arrays, name, options in ((z, "logits", {"logits": True}), (1 / (1 + np.exp(-z)), "p", {})):
        found = traintwice.diff(*given(arrays, name), **options)
        assert found["churn"].value == 0.5
    with pytest.raises(BadInput, match="has one column, and every probability is 1, as the softmax of a single logit is"):
        traintwice.diff(*given(np.ones_like(z), "p"))


def test_masked_entries_and_lists_of_different_lengths():
    masked = np.ma.masked_array([0.9, 0.2, 0.8], mask=[False, True, False])
    with open_predictions({"id": np.arange(3), "p": masked}, on_missing="drop") as opened:
        assert opened.read().votes.tolist() == [[1, 1]]
    for column, message in (
        (masked, r"1 of 3 rows have a probability that is missing \(first: row 1"),
        (
            np.ma.masked_array([1, 0, 1], mask=masked.mask),
            r"table 1: array 'p': got a masked array of int64, 1 of 3 entries are masked",
        ),
        ([[0.9, 0.1], [1.0], [0.2, 0.8]], r"table 1: array 'p': .* different lengths"),
    ):
        with pytest.raises(BadInput, match=message), open_predictions({"id": np.arange(3), "p": column}) as opened:
            opened.read()
    one_hot = {"id": np.arange(3), "pred": np.arange(3), "y": np.eye(3)}
    with (
        pytest.raises(BadInput, match=r"array 'y' has shape \(3, 3\), expected one label for each example: y.argmax\(axis=1\)"),
        open_predictions(one_hot),
    ):
        pass
    with pytest.raises(BadInput, match="table 1 holds no rows; expected arrays"), open_predictions({"r1": 0.5, "r2": 0.25}):
        pass


def test_predicted_labels_without_a_name(tmp_path):
    for votes, labels in ((np.array([0, 2]), None), (np.array([0, 1]), np.array([0, 2]))):
        with pytest.raises(BadInput, match="class_names: got 2 names, and classes up to 2, counted from 0"):
            write_predictions(tmp_path / "a.parquet", votes, labels=labels, class_names=["a", "b"])


def test_a_limit_on_file_size_leaves_the_old_file(tmp_path):
    """Stands for a full disk, and stops root too."""
    path = write_predictions(tmp_path / "a.parquet", PROBS, ids=np.arange(3))
    before = path.read_bytes()
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from traintwice.predictions import write_predictions\n"
        "from traintwice.errors import BadInput\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "p = np.random.default_rng(0).random(100_000)\n"
        "try:\n"
        "    write_predictions(sys.argv[1], np.stack([p, 1 - p], axis=1), ids=np.arange(100_000))\n"
        "except BadInput as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, env=os.environ, check=False)
    assert "could not be written" in ran.stdout, ran.stderr
    assert "nothing was left behind" in ran.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    assert path.read_bytes() == before


def test_numbers_of_a_regression(tmp_path):
    values, targets = np.array([1.5, -2.0, 3.0]), np.array([1.0, np.nan, 2.0])
    path = write_predictions(tmp_path / "a.parquet", values, ids=np.array([3, 1, 2]), labels=targets)
    with open_predictions(path, regression=True) as one:
        back = one.read()
    np.testing.assert_array_equal(back.scores[0], [-2.0, 3.0, 1.5])
    np.testing.assert_array_equal(back.targets, [np.nan, 2.0, 1.0])


@pytest.mark.parametrize("library", ["torch", "ml_dtypes"])
def test_bfloat16_in_memory(library):
    kind = pytest.importorskip(library).bfloat16
    probs = np.random.default_rng(0).dirichlet(np.ones(3), (2, 9))
    if library == "torch":
        import torch

        given, exact = [torch.tensor(one).to(kind) for one in probs], torch.tensor(probs).to(kind).float().numpy()
    else:
        given, exact = list(probs.astype(kind)), probs.astype(kind).astype(np.float32)
    with open_rows(given) as rows:
        np.testing.assert_array_equal(rows.read().probs, exact)
