"""All engines on a GPU. Run where there is one: `pytest -m cuda tests/engine/test_cuda.py`; elsewhere they are skipped."""

import numpy as np
import pytest
import torch

from traintwice.augmentation import Shift
from traintwice.averaging import EMA
from traintwice.data import Dataset, Digits, Split
from traintwice.engine import Choice, Execution, choose, numerics_of, train_group
from traintwice.engine._choosing import PLACES
from traintwice.methods import anti_distillation, co_distillation, ensemble
from traintwice.nets import MLP, LeNet5, ResNet
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Recipe
from traintwice.schedules import CosineDecay
from traintwice.study import audit

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")]

SOURCE = Digits(train=45, validation=3, test=13)
DATA = SOURCE.load()
PICTURES = Dataset(
    "pictures",
    DATA.classes,
    *(Split(s.inputs.reshape(-1, 1, 8, 8), s.labels, s.scaling) for s in (DATA.train, DATA.validation, DATA.test)),
    pixels=(8, 8, 1),
)
ODD = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
MLPS = {
    "plain": ODD,
    "SGD": ODD.change(optimizer=SGD(0.1, weight_decay=1e-2), lr_schedule=CosineDecay()),
    "AdaGrad": ODD.change(optimizer=AdaGrad(), clip_norm=0.1),
    "all layers": ODD.change(
        network=MLP((33, 65), dropout=0.3, batch_norm=True, activation="gelu"), optimizer=Adam(), averaging=EMA(0.7)
    ),
    "ensemble, augmented": ODD.change(method=ensemble(2), augmentation=Shift()),
    "agreement": ODD.change(method=co_distillation(1.0)),
    "memory": ODD.change(method=anti_distillation(3, rho=0.9)),
    "stale peers": ODD.change(method=co_distillation(kind="ce", lag_steps=2)),
}
NETWORKS = {
    "LeNet5": ODD.change(network=LeNet5(dropout=0.3)),
    "residual": ODD.change(network=ResNet(((1, 5, 1), (1, 9, 2))), averaging=EMA(0.5)),
}
CASES = [
    *((name, engine) for name in MLPS for engine in ("stacked", "vectorised")),
    *((name, "vectorised") for name in NETWORKS),
]


def made(name, engine, replicas, **settings):
    recipe, data = (MLPS[name], DATA) if name in MLPS else (NETWORKS[name], PICTURES)
    return dict(train_group(recipe, data, seed=0, replicas=replicas, execution=Execution(engine, "cuda", **settings)))


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_bits_do_not_depend_on_the_group(name, engine):
    eight = made(name, engine, range(1, 9))
    for group in ([3], [8, 3], [2, 3, 5]):
        found = made(name, engine, group)
        for replica in group:
            assert bits(found[replica]) == bits(eight[replica]), (group, replica)


@pytest.mark.parametrize(("name", "engine"), [*CASES, *((name, "loop") for name in (*MLPS, *NETWORKS))])
def test_twice_is_the_same(name, engine):
    first, second = (made(name, engine, [1])[1] for _ in range(2))
    assert bits(first) == bits(second)


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_equals_the_reference_engine_and_the_cpu(name, engine):
    found, loop = (made(name, e, [1], precision="float64")[1] for e in (engine, "loop"))
    recipe, data = (MLPS[name], DATA) if name in MLPS else (NETWORKS[name], PICTURES)
    ((_, on_cpu),) = train_group(recipe, data, seed=0, replicas=[1], execution=Execution("loop", precision="float64"))
    for what, array in on_cpu.weights.items():
        np.testing.assert_allclose(loop.weights[what], array, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.weights[what], array, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_recorded_passes_give_the_bits_of_passes_one_by_one(name, engine):
    assert bits(made(name, engine, [1, 2], graphs=True)[2]) == bits(made(name, engine, [1, 2])[2])


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_other_products_are_taken_only_when_asked_for(precision):
    full, other = made("residual", "vectorised", [1]), made("residual", "vectorised", [1], precision=precision)
    assert bits(full[1]) != bits(other[1])
    assert numerics_of(ODD, DATA, Execution("loop", "cuda", precision)).dtype == precision


def test_what_is_chosen_and_recorded():
    assert choose(ODD, DATA, Execution(device="cuda")) == Choice("stacked", "MLP on a GPU")
    assert choose(NETWORKS["LeNet5"], PICTURES, Execution(device="cuda")).engine == "vectorised"
    record = numerics_of(ODD, DATA, Execution("stacked", "cuda", graphs=True))
    assert (record.device, record.kernels) == ("cuda", f"deterministic, recorded, groups of {PLACES}")


def test_the_audit_compares_devices():
    found = audit(ODD, SOURCE, steps=4, execution=Execution(device="cuda"))
    assert found.deterministic
    assert {c.device for c in found.compared} == {"cpu", "cuda"}


def test_free_hardware_is_not_emulated_and_is_recorded():
    free = ODD.change(hardware="free", fixed=("initialisation", "order", "dropout"))
    assert numerics_of(free, DATA, Execution("loop", "cuda")).kernels == "free"
    execution = Execution("loop", "cuda", precision="float64")
    ((_, found),) = train_group(free, DATA, seed=0, replicas=[1], execution=execution)
    ((_, fixed),) = train_group(free.change(hardware="fixed"), DATA, seed=0, replicas=[1], execution=execution)
    for what, array in fixed.weights.items():
        np.testing.assert_allclose(found.weights[what], array, rtol=1e-9, atol=1e-9)
