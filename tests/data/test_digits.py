import numpy as np
import pytest
from sklearn.datasets import load_digits

from traintwice.data import ALL, Criteo, Digits
from traintwice.errors import BadInput


@pytest.mark.parametrize("source", [source for source in ALL if source is not Criteo])  # which needs a file
def test_every_data_set_loads_the_same_arrays_twice(source):
    first, second = source().load(), source().load()
    assert first.digest == second.digest
    assert first.train.inputs.dtype == np.float32
    assert first.train.labels.dtype == np.int64
    assert set(np.unique(first.test.labels)) <= set(range(first.classes))


def test_splits_are_disjoint_and_whole():
    d = Digits().load()
    rows = np.concatenate([split.inputs for split in d.splits.values()]) * 16
    labels = np.concatenate([split.labels for split in d.splits.values()])
    ours = sorted(map(tuple, np.column_stack([rows, labels]).astype(int).tolist()))
    theirs = load_digits()
    assert ours == sorted(map(tuple, np.column_stack([theirs.data, theirs.target]).astype(int).tolist()))


def test_digest_is_of_the_content():
    assert Digits().load().digest == "0390e5082edb51cbb6c1046240b15adc"
    assert Digits(split_seed=1).load().digest != Digits().load().digest


@pytest.mark.parametrize("sizes", [{"train": 1000}, {"test": 0}])
def test_impossible_splits(sizes):
    with pytest.raises(BadInput, match=r"expected three positive numbers of sum at most 1797"):
        Digits(**sizes).load()
