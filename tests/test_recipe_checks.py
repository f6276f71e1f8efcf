import pytest

from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.components import Component, OwnBatches
from traintwice.errors import BadSpec
from traintwice.methods import co_distillation, ensemble, ensemble_distillation
from traintwice.nets import SharedTrunk, Towers
from traintwice.optimizers import SGD, Adam
from traintwice.progressive import Progressive
from traintwice.recipes import Earlier, Recipe

PAIR = ensemble(2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": PAIR, "components": (Component(),)}, "got 1 entries for the 2 components"),
        ({"method": PAIR, "components": (Component(subset=0.5), Component())}, "needs own_batches"),
        ({"method": PAIR, "components": (Component(), Component()), "network": SharedTrunk()}, "of a shared network"),
        ({"method": ensemble_distillation()}, "the recipe has none"),
        ({"teacher": Earlier(Recipe())}, "no term of the method learns from it"),
        (
            {"method": ensemble_distillation(), "teacher": Earlier(Recipe(method=ensemble(2, "gate")))},
            "a gated mixture cannot teach",
        ),
        (
            {"method": ensemble_distillation(), "teacher": Earlier(Recipe()), "own_batches": OwnBatches(1.0)},
            "share their batches",
        ),
        ({"method": PAIR, "views": "own"}, "without augmentation"),
        ({"views": "own", "augmentation": Shift()}, "needs at least two components"),
        ({"method": PAIR, "views": "own", "augmentation": Shift(), "own_batches": OwnBatches()}, "no shared part"),
        ({"method": PAIR, "alike": ("initialisation", "dropout")}, "stay identical"),
        ({"alike": ("dropout",)}, "needs at least two components"),
        ({"method": co_distillation(), "own_batches": OwnBatches(0.001)}, "rounds to 0 examples, but Agreement reads"),
        ({"progressive": Progressive()}, "Recipe.epochs: got 25, expected 1"),
        ({"progressive": Progressive(), "epochs": 1, "start": Earlier(Recipe())}, "leave start and teacher out"),
        ({"progressive": Progressive(), "epochs": 1, "averaging": EMA()}, "leave own_batches and averaging out"),
        ({"network": Towers(sparse=True), "optimizer": Adam()}, "sparse gradients need AdaGrad"),
        ({"network": Towers(sparse=True), "optimizer": SGD(0.1, 0.9)}, "sparse gradients need AdaGrad"),
        ({"network": Towers(sparse=True), "sharpness": 0.1}, "sparse gradients need AdaGrad"),
    ],
)
def test_settings_that_contradict_each_other(settings, message):
    with pytest.raises(BadSpec, match=message):
        Recipe(**settings)


def test_settings_that_agree():
    assert Recipe(method=PAIR, alike=("initialisation",), own_batches=OwnBatches()).alike == ("initialisation",)
    assert Recipe(network=Towers(sparse=True), optimizer=SGD(0.1)).network.sparse
    assert Recipe(method=co_distillation(), own_batches=OwnBatches(0.5)).own_batches.size(64) == 32
