import threading

import numpy as np
import pytest
from data_formats import criteo_rows, criteo_text_of
from numpy.testing import assert_array_equal

from traintwice.data import Criteo
from traintwice.data._criteo import hashed
from traintwice.errors import BadInput


def test_rows_of_the_stream(tmp_path, small_blocks):
    rows = criteo_rows(60)
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_text_of(rows))
    data = Criteo(str(path), buckets=50).load()
    assert (len(data.train), data.shape, data.columns.sizes) == (60, (39,), (50,) * 26)
    whole = data.train.inputs.read(np.arange(60))
    expected = [0.0 if n is None else np.sign(n) * np.log1p(abs(n)) for n in rows[5][1]]
    np.testing.assert_allclose(whole[5, :13], expected, rtol=1e-6)
    codes = whole[:, 13:]
    assert_array_equal(codes == 0, [[c is None for c in categories] for _, _, categories in rows])
    assert codes.max() < 50
    for name, split in (("validation", data.validation), ("test", data.test)):
        assert_array_equal(split.inputs.read(np.arange(len(split))), whole[data.places[name]])
        assert_array_equal(split.labels, [rows[at][0] for at in data.places[name]])
    assert data.digest == Criteo(str(path), buckets=50).load().digest
    others = {Criteo(str(path), **changed).load().digest for changed in ({"buckets": 51}, {"buckets": 50, "rows": 59})}
    assert data.digest not in others


def test_hash_is_of_column_and_value_and_spreads():
    values = np.random.default_rng(0).integers(0, 2**32, 20_000)
    codes = hashed(np.stack([values, values], axis=1), 101)
    counts = np.bincount(codes[:, 0], minlength=101)
    assert counts[0] == 0
    assert counts[1:].min() > 140
    assert (codes[:, 0] == codes[:, 1]).mean() < 0.02
    assert_array_equal(hashed(values[:5, None], 101), hashed(values[:5, None], 101))


def test_threads_read_the_same(tmp_path, small_blocks):
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_text_of(criteo_rows(60)))
    inputs = Criteo(str(path)).load().train.inputs
    expected = inputs.read(np.arange(60))
    found = [None] * 4

    def read(number):
        for _ in range(20):
            found[number] = inputs.read(np.arange(60))

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        assert_array_equal(rows, expected)


GOOD = criteo_text_of(criteo_rows(3))


def test_settings_and_missing_files(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match=r"no file .*none\.txt\. Get the data of .*to this place"):
        Criteo(str(tmp_path / "none.txt")).load()
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path))
    with pytest.raises(BadInput, match=r"no file .*/Criteo/train\.txt\. "):
        Criteo().load()
    with pytest.raises(BadInput, match="expected 2 to 16,777,216"):
        Criteo("any", buckets=1).load()
    path = tmp_path / "train.txt"
    path.write_bytes(GOOD)
    with pytest.raises(BadInput, match="expected 1 to 3"):
        Criteo(str(path), rows=4).load()
    (tmp_path / "Criteo").mkdir()
    path.rename(tmp_path / "Criteo" / "train.txt")
    assert Criteo().load().train.inputs.shape == (3, 39)
