"""What is written can be read, in the order of the ids; what cannot be written leaves nothing behind."""

import os
import subprocess
import sys

import numpy as np
import pytest

from traintwice.errors import BadInput
from traintwice.predictions import open_predictions, write_predictions

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
        ({"ids": np.array([1, "a", None], dtype=object)}, "mixes Python objects"),
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
