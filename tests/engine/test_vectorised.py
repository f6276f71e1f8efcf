"""The vectorised engine: in every group, the numbers of a replica are those of the reference engine to rounding.

No test compares bits of two groupings: a batched product on a CPU may round a matrix by its place in the stack.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from keeping import Keeping
from torch import nn

from traintwice.augmentation import Shift
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import Component, OwnBatches
from traintwice.data import Dataset, Digits, Split
from traintwice.engine import Choice, Execution, choose, train, train_group
from traintwice.engine import _choosing as choosing
from traintwice.engine._choosing import LARGEST, PLACES, TO_ROUNDING, group_size, obstacle_to_vectorising, places_of, preferred
from traintwice.errors import BadSpec, Diverged
from traintwice.methods import anti_distillation, co_distillation, ensemble, ensemble_distillation
from traintwice.nets import MLP, Dropout, Factory, LeNet5, ResNet, SharedTrunk
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Earlier, Recipe
from traintwice.schedules import CosineDecay


def pictures(data: Dataset) -> Dataset:
    """The same examples as pictures of one channel, 8 x 8."""
    splits = {name: Split(split.inputs.reshape(-1, 1, 8, 8), split.labels, split.scaling) for name, split in data.splits.items()}
    return Dataset(data.name, data.classes, splits["train"], splits["validation"], splits["test"], pixels=(8, 8, 1))


DATA = Digits(train=45, validation=3, test=13).load()
PICTURES = pictures(Digits(train=11, validation=3, test=5).load())
ODD = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
DROPOUT = ODD.change(network=MLP((9, 7), dropout=0.3))
BATCH_NORM = ODD.change(network=MLP((9, 7), batch_norm=True))
TEACHER = ODD.change(method=ensemble(2))
HERE = "tests_of_vectorising"


class Gated(nn.Module):
    """A module of somebody's own: no sequence, a parameter that is no layer's, one that is not trained, a buffer."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, 11), nn.Linear(11, classes, bias=False)
        self.gate = nn.Parameter(torch.zeros(11))
        self.frozen = nn.Parameter(torch.randn(11), requires_grad=False)
        self.register_buffer("scale", torch.full((1,), 0.5))
        self.drop = Dropout(0.2)

    def forward(self, x):
        h = self.drop(torch.tanh(self.first(x)))
        return self.second(self.drop(h * torch.sigmoid(self.gate) + self.scale * self.frozen))


class Normalised(nn.Sequential):
    """Batch normalisation of a product without bias, which is a bfloat16 tensor in mixed precision, also when it is mapped."""

    def __init__(self, inputs, classes):
        super().__init__(nn.Linear(inputs, 11, bias=False), nn.BatchNorm1d(11), nn.ReLU(), nn.Linear(11, classes))


class Peeking(nn.Linear):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(-x)


class Unused(nn.Linear):
    def __init__(self, inputs, classes):
        super().__init__(inputs, classes)
        self.idle = nn.Parameter(torch.ones(3))


class Counting(nn.Linear):
    """Keeps a running number by assignment."""

    def __init__(self, inputs, classes):
        super().__init__(inputs, classes)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen = self.seen + len(x)
        return super().forward(x)


def make(shape, classes, kind="Gated"):
    return globals()[kind](shape[0], classes)


@pytest.fixture(scope="module", autouse=True)
def _importable():
    import sys

    sys.modules[HERE] = sys.modules[__name__]
    yield
    del sys.modules[HERE]


def own(kind):
    return Factory(f"{HERE}:make", {"kind": kind})


RECIPES = {
    "plain": ODD,
    "AdaGrad": ODD.change(optimizer=AdaGrad(weight_decay=1e-2)),
    "AdamW": ODD.change(optimizer=Adam(1e-2, weight_decay=0.5, decoupled=True), lr_schedule=CosineDecay()),
    "GELU": ODD.change(network=MLP((33, 65), activation="gelu"), clip_norm=0.1),
    "batch norm": BATCH_NORM.change(averaging=EMA(0.7), sharpness=0.05),
    "batch norm and SWA": BATCH_NORM.change(averaging=SWA(0.5)),
    "dropout": DROPOUT.change(averaging=Snapshots(2), hardware="emulated"),
    "own views": ODD.change(method=ensemble(2), augmentation=Shift(), views="own"),
    "own batches": ODD.change(method=ensemble(2), own_batches=OwnBatches()),
    "memory": DROPOUT.change(method=anti_distillation(3, rho=0.9), augmentation=Shift()),
    "stale peers": ODD.change(network=MLP((9, 7), dropout=0.3, batch_norm=True), method=co_distillation(kind="ce", lag_steps=2)),
    "teacher": ODD.change(method=ensemble_distillation(), teacher=Earlier(TEACHER)),
    "somebody's own": ODD.change(network=own("Gated")),
}
CONVOLUTIONS = {
    "LeNet5": ODD.change(network=LeNet5(activation="tanh"), batch_size=7),
    "residual": ODD.change(network=ResNet(((1, 3, 1), (1, 5, 2))), batch_size=7, averaging=EMA(0.5), augmentation=Shift()),
}
ALL = {**RECIPES, **CONVOLUTIONS}


def data_of(name):
    return PICTURES if name in CONVOLUTIONS else DATA


@pytest.fixture(scope="module")
def teachers():
    return {m: train(TEACHER, DATA, seed=0, replica=m).weights for m in range(9)}


BY_MAPS = Execution("vectorised")
DOUBLE = Execution("vectorised", precision="float64")


def together(recipe, replicas, data=DATA, execution=BY_MAPS, **settings):
    return dict(train_group(recipe, data, seed=0, replicas=replicas, execution=execution, **settings))


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


def reference_of(recipe, replica, data=DATA, *, teachers=None, starts=None, precision="float64"):
    earlier = {"teacher": (teachers or {}).get(replica), "start": (starts or {}).get(replica)}
    return train(recipe, data, seed=0, replica=replica, execution=Execution("loop", precision=precision), **earlier)


def assert_agree(found, expected):
    """In float64, where rounding has room: 1e-9 after some epochs."""
    assert found.steps == expected.steps
    assert found.weights.keys() == expected.weights.keys()
    for name, array in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], array, rtol=1e-9, atol=1e-9)
    for name, array in expected.outputs.items():
        np.testing.assert_allclose(found.outputs[name], array, rtol=1e-6, atol=1e-6)  # kept in float32


@pytest.mark.parametrize("name", ["plain", "batch norm", "memory", "somebody's own", *CONVOLUTIONS])
def test_equals_the_reference_after_a_step(name, teachers):
    """In float32 within 1e-6 of the largest weight of its array, or of 1 where all are smaller."""
    recipe = ALL[name].change(epochs=1, batch_size=45)
    reference = reference_of(recipe, 4, data_of(name), teachers=teachers, precision="float32")
    for group in ([4], [2, 4, 3]):
        made = together(recipe, group, data_of(name), teachers=teachers)[4]
        assert made.weights.keys() == reference.weights.keys()
        for what, array in reference.weights.items():
            np.testing.assert_allclose(made.weights[what], array, rtol=0, atol=1e-6 * max(1, np.abs(array).max()))


@pytest.mark.parametrize("name", ALL)
def test_equals_the_reference_after_epochs(name, teachers):
    expected = {m: reference_of(ALL[name], m, data_of(name), teachers=teachers) for m in (0, 3, 5)}
    for group in ([3], [5, 3, 0]):
        for m, found in together(ALL[name], group, data_of(name), teachers=teachers, execution=DOUBLE).items():
            assert_agree(found, expected[m])


@pytest.mark.parametrize("name", ["batch norm", "memory", "stale peers", "somebody's own"])
def test_resumed(name):
    """In the same grouping it makes the same calls and ends in the same bits; in another it agrees to rounding."""
    recipe, how = RECIPES[name], {"execution": DOUBLE}
    whole = together(recipe, [0, 1, 2], **how)
    keepers = {m: Keeping(stop=4) for m in range(3)}
    with pytest.raises(KeyboardInterrupt):
        together(recipe, [0, 1, 2], keepers=keepers, **how)
    for group in ([0, 1, 2], [1], [2, 0]):
        made = together(recipe, group, keepers={m: Keeping(keepers[m].kept, at=-1) for m in group}, **how)
        for m in group:
            assert_agree(made[m], whole[m])
            assert len(group) < 3 or bits(made[m]) == bits(whole[m])


def test_batch_normalisation_in_mixed_precision():
    """As far as bfloat16 products round alike, it is that of the loop engine: statistics and gradients are float32."""
    recipe = ODD.change(network=own("Normalised"), epochs=1, batch_size=45)
    made = together(recipe, [1, 2], execution=Execution("vectorised", precision="bf16"))
    for m, found in made.items():
        reference = reference_of(recipe, m, precision="bf16")
        for name, array in reference.weights.items():
            assert found.weights[name].dtype == array.dtype
            np.testing.assert_allclose(found.weights[name], array, atol=1e-3)
        np.testing.assert_allclose(found.weights["0.1.running_mean"], reference.weights["0.1.running_mean"], rtol=1e-6)


def test_a_replica_that_diverges_leaves_the_others_alone():
    recipe, how = BATCH_NORM.change(network=MLP((9, 7)), start=Earlier(ODD)), {"execution": DOUBLE}
    starts = {m: reference_of(ODD, m).weights for m in range(3)}
    starts[1] = {name: array * 1e300 for name, array in starts[1].items()}
    made = together(recipe, [0, 1, 2], starts=starts, **how)
    with pytest.raises(Diverged) as reference:
        reference_of(recipe, 1, starts=starts)
    assert (str(made[1]), made[1].step) == (str(reference.value), reference.value.step)
    for m in (0, 2):
        assert_agree(made[m], reference_of(recipe, m, starts=starts))


@pytest.mark.parametrize(("replicas", "at_once"), [(LARGEST + 1, None), (3, 2), (3, 1000)])
def test_more_replicas_than_places_are_trained_in_several_groups(replicas, at_once):
    made = together(ODD, range(replicas), at_once=at_once, execution=DOUBLE)
    assert set(made) == set(range(replicas))
    for m in (2, replicas - 1):
        assert_agree(made[m], reference_of(ODD, m))


def test_what_is_chosen_and_why():
    assert choose(ODD, DATA, BY_MAPS) == Choice("vectorised", TO_ROUNDING)
    assert choose(CONVOLUTIONS["LeNet5"], PICTURES) == Choice("loop", "LeNet5 is not an MLP")
    for recipe, reason in OBSTACLES:
        with pytest.raises(BadSpec, match=f"'vectorised' cannot train this recipe: .*{reason}.*; choose 'auto' or 'loop'"):
            choose(recipe, DATA, BY_MAPS)


PAIR = ODD.change(method=ensemble(2))
OBSTACLES = [
    (ODD.change(method=ensemble(2, "gate")), "the method trains a gate"),
    (PAIR.change(network=SharedTrunk((9,))), "components share parts"),
    (ODD.change(method=anti_distillation(2, signal="1")), "a loss reads outputs of inner layers"),
    (PAIR.change(components=(Component(), Component(network=MLP((4,))))), "components differ in structure"),
    (ODD.change(network=own("Peeking")), "cannot be mapped over many networks: .*data-dependent control flow"),
    (ODD.change(network=own("Unused")), "parameter idle takes no part in its outputs"),
    (ODD.change(network=own("Counting")), "seen differs between a network alone and the same among many"),
]


def test_one_component_of_a_shared_network_is_vectorised():
    assert obstacle_to_vectorising(ODD.change(network=SharedTrunk((9,))), DATA) is None


def test_what_a_gpu_would_be_given(monkeypatch):
    """The choice is a function of recipe, data and device, and can be asked for without one."""
    monkeypatch.setattr(choosing, "cache_bytes", lambda: choosing.OWN_CACHE)
    monkeypatch.setattr(choosing, "available_bytes", lambda: 4 << 30)
    gpu = Execution(device="cuda")
    assert preferred(ODD, DATA, gpu) == Choice("stacked", "MLP on a GPU")
    assert preferred(CONVOLUTIONS["LeNet5"], PICTURES, gpu) == Choice("vectorised", "LeNet5 is not an MLP, on a GPU")
    assert preferred(ODD, DATA, replace(gpu, precision="bf16")) == Choice(
        "vectorised", "hand-written passes have no bf16, on a GPU"
    )
    assert preferred(ODD.change(network=own("Peeking")), DATA, gpu).engine == "loop"
    stacked = replace(gpu, engine="stacked")
    sizes = [places_of(ODD.change(network=MLP((w, w))), DATA, stacked) for w in (16, 2000, 4000, 20000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == PLACES
    assert sizes[-1] < PLACES
    assert places_of(ODD, DATA, Execution("stacked")) is None
    assert places_of(ODD, DATA, replace(BY_MAPS, device="cuda")) == PLACES
    assert places_of(ODD, DATA, BY_MAPS) is None
    assert group_size(ODD, DATA, BY_MAPS) == LARGEST
    assert group_size(ODD, DATA, Execution("loop")) == 1
    assert group_size(ODD, DATA, Execution("stacked")) == LARGEST
    with pytest.raises(BadSpec, match="engine: got 'auto', expected a chosen one"):
        group_size(ODD, DATA, Execution())
