import os
from dataclasses import replace

import numpy as np
import pytest

from traintwice.data import Arrays, Scaling
from traintwice.engine import train
from traintwice.errors import BadInput, BadSpec
from traintwice.nets import MLP
from traintwice.recipes import Recipe

RNG = np.random.default_rng(2)


def packed(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "expected", "pixels"),
    [
        ((30, 7), (7,), None),
        ((30, 6, 5), (1, 6, 5), (6, 5)),
        ((30, 1, 6, 5), (1, 6, 5), (6, 5)),
        ((30, 3, 6, 5), (3, 6, 5), (6, 5, 3)),
        ((30, 6, 5, 3), (3, 6, 5), (6, 5, 3)),
        ((30, 8, 6, 5), (8, 6, 5), None),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_every_layout(tmp_path, shape, expected, pixels, mapped):
    inputs, labels = RNG.integers(0, 256, size=shape, dtype=np.uint8), RNG.integers(0, 4, size=30)
    np.save(tmp_path / "x.npy", inputs)
    np.save(tmp_path / "y.npy", labels)
    source = Arrays(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), validation=5, test=9, memory_map=mapped)
    data = source.load()
    assert (data.shape, data.pixels, data.train.scaling) == (expected, pixels, Scaling())
    assert [len(split) for split in data.splits.values()] == [16, 5, 9]
    upright = np.moveaxis(inputs, 3, 1) if shape == (30, 6, 5, 3) else inputs
    of = {x.tobytes(): label for x, label in zip(np.ascontiguousarray(upright), labels, strict=True)}
    rows = [(x.tobytes(), y) for s in data.splits.values() for x, y in zip(s.rows(np.arange(len(s))), s.labels, strict=True)]
    assert dict(rows) == of
    first = data.test.rows(np.array([0]))[0]
    if pixels == (6, 5, 3):
        assert data.picture(first)[2, 4].tolist() == first[:, 2, 4].tolist()
    elif pixels == (6, 5):
        np.testing.assert_array_equal(data.picture(first), first[0])
    else:
        with pytest.raises(BadInput, match="not pictures"):
            data.picture(first)


def test_floats_are_taken_as_they_are(tmp_path):
    inputs = RNG.normal(size=(20, 3))
    data = Arrays(packed(tmp_path / "a.npz", inputs=inputs, labels=np.arange(20) % 2), validation=4, test=4).load()
    assert data.train.inputs.dtype == np.float32
    assert data.train.scaling is None
    assert {x.tobytes() for x in data.train.inputs} <= {x.tobytes() for x in inputs.astype(np.float32)}


def test_own_test_examples(tmp_path):
    inputs, tests = RNG.normal(size=(20, 3)), RNG.normal(size=(7, 3)).astype(np.float32)
    y = np.arange(20) % 3
    file = packed(tmp_path / "a.npz", inputs=inputs, labels=y, test_inputs=tests, test_labels=np.arange(7) % 3)
    data = Arrays(file, validation=4).load()
    np.testing.assert_array_equal(data.test.inputs, tests)
    assert (len(data.train), data.classes) == (16, 3)
    for name, array in (("x", inputs), ("y", y), ("tx", tests), ("ty", np.arange(7) % 3)):
        np.save(tmp_path / f"{name}.npy", array)
    x, labels, test_x, test_y = (str(tmp_path / f"{name}.npy") for name in ("x", "y", "tx", "ty"))
    assert Arrays(x, labels, test_x, test_y, validation=4).load().digest == data.digest
    np.save(tmp_path / "tx.npy", tests[:, :2])
    with pytest.raises(BadInput, match=r"tx\.npy: got test inputs of shape \(2,\), expected \(3,\) as for training"):
        Arrays(x, labels, test_x, test_y, validation=4).load()


def test_bytes_are_normalised_on_request(tmp_path):
    inputs = RNG.integers(0, 256, size=(40, 9), dtype=np.uint8)
    source = Arrays(packed(tmp_path / "a.npz", inputs=inputs, labels=np.arange(40) % 2), validation=4, test=4, normalise=True)
    data = source.load()
    values = data.train.inputs / 255
    np.testing.assert_allclose(data.train.scaling.mean + data.train.scaling.std, (values.mean(), values.std()))
    floats = packed(tmp_path / "b.npz", inputs=inputs / 255, labels=np.arange(40) % 2)
    with pytest.raises(BadSpec, match=r"got inputs of float64 in .*, expected bytes"):
        replace(source, inputs=floats).load()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": np.zeros(3)}, "has x, expected arrays named inputs and labels"),
        ({"inputs": np.zeros((9, 2)), "labels": np.zeros(8, int)}, r"labels of int64 and shape \(8,\) for 9 inputs"),
        ({"inputs": np.zeros((9, 2)), "labels": np.full(9, 0.5)}, "labels of float64"),
        ({"inputs": np.zeros((9, 2)), "labels": np.full(9, np.nan)}, "labels of float64"),
        (
            {"inputs": np.zeros((9, 2)), "labels": np.full(9, 10**9)},
            "labels up to 1,000,000,000, expected classes numbered from 0",
        ),
        ({"inputs": np.zeros((9, 0)), "labels": np.zeros(9, int)}, r"shape \(9, 0\)"),
        ({"inputs": np.zeros((9, 2)), "labels": np.full(9, -1)}, "from 0 for each"),
        ({"inputs": np.zeros(9), "labels": np.zeros(9, int)}, "expected numbers of 2 to 4 axes"),
        ({"inputs": np.full((9, 2), "a"), "labels": np.zeros(9, int)}, "got inputs of <U1"),
        ({"inputs": np.array([[object()]]), "labels": np.zeros(1, int)}, "pickles, which are not loaded"),
    ],
)
def test_other_files(tmp_path, arrays, reason):
    with pytest.raises(BadInput, match=reason):
        Arrays(packed(tmp_path / "a.npz", **arrays), validation=2, test=2).load()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_labels_of_any_type(tmp_path, dtype):
    file = packed(tmp_path / "a.npz", inputs=np.zeros((9, 2)), labels=(np.arange(9) % 2).astype(dtype))
    assert sorted(Arrays(file, validation=2, test=4).load().test.labels.tolist()) in ([0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1])


def test_files_that_are_none(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.npz: no such file"):
        Arrays(str(tmp_path / "nothing.npz")).load()
    (tmp_path / "a.npz").write_bytes(b"\x80\x04.")
    with pytest.raises(BadInput, match=r"a\.npz: truncated or damaged .*pickles, which are not loaded"):
        Arrays(str(tmp_path / "a.npz")).load()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"inputs": "a.npz", "memory_map": True}, r"Arrays\.inputs: a \.npz file"),
        ({"inputs": "a.npz", "labels": "y.npy"}, r"Arrays\.inputs: a \.npz file"),
        ({"inputs": "a.npy"}, r"Arrays\.labels: missing"),
        ({"inputs": "a.npy", "labels": "b.npy", "test_labels": "c.npy"}, "expected both or none"),
        ({"inputs": "a.npy", "labels": "b.npy", "memory_map": True, "normalise": True}, r"Arrays\.normalise"),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(BadSpec, match=said):
        Arrays(**settings)


def test_the_size_of_the_test_split_is_asked_for(tmp_path):
    file = packed(tmp_path / "a.npz", inputs=np.zeros((9, 2)), labels=np.arange(9) % 2)
    with pytest.raises(BadSpec, match=r"Arrays\.test: missing"):
        Arrays(file, validation=2).load()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_memory_mapped_arrays_train_to_the_bits_of_those_in_memory(tmp_path, own_folder_of_data, dtype):
    inputs = RNG.integers(0, 256, size=(60, 5)).astype(dtype)
    np.save(tmp_path / "x.npy", inputs)
    np.save(tmp_path / "y.npy", RNG.integers(0, 3, size=60))
    source = Arrays(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), validation=10, test=20)
    whole, mapped = source.load(), replace(source, memory_map=True).load()
    assert not isinstance(mapped.train.inputs, np.ndarray)
    for name in whole.splits:
        rows = np.array([3, 0, 7])
        np.testing.assert_array_equal(whole.splits[name].rows(rows), mapped.splits[name].rows(rows))
    recipe = Recipe(network=MLP((4,)), epochs=2, batch_size=7)
    first, second = (train(recipe, data, seed=0, replica=0).outputs["test"] for data in (whole, mapped))
    np.testing.assert_array_equal(first, second)
    before = mapped.digest
    assert replace(source, memory_map=True).load().digest == before
    inputs[0, 0] += 1
    np.save(tmp_path / "x.npy", inputs)
    os.utime(tmp_path / "x.npy", ns=(1, 1))
    assert replace(source, memory_map=True).load().digest != before
