import pytest

from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.components import Component, OwnBatches
from traintwice.errors import BadSpec
from traintwice.methods import (
    anti_distillation,
    co_distillation,
    ensemble,
    ensemble_distillation,
    entropy_regulariser,
    logged_distillation,
    regularised_co_distillation,
    symmetric_kl_regulariser,
)
from traintwice.nets import MLP, SharedTrunk, Towers
from traintwice.optimizers import SGD, Adam
from traintwice.progressive import Progressive
from traintwice.recipes import Cost, Earlier, Recipe
from traintwice.schedules import LinearDecay, Ramp

BASE = Recipe(network=MLP((128, 128)))


@pytest.mark.parametrize(
    ("recipe", "train", "serve"),
    [
        (BASE, 1, 1),
        (BASE.change(method=entropy_regulariser()), 1, 1),
        (BASE.change(method=ensemble(2)), 2, 2),
        (BASE.change(method=anti_distillation(3)), 3, 3),
        (BASE.change(method=co_distillation()), 2, 1),
        (BASE.change(epochs=50), 2, 1),
        (BASE.change(lr_schedule=LinearDecay()), 1, 1),
    ],
)
def test_cost_is_computed(recipe, train, serve):
    assert recipe.cost(BASE, (64,), 10) == Cost(train, serve)


def test_cost_counts_the_network():
    wide = BASE.change(network=MLP((256, 256)))
    expected = (64 * 256 + 256 * 256 + 256 * 10) / (64 * 128 + 128 * 128 + 128 * 10)
    assert wide.cost(BASE, (64,), 10) == Cost(expected, expected)


def test_steps():
    assert BASE.steps_per_epoch(797) == 13
    assert BASE.steps_per_epoch(64) == 1
    resolved = BASE.change(lr_schedule=LinearDecay(), method=co_distillation(ramp_epochs=5)).resolve(797)
    assert resolved.lr_schedule == LinearDecay(steps=13 * 25)
    assert resolved.method.terms[1].weight == Ramp(1.0, steps=65)


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"batch_size": 0}])
def test_ranges(settings):
    with pytest.raises(BadSpec, match="got 0, expected at least 1"):
        Recipe(**settings)


def test_cost_column_of_table_2_of_the_churn_paper():
    """1x 1x 1x 3x 2x 2x 2x to train and 1x to serve, computed."""
    pair = BASE.change(method=ensemble(2))
    rows = [
        BASE,
        BASE.change(method=entropy_regulariser()),
        BASE.change(method=symmetric_kl_regulariser()),
        BASE.change(method=ensemble_distillation(), teacher=Earlier(pair)),
        BASE.change(method=co_distillation(kind="ce", lag_steps=0)),
        BASE.change(method=co_distillation(kind="skl")),
        BASE.change(method=regularised_co_distillation()),
    ]
    costs = [row.cost(BASE, (64,), 10) for row in rows]
    assert [cost.train for cost in costs] == [1, 1, 1, 3, 2, 2, 2]
    assert all(cost.serve == 1 for cost in costs)


def test_a_deployed_teacher_is_there_anyway():
    student = BASE.change(method=logged_distillation(), teacher=Earlier(BASE, replica="first"))
    assert student.cost(BASE, (64,), 10) == Cost(1, 1)


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
