import numpy as np
from sklearn.datasets import load_digits

from traintwice.data import Digits


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
