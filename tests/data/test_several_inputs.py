"""Loaders of several inputs and of whole numbers: the network of the user's gets exactly what the loader returns."""

import numpy as np
import pytest
import torch
from torch import nn

from traintwice.data import Loader
from traintwice.engine import Execution, train
from traintwice.errors import BadInput, BadSpec
from traintwice.methods import co_distillation
from traintwice.nets import Factory
from traintwice.optimizers import SGD
from traintwice.randomness import stream
from traintwice.recipes import Recipe

RNG = np.random.default_rng(0)
IDS, LENGTH = RNG.integers(2**40, 2**40 + 9, size=(40, 3)), RNG.normal(size=40).astype("float32")
LABELS = RNG.integers(2, size=40)


def batches(split, *, seed, replica, epoch, kind):
    rows = {"train": range(20), "validation": range(20, 30), "test": range(30, 40)}[split]
    for start in range(rows.start, rows.stop, 5):
        at = slice(start, start + 5)
        ids, length = torch.from_numpy(IDS[at]), torch.from_numpy(LENGTH[at])
        inputs = {"dict": {"ids": ids, "length": length}, "pair": (ids, length), "ids": ids}
        if kind == "other" and split == "train":
            yield inputs["pair"], LABELS[at]
        elif kind == "short":
            yield (ids, length[:2]), LABELS[at]
        else:
            yield inputs["dict" if kind == "other" else kind], LABELS[at]


class Reader(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.shape = shape
        self.table = nn.Embedding(9, 4)
        self.last = nn.Linear(5, classes)

    def forward(self, ids, length=None):
        assert ids.dtype == torch.int64
        assert not len(ids) or self.shape in ({"ids": (3,), "length": ()}, ((3,), ()), (3,))
        length = torch.zeros(len(ids), dtype=self.last.weight.dtype) if length is None else length
        return self.last(torch.cat([self.table((ids - 2**40) % 9).mean(1), length.unsqueeze(1)], 1))


def make(shape, classes):
    return Reader(shape, classes)


RECIPE = Recipe(network=Factory("test_several_inputs:make"), optimizer=SGD(0.5), epochs=3, batch_size=5)


@pytest.mark.parametrize("kind", ["dict", "pair", "ids"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_training_is_that_of_a_plain_loop(kind, precision):
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": kind}).load()
    trained = train(RECIPE, data, seed=0, replica=1, execution=Execution("loop", precision=precision))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(0, "initialisation", replica=1).integers(2**63)))
        network = Reader((3,), 2).to(getattr(torch, precision))

    def answers(rows):
        ids, length = torch.from_numpy(IDS[rows]), torch.from_numpy(LENGTH[rows]).to(getattr(torch, precision))
        return network(ids) if kind == "ids" else network(ids, length)

    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for start in [*range(0, 20, 5)] * 3:
        rows = slice(start, start + 5)
        optimizer.zero_grad()
        nn.functional.cross_entropy(answers(rows), torch.from_numpy(LABELS[rows])).backward()
        optimizer.step()
    np.testing.assert_array_equal(trained.outputs["test"][0], answers(slice(30, 40)).detach().float().numpy())


def test_methods_read_them_too():
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": "dict"}).load()
    assert train(RECIPE.change(method=co_distillation()), data, seed=0, replica=0).outputs["test"].shape == (2, 10, 2)


def test_what_cannot_be():
    with pytest.raises(BadInput, match=r"different lengths \[2, 5\]"):
        Loader("test_several_inputs:batches", 2, 20, {"kind": "short"}).load()
    with pytest.raises(BadInput, match=r"training inputs .* as for test"):
        train(RECIPE, Loader("test_several_inputs:batches", 2, 20, {"kind": "other"}).load(), seed=0, replica=0)
    data = Loader("test_several_inputs:batches", 2, 20, {"kind": "ids"}).load()
    with pytest.raises(
        BadSpec, match=r"MLP reads one array of numbers, and loader has whole numbers; take a Factory, or return floats"
    ):
        train(Recipe(), data, seed=0, replica=0)
