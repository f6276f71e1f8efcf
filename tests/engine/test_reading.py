"""Inputs reach the networks as the data set says, from memory and from disk, with the same bits in any batch."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from traintwice.augmentation import CropFlip
from traintwice.data import Dataset, Digits, Scaling, Split
from traintwice.engine import train
from traintwice.engine._batches import Batch, batches
from traintwice.engine._reading import Examples, Inputs
from traintwice.errors import BadInput
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.study._export import as_networks_take_them

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, size=(23, 3, 6, 5), dtype=np.uint8)
LABELS = RNG.integers(0, 4, size=23)
SCALING = Scaling((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
ROWS = torch.tensor([4, 0, 22, 4])


@dataclass(frozen=True)
class Slow:
    """Inputs that are read when they are wanted."""

    array: np.ndarray
    digest = "of the array"

    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype

    def read(self, rows):
        return self.array[rows]


def by_definition(pictures, scaling, dtype):
    out = np.empty(pictures.shape, dtype)
    for c, (mean, std) in enumerate(zip(scaling.mean, scaling.std, strict=True)):
        out[:, c] = (pictures[:, c].astype(dtype) / dtype(255) - dtype(mean)) / dtype(std)
    return out


@pytest.mark.parametrize("kept", [lambda a: a, Slow])
@pytest.mark.parametrize(("dtype", "name"), [(np.float32, torch.float32), (np.float64, torch.float64)])
def test_bytes_become_numbers_channel_by_channel(kept, dtype, name):
    inputs = Inputs(Split(kept(PICTURES), LABELS, SCALING), name)
    expected = by_definition(PICTURES, SCALING, dtype)
    np.testing.assert_array_equal(inputs.of(ROWS), expected[ROWS])
    np.testing.assert_array_equal(inputs.of(ROWS.view(2, 2)), expected[ROWS.view(2, 2)])
    np.testing.assert_array_equal(torch.cat(list(inputs.parts(4))), expected)
    assert len(inputs) == 23


def test_flat_pictures_have_one_mean_and_full_white_is_one():
    flat = PICTURES.reshape(23, -1)
    plain = Inputs(Split(flat, LABELS, Scaling()), torch.float32).of(torch.arange(23))
    np.testing.assert_array_equal(plain, flat.astype(np.float32) / 255)
    assert Inputs(Split(np.full((1, 2), 255, np.uint8), LABELS[:1], Scaling()), torch.float32).of(torch.tensor([0])).eq(1).all()
    scaled = Inputs(Split(flat, LABELS, Scaling((0.25,), (0.5,))), torch.float64).of(torch.arange(23))
    np.testing.assert_allclose(scaled, (flat / 255 - 0.25) / 0.5)


def test_floats_are_taken_as_they_are_and_never_changed():
    data = Digits(train=20, validation=5, test=5).load()
    before = data.train.inputs.copy()
    inputs = Inputs(data.train, torch.float32)
    inputs.raw(ROWS[:2]).zero_()
    np.testing.assert_array_equal(inputs.of(ROWS[:2]), before[ROWS[:2]])
    np.testing.assert_array_equal(data.train.inputs, before)
    floats = Inputs(Split(before, data.train.labels, Scaling()), torch.float32)
    np.testing.assert_array_equal(torch.cat(list(floats.parts(7))), before / 255)
    np.testing.assert_array_equal(data.train.inputs, before)


def coloured(kept=lambda a: a):
    split = Split(kept(PICTURES), LABELS, SCALING)
    return Dataset("coloured", 4, split, split, split, pixels=(6, 5, 3))


RECIPE = Recipe(network=MLP((5,)), epochs=2, batch_size=4, augmentation=CropFlip(2))


def test_training_from_disk_gives_the_bits_of_training_from_memory():
    first = train(RECIPE, coloured(), seed=0, replica=1)
    second = train(RECIPE, coloured(Slow), seed=0, replica=1)
    for split in ("validation", "test"):
        np.testing.assert_array_equal(first.outputs[split], second.outputs[split])


def test_crops_are_of_the_bytes_so_that_what_comes_in_is_black():
    data = coloured()
    examples = Examples(RECIPE, data, Inputs(data.train, torch.float32), seed=0, replica=0)
    examples.enter(0)
    found = examples.of(Batch(torch.arange(23)))[0].numpy()
    drawn = examples._drawn[0].numpy()
    for n, (down, right, mirrored) in enumerate(drawn):
        framed = np.pad(PICTURES[n], ((0, 0), (2, 2), (2, 2)))[:, 2 - down : 8 - down, 2 - right : 7 - right]
        expected = by_definition(framed[None, :, :, ::-1] if mirrored else framed[None], SCALING, np.float32)
        np.testing.assert_array_equal(found[n], expected[0])


def test_reading_ahead_passes_every_batch_on():
    data = coloured(Slow)
    examples = Examples(RECIPE, data, Inputs(data.train, torch.float32), seed=0, replica=0)
    plain = list(batches(RECIPE, 23, seed=0, replica=0, epoch=0))
    ahead = list(examples.ahead(iter(plain)))
    assert [b.rows.tolist() for b in ahead] == [b.rows.tolist() for b in plain]


def test_what_cannot_be_read_is_raised_where_it_is_used():
    class Broken(Slow):
        def read(self, rows):
            raise OSError("gone")

    inputs = Inputs(Split(Broken(PICTURES), LABELS), torch.float32)
    inputs.expect(ROWS)
    with pytest.raises(OSError, match="gone"):
        inputs.of(ROWS)


def test_new_inputs_of_a_data_set_of_bytes():
    data = coloured()
    np.testing.assert_array_equal(as_networks_take_them(PICTURES, data), by_definition(PICTURES, SCALING, np.float32))
    ready = RNG.normal(size=(3, 3, 6, 5))
    np.testing.assert_array_equal(as_networks_take_them(ready, data), ready.astype(np.float32))
    with pytest.raises(BadInput, match="got inputs of int64, and the training data are bytes; write them as uint8"):
        as_networks_take_them(PICTURES.astype(np.int64), data)


def test_the_digest_sees_scaling_and_streams():
    assert len({coloured().digest, coloured(Slow).digest, replace(coloured(), train=Split(PICTURES, LABELS)).digest}) == 3
    assert coloured().digest == coloured().digest
