import random

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import train
from traintwice.methods import anti_distillation
from traintwice.randomness import stream
from traintwice.recipes import Recipe


def draws(**which):
    return stream(which.pop("seed", 0), which.pop("source", "order"), **which).integers(0, 1 << 62, size=4).tolist()


def test_same_arguments_same_numbers():
    assert draws(replica=3, component=1, epoch=2) == draws(replica=3, component=1, epoch=2)


@pytest.mark.parametrize("other", [{"seed": 1}, {"source": "initialisation"}, {"replica": 1}, {"component": 1}, {"epoch": 1}])
def test_any_other_argument_other_numbers(other):
    assert draws() != draws(**other)


def test_streams_are_uncorrelated():
    many = np.stack([stream(0, "initialisation", replica=m).normal(size=4000) for m in range(8)])
    off_diagonal = np.corrcoef(many)[np.triu_indices(8, 1)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)


def test_nothing_draws_from_a_global_generator():
    data = Digits(train=200).load()  # importing scikit-learn draws for names of temporary files

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = states()
    train(Recipe(method=anti_distillation(2), epochs=1), data, seed=0, replica=0)
    assert states() == before
