import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from data_formats import small_pictures
from PIL import Image

from traintwice.data import Arrays
from traintwice.data._on_disk import digest_of_files
from traintwice.engine import train
from traintwice.engine._reading import Inputs
from traintwice.errors import BadInput
from traintwice.nets import MLP
from traintwice.recipes import Recipe

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def _own_folder_of_data(own_folder_of_data):
    pass


def test_shorter_side_then_the_middle(tmp_path, folder):
    """Twice as wide as high, a ramp from left to right: what is left is the ramp's middle."""
    ramp = np.broadcast_to(np.arange(80, dtype=np.uint8)[None, :, None] * 3, (40, 80, 3))
    for half in ("train", "val"):
        Image.fromarray(np.ascontiguousarray(ramp)).save(folder / half / "ant" / "0.png")
    data = replace(small_pictures(folder), resize=40, size=20).load()
    split = next(s for s in (data.train, data.validation) if "train/ant/0.png" in s.inputs.files)
    found = split.rows(np.array([split.inputs.files.index("train/ant/0.png")]))[0]
    np.testing.assert_array_equal(found, ramp[10:30, 30:50].transpose(2, 0, 1))
    Image.fromarray(np.ascontiguousarray(ramp)).resize((160, 80), Image.Resampling.NEAREST).save(folder / "val" / "ant" / "0.png")
    half_size = replace(small_pictures(folder), resize=40, size=20).load().test.rows(np.array([0]))[0]
    assert abs(half_size.astype(int) - ramp[10:30, 30:50].transpose(2, 0, 1)).max() <= 2


def test_grey_and_transparent_pictures_become_three_channels(folder):
    Image.new("L", (9, 9), 77).save(folder / "val" / "ant" / "0.png")
    Image.new("RGBA", (9, 9), (1, 2, 3, 128)).save(folder / "val" / "ant" / "1.png")
    found = small_pictures(folder).load().test.rows(np.array([0, 1]))
    assert found[:, :, 4, 4].tolist() == [[77, 77, 77], [1, 2, 3]]


def test_it_trains_and_the_number_of_decoders_changes_nothing(folder):
    recipe = Recipe(network=MLP((4,)), epochs=2, batch_size=5)
    first, second = (train(recipe, small_pictures(folder, decoders=n).load(), seed=0, replica=0) for n in (1, 3))
    np.testing.assert_array_equal(first.outputs["test"], second.outputs["test"])
    scaled = Inputs(small_pictures(folder).load().test, torch.float64).of(torch.tensor([5]))
    expected = (np.array([100, 10, 50]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(scaled[0, :, 0, 0], expected)


def test_the_digest_is_of_the_content(folder, tmp_path):
    before = small_pictures(folder).load().digest
    os.utime(folder / "val" / "ant" / "0.png", ns=(1, 1))
    assert small_pictures(folder).load().digest == before
    assert replace(small_pictures(folder), size=7).load().digest != before
    moved = folder.rename(tmp_path / "elsewhere")
    assert small_pictures(moved).load().digest == before
    Image.new("RGB", (20, 14), (1, 1, 1)).save(moved / "val" / "ant" / "0.png")
    assert small_pictures(moved).load().digest != before


def test_digests_are_remembered_until_size_or_time_change(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"12")
    first = digest_of_files([file])
    (remembered,) = (tmp_path / "cache" / "digests").iterdir()
    remembered.write_text("remembered")
    assert digest_of_files([file]) == "remembered"
    file.write_bytes(b"123")
    assert digest_of_files([file]) not in ("remembered", first)
    with pytest.raises(BadInput, match="cannot be read"):
        digest_of_files([tmp_path / "b"])


def test_where_nothing_can_be_remembered_all_is_read(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "file").write_bytes(b"")
    expected = digest_of_files([tmp_path / "a"])
    monkeypatch.setenv("TRAINTWICE_DATA", str(tmp_path / "file"))
    assert digest_of_files([tmp_path / "a"]) == expected


def test_a_damaged_picture_is_named(folder):
    path = folder / "val" / "bee" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match=rf"{path}: cannot be read as a picture .* get it again, or remove it"):
        small_pictures(folder).load().test.rows(np.arange(8))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_memory_mapped_arrays_train_to_the_bits_of_those_in_memory(tmp_path, dtype):
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
