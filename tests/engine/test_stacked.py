"""The stacked engine: the bits of a replica do not depend on the others, and its numbers are those of the reference engine."""

import itertools

import numpy as np
import pytest
import torch

from traintwice.augmentation import Shift
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import Component, OwnBatches
from traintwice.controls import CONTROLS
from traintwice.data import Digits
from traintwice.engine import train, train_group
from traintwice.engine.choosing import obstacle_to_stacking
from traintwice.errors import BadInput, Diverged
from traintwice.losses import CrossEntropy, LogitL2, Only
from traintwice.methods import BUILDERS, Method, Term, anti_distillation, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import CosineDecay, Ramp, StepDecay

DATA = Digits(train=45, validation=3, test=13).load()
ODD = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
BATCH_NORM = ODD.change(network=MLP((9, 7), batch_norm=True))
DROPOUT = ODD.change(network=MLP((9, 7), dropout=0.3))
PAIR = ODD.change(method=ensemble(2))

FEATURES = {
    "plain": ODD,
    "one layer": ODD.change(network=MLP(())),
    "wide": ODD.change(network=MLP((33, 65))),
    "SGD": ODD.change(optimizer=SGD(0.1, weight_decay=1e-2)),
    "Nesterov": ODD.change(optimizer=SGD(0.1, 0.9, nesterov=True, weight_decay=1e-2)),
    "AdaGrad": ODD.change(optimizer=AdaGrad(weight_decay=1e-2)),
    "Adam": ODD.change(optimizer=Adam(weight_decay=1e-2)),
    "AdamW": ODD.change(optimizer=Adam(1e-2, weight_decay=0.5, decoupled=True)),
    **{a: ODD.change(network=MLP((9, 7), activation=a)) for a in ("gelu", "silu", "tanh", "smelu")},
    "cosine decay": ODD.change(lr_schedule=CosineDecay()),
    "step decay": ODD.change(lr_schedule=StepDecay(epochs=(1.0,))),
    "batch norm": BATCH_NORM,
    "batch norm with GELU": ODD.change(network=MLP((9, 7), batch_norm=True, activation="gelu")),
    "dropout": DROPOUT,
    "dropout with tanh": ODD.change(network=MLP((9, 7), dropout=0.3, activation="tanh")),
    "all layers": ODD.change(network=MLP((9, 7), dropout=0.3, batch_norm=True, activation="smelu"), averaging=EMA(0.7)),
    "augmentation": ODD.change(augmentation=Shift()),
    "EMA": BATCH_NORM.change(averaging=EMA(0.7)),
    "SWA": BATCH_NORM.change(averaging=SWA(0.5)),
    "snapshots": DROPOUT.change(averaging=Snapshots(3)),
    "clipping": ODD.change(clip_norm=0.1),
    "sharpness": BATCH_NORM.change(sharpness=0.05),
    "emulated hardware": ODD.change(hardware="emulated"),
    "fixed sources": DROPOUT.change(fixed=("initialisation", "dropout")),
    "ensemble": PAIR,
    "ensemble of one layer": PAIR.change(network=MLP(())),
    "ensemble with all": PAIR.change(
        network=MLP((9, 7), dropout=0.3, batch_norm=True), averaging=EMA(0.7), augmentation=Shift(), sharpness=0.05
    ),
    "own batches": PAIR.change(own_batches=OwnBatches()),
    "own batches, augmented": PAIR.change(own_batches=OwnBatches(), augmentation=Shift()),
    "own and shared batches": ODD.change(method=anti_distillation(2), own_batches=OwnBatches(0.3), augmentation=Shift()),
    "subsets": PAIR.change(own_batches=OwnBatches(), components=(Component(), Component(subset=0.4))),
    "stale peers": DROPOUT.change(method=co_distillation(kind="ce", lag_steps=2)),
    "very stale peers": ODD.change(method=co_distillation(kind="ce", lag_steps=9), epochs=7),
    "ramp": ODD.change(method=co_distillation(Ramp(1.0, epochs=1))),
    "memory": ODD.change(method=anti_distillation(3, rho=0.9)),
    "normalised": ODD.change(method=anti_distillation(2, matrix="covariance", signal="probabilities", normalize=True)),
    "Only": ODD.change(method=Method((Term(Only(CrossEntropy(), (0,))), Term(Only(LogitL2(), (1,)), 0.5)), 2)),
    "a weight of 0": ODD.change(method=Method((Term(CrossEntropy(), 0.0),))),
}
TEACHER = ODD.change(method=ensemble(2))
METHODS = {
    name: ODD.change(method=build(), teacher=Earlier(TEACHER) if "teacher" in build().needs else None)
    for name, build in BUILDERS.items()
}
RECIPES = {**FEATURES, **METHODS}
RECIPES["teacher of changed pictures"] = RECIPES["ensemble_distillation"].change(augmentation=Shift())
STACKED = {name: recipe for name, recipe in RECIPES.items() if obstacle_to_stacking(recipe, DATA) is None}


@pytest.fixture(scope="module")
def teachers():
    return {m: train(TEACHER, DATA, seed=0, replica=m).weights for m in range(9)}


def together(recipe, replicas, teachers=None, **settings):
    return dict(train_group(recipe, DATA, seed=0, replicas=replicas, engine="stacked", teachers=teachers, **settings))


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


def test_every_method_is_stacked():
    assert set(RECIPES) == set(STACKED)


@pytest.mark.parametrize("name", STACKED)
def test_bits_do_not_depend_on_the_group(name, teachers):
    recipe = STACKED[name]
    eight = together(recipe, range(1, 9), teachers)
    for group in ([3], [8, 3], [2, 3, 5]):
        made = together(recipe, group, teachers)
        for replica in group:
            assert bits(made[replica]) == bits(eight[replica]), (group, replica)


@pytest.mark.parametrize("name", STACKED)
def test_equals_the_reference_after_a_step(name, teachers):
    recipe = STACKED[name].change(epochs=1, batch_size=45)
    for m, made in together(recipe, [0, 4], teachers).items():
        reference = train(recipe, DATA, seed=0, replica=m, teacher=teachers[m])
        for name, array in reference.weights.items():
            np.testing.assert_allclose(made.weights[name], array, rtol=0, atol=1e-6 * max(1, np.abs(array).max()))


@pytest.mark.parametrize("name", STACKED)
def test_equals_the_reference_after_epochs(name, teachers):
    recipe = STACKED[name]
    for m, made in together(recipe, [0, 4], teachers, dtype=torch.float64).items():
        reference = train(recipe, DATA, seed=0, replica=m, teacher=teachers[m], dtype=torch.float64)
        assert made.steps == reference.steps
        assert made.outputs.keys() == reference.outputs.keys()
        assert made.weights.keys() == reference.weights.keys()
        for name, array in reference.weights.items():
            np.testing.assert_allclose(made.weights[name], array, rtol=1e-9, atol=1e-9)
        for name, array in reference.outputs.items():
            np.testing.assert_allclose(made.outputs[name], array, rtol=1e-6, atol=1e-6)
