"""A training that is stopped and resumed ends in the same bits, wherever it is stopped and whatever it carries."""

import pytest
import safetensors.torch

from traintwice.augmentation import CropFlip, Shift
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import Component, OwnBatches
from traintwice.data import Digits
from traintwice.engine import train
from traintwice.engine._loss_inputs import Peers
from traintwice.engine._state import of_optimizers
from traintwice.errors import BadSpec
from traintwice.losses import CrossEntropy, GateCrossEntropy, RunningDecorrelation
from traintwice.methods import Method, Term, co_distillation, ensemble
from traintwice.nets import MLP, SharedTrunk
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Recipe
from traintwice.schedules import LinearDecay

DATA = Digits(train=70, validation=20, test=30).load()
SMALL = Recipe(network=MLP((6,)), optimizer=SGD(0.1, 0.9), epochs=4, batch_size=32)
RUNNING = Method((Term(CrossEntropy()), Term(RunningDecorrelation(0.9), 0.05)), 2, "mean-prob")
GATED = Method((Term(CrossEntropy()), Term(GateCrossEntropy())), 2, "gate")

RECIPES = {
    "momentum": {},
    "AdaGrad with decay": {"optimizer": AdaGrad(), "lr_schedule": LinearDecay()},
    "AdamW": {"optimizer": Adam(decoupled=True, weight_decay=0.1)},
    "no momentum": {"optimizer": SGD(0.1)},
    "batch norm, EMA, running decorrelation": {
        "network": MLP((6,), batch_norm=True),
        "averaging": EMA(),
        "method": RUNNING,
    },
    "SWA": {"averaging": SWA(0.25)},
    "snapshots": {"averaging": Snapshots(3), "network": MLP((6,), batch_norm=True)},
    "peers of a step ago": {"method": co_distillation(kind="ce", lag_steps=1)},
    "peers of three steps ago, SAM": {"method": co_distillation(kind="ce", lag_steps=3), "sharpness": 0.05},
    "stale peers": {"method": co_distillation(kind="ce", lag_steps=9), "epochs": 7},
    "gate": {"method": GATED},
    "averaged gate": {"method": GATED, "averaging": EMA(0.8)},
    "gates of snapshots": {"method": GATED, "averaging": Snapshots(2)},
    "own views": {"method": ensemble(2), "augmentation": Shift(), "views": "own"},
    "SAM, clipped": {"sharpness": 0.05, "clip_norm": 0.5},
    "own batches": {"method": ensemble(2), "own_batches": OwnBatches(0.25), "components": (Component(), Component(subset=0.5))},
    "augmentation, dropout": {"augmentation": Shift(), "network": MLP((6, 5), dropout=0.3), "averaging": EMA()},
    "dropout with peers and batch norm": {
        "network": MLP((6,), dropout=0.3, batch_norm=True),
        "method": co_distillation(kind="ce", lag_steps=2),
        "sharpness": 0.05,
        "averaging": SWA(0.0),
    },
    "own batches, augmentation, emulated hardware": {
        "method": ensemble(2),
        "own_batches": OwnBatches(0.25),
        "augmentation": CropFlip(1),
        "hardware": "emulated",
    },
    "shared trunk, dropout": {"network": SharedTrunk((6,), (5,), dropout=0.3), "method": co_distillation(kind="ce", lag_steps=1)},
    "shared trunk": {"network": SharedTrunk((6,)), "method": ensemble(2), "averaging": EMA()},
}


class Stop(Exception):
    pass


class InMemory:
    """Resumes from a state of bytes where one is given. Keeps the state after every step, or stops after a chosen one."""

    def __init__(self, stop_after=None, resumed=None):
        self.stop_after, self.resumed, self.kept = stop_after, resumed, {}

    def resume(self):
        return None if self.resumed is None else (self.resumed[0], safetensors.torch.load(self.resumed[1]))

    def after_step(self, steps, training):
        if self.resumed is None:
            self.kept[steps] = safetensors.torch.save(training.state())
        if steps == self.stop_after:
            raise Stop


def same(first, second):
    for kind in ("outputs", "weights"):
        one, two = getattr(first, kind), getattr(second, kind)
        assert one.keys() == two.keys()
        assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    assert first.steps == second.steps


@pytest.mark.parametrize("name", RECIPES)
def test_stopped_anywhere_and_resumed(name):
    recipe = SMALL.change(**RECIPES[name])
    whole = train(recipe, DATA, seed=0, replica=1)
    keeper = InMemory(stop_after=whole.steps)
    with pytest.raises(Stop):
        train(recipe, DATA, seed=0, replica=1, keeper=keeper)
    assert list(keeper.kept) == list(range(1, whole.steps + 1))
    for state in keeper.kept.items():
        same(train(recipe, DATA, seed=0, replica=1, keeper=InMemory(resumed=state)), whole)


def test_the_state_matters():
    """Resumed from another replica's state, the training ends elsewhere: the test above can fail."""
    keeper = InMemory(stop_after=5)
    with pytest.raises(Stop):
        train(SMALL, DATA, seed=0, replica=2, keeper=keeper)
    resumed = train(SMALL, DATA, seed=0, replica=1, keeper=InMemory(resumed=(5, keeper.kept[5])))
    assert resumed.outputs["test"].tobytes() != train(SMALL, DATA, seed=0, replica=1).outputs["test"].tobytes()


def test_peers_asked_twice_in_a_step_are_the_same():
    import torch

    for lag in (2, 10):
        counter = torch.nn.Linear(1, 1)
        once, twice = Peers([counter], lag), Peers([counter], lag)
        for step in range(25):
            torch.nn.init.constant_(counter.weight, step)
            expected = once.at(step)[0].weight.item()
            assert [twice.at(step)[0].weight.item() for _ in range(2)] == [expected] * 2


def test_an_optimiser_with_other_memories_is_refused():
    import torch

    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter])
    optimizer.state[parameter]["seen"] = [1, 2]
    with pytest.raises(BadSpec, match="SGD remembers seen as list"):
        of_optimizers([optimizer])
