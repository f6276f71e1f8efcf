import pytest

from traintwice.data import Digits
from traintwice.methods import ensemble
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.study import Experiment


@pytest.fixture(scope="session")
def small():
    """Two recipes that train in milliseconds."""
    base = Recipe(network=MLP((8,)), epochs=1, batch_size=32)
    rows = {"baseline": base, "ensemble": base.change(method=ensemble(2))}
    return Experiment("small", Digits(train=64, validation=20, test=40), rows, replicas=3)


@pytest.fixture(scope="session")
def data(small):
    return small.data.load()
