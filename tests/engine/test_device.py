"""Where a training runs and in which numbers, as far as a machine without a GPU can say."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Device, Execution, Numerics, choose, numerics_of, train_group
from traintwice.engine.device import kernels, present
from traintwice.engine.groups import training_set
from traintwice.errors import BadSpec, StoreError
from traintwice.methods import anti_distillation, co_distillation, ensemble
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe
from traintwice.schedules import Ramp
from traintwice.study import Experiment, Store, run

DATA = Digits(train=45, validation=3, test=13).load()
ODD = Recipe(network=MLP((9, 7), dropout=0.3), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
without_a_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


def test_devices_that_there_are():
    assert present()[0] == "cpu"
    for wrong in ({"name": "tpu"}, {"products": "tf32"}, {"graphs": True}):
        with pytest.raises(BadSpec, match=r"expected 'cpu' or 'cuda'|a mode of GPUs|on a GPU only"):
            Device(**wrong)


@without_a_gpu
def test_a_device_that_is_not_there_is_said():
    gpu = Execution(device="cuda", precision="tf32")
    for asked in (lambda: Device("cuda"), lambda: choose(ODD, DATA, gpu), gpu.placed):
        with pytest.raises(BadSpec, match=r"device: got 'cuda', but PyTorch .* finds cpu only on this machine; use 'cpu'"):
            asked()


def test_deterministic_kernels_are_asked_for_and_everything_is_put_back():
    def now():
        cudnn = torch.backends.cudnn
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            cudnn.allow_tf32,
            cudnn.deterministic,
            cudnn.benchmark,
        )

    before = now()
    with kernels(tf32=False):
        assert now() == (True, "highest", False, True, False)
    with kernels(tf32=True):
        assert now() == (True, "high", True, True, False)
    with kernels(tf32=False, free=True):
        assert now() == (False, "highest", False, False, True)
    with pytest.raises(KeyError), kernels(tf32=True):
        raise KeyError
    assert now() == before


def test_the_record_of_a_plain_training_is_what_it_was():
    """Stores know replicas by it."""
    record = numerics_of(ODD, DATA, Execution("stacked")).plain()
    assert list(record) == ["engine", "threads", "dtype", "device", "processor", "torch", "numpy"]
    assert record == {
        name: value for name, value in asdict(Numerics.here(Execution("stacked"), threads=1)).items() if value is not None
    }
    assert (record["dtype"], record["device"]) == ("float32", "cpu")
    assert numerics_of(ODD, DATA, Execution("loop", precision="bf16"), threads=2).plain()["dtype"] == "bf16"
    assert numerics_of(ODD, DATA, Execution("vectorised", precision="float64")).plain()["kernels"] == "groups of 32"


@pytest.mark.parametrize("engine", ["loop", "vectorised"])
def test_mixed_precision_is_near_and_another(engine):
    full, mixed = (
        dict(train_group(ODD, DATA, seed=0, replicas=[1], execution=Execution(engine, precision=precision)))[1]
        for precision in ("float32", "bf16")
    )
    assert bits(full) != bits(mixed)
    for name, array in full.weights.items():
        assert mixed.weights[name].dtype == array.dtype
        np.testing.assert_allclose(mixed.weights[name], array, atol=0.02)


def test_mixed_precision_is_not_for_hand_written_passes():
    assert choose(ODD, DATA, Execution(precision="bf16")).reason == "bf16 is not for passes written by hand"
    with pytest.raises(BadSpec, match="'stacked' cannot train this recipe: bf16"):
        choose(ODD, DATA, Execution("stacked", precision="bf16"))


def test_what_can_be_recorded_computes_the_same_at_every_step():
    assert ensemble(2).constant
    assert not co_distillation(Ramp(1.0, epochs=1)).constant
    assert not co_distillation(kind="ce", lag_steps=2).constant
    assert not anti_distillation(2, rho=0.9).constant


def test_the_training_set_keeps_bytes_where_no_rows_are_made():
    assert training_set(DATA, Execution("stacked")).rows is not None
    assert training_set(DATA, Execution("vectorised")).rows is None


def test_a_study_in_double_precision(tmp_path):
    small = Digits(train=40, validation=5, test=10)
    experiment, store = Experiment("mine", small, {"base": ODD.change(epochs=1)}, replicas=2), Store(tmp_path / "s")
    double = Execution(precision="float64", jobs=1)
    results = run(experiment, store=store, execution=double)
    assert [r["numerics"]["dtype"] for r in results.rows["base"].records] == ["float64"] * 2
    ((_, made),) = train_group(experiment.rows["base"], results.data, seed=0, replicas=[1], execution=double)
    np.testing.assert_array_equal(store.load(experiment.key("base", results.data), 1)["test"], made.outputs["test"])
    more = Experiment.from_dict({**experiment.to_dict(), "replicas": 3})
    with pytest.raises(StoreError, match=r"other numerics \(dtype 'float64' there, 'float32' here\)"):
        run(more, store=store, execution=Execution(jobs=1))
