"""How recipes are trained: checks of an `Execution`, its precision and device, and the record of it."""

import json
from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Engine, Execution, Numerics, choose, numerics_of, train_group, with_chosen_engine
from traintwice.engine._choosing import processor_name
from traintwice.engine._execution import available_devices, gpu_kernels
from traintwice.engine._reading import TrainingSet
from traintwice.errors import BadSpec, StoreError
from traintwice.methods import anti_distillation, co_distillation, ensemble
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe
from traintwice.schedules import Ramp
from traintwice.specs import decode, encode
from traintwice.study import Experiment, Store, run

DATA = Digits(train=45, validation=3, test=13).load()
ODD = Recipe(network=MLP((9, 7), dropout=0.3), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
without_a_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


def test_the_cpu_is_always_available():
    assert available_devices()[0] == "cpu"


@without_a_gpu
def test_a_device_that_is_not_there_is_said():
    gpu = Execution(device="cuda", precision="tf32")
    for asked in (Execution(device="cuda").check_present, lambda: choose(ODD, DATA, gpu), gpu.check_present):
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
    with gpu_kernels(tf32=False):
        assert now() == (True, "highest", False, True, False)
    with gpu_kernels(tf32=True):
        assert now() == (True, "high", True, True, False)
    with gpu_kernels(tf32=False, free=True):
        assert now() == (False, "highest", False, False, True)
    with pytest.raises(KeyError), gpu_kernels(tf32=True):
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
    assert "kernels" not in numerics_of(ODD, DATA, Execution("vectorised", precision="float64")).plain()


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
    assert choose(ODD, DATA, Execution(precision="bf16")).reason == "hand-written passes have no bf16"
    with pytest.raises(BadSpec, match="'stacked' cannot train this recipe: hand-written passes have no bf16"):
        choose(ODD, DATA, Execution("stacked", precision="bf16"))


def test_what_can_be_recorded_computes_the_same_at_every_step():
    assert ensemble(2).constant
    assert not co_distillation(Ramp(1.0, epochs=1)).constant
    assert not co_distillation(kind="ce", lag_steps=2).constant
    assert not anti_distillation(2, rho=0.9).constant


def test_the_training_set_keeps_bytes_where_no_rows_are_made():
    assert TrainingSet.of(DATA, Execution("stacked")).rows is not None
    assert TrainingSet.of(DATA, Execution("vectorised")).rows is None


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "fast"}, "Execution.engine: got 'fast', expected one of 'auto', 'loop', 'stacked', 'vectorised'"),
        ({"device": "tpu"}, "Execution.device: got 'tpu', expected one of 'cpu', 'cuda'"),
        ({"precision": "half"}, "Execution.precision: got 'half', expected one of 'float32', 'float64', 'tf32', 'bf16'"),
        ({"precision": "tf32"}, "precision: got 'tf32', which is a mode of GPUs; take 'float32' on the CPU"),
        ({"graphs": True}, "graphs: kernels are recorded on a GPU only; leave it out on the CPU"),
        ({"jobs": 0}, "jobs: got 0, expected at least 1"),
    ],
)
def test_what_cannot_be_is_said_where_it_is_made(settings, message):
    with pytest.raises(BadSpec) as said:
        Execution(**settings)
    assert str(said.value) == message


def test_where_and_in_which_numbers():
    for precision, dtype in (("float32", torch.float32), ("float64", torch.float64), ("bf16", torch.float32)):
        execution = Execution(precision=precision)
        execution.check_present()
        assert (execution.torch_device, execution.dtype) == (torch.device("cpu"), dtype)


@pytest.mark.parametrize(
    "execution", [Execution(), Execution("stacked", precision="float64", jobs=3), Execution("loop", "cuda", "tf32", graphs=True)]
)
def test_worker_processes_are_told_all_of_it(execution):
    """A value for a GPU can be made, written and read on a machine without one."""
    line = json.dumps(encode(execution))
    assert decode(Execution, json.loads(line)) == execution


def test_the_chosen_engine_takes_the_place_of_auto():
    asked = Execution(precision="bf16", jobs=2)  # hand-written passes have no bf16
    assert with_chosen_engine(ODD, DATA, asked) == Execution("loop", precision="bf16", jobs=2)


@pytest.mark.parametrize(("engine", "precision"), [(e, p) for e in get_args(Engine)[1:] for p in ("float32", "float64", "bf16")])
def test_a_record_is_what_it_was(engine, precision):
    """Stores know by it what may lie in one row; the number of processes is no part of it."""
    execution = Execution(engine, precision=precision, jobs=3)
    plain = {
        "engine": engine,
        "threads": 2 if engine == "loop" else 1,
        "dtype": precision,
        "device": "cpu",
        "processor": processor_name(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
    assert json.dumps(numerics_of(ODD, DATA, execution, threads=2).plain()) == json.dumps(plain)


def test_numerics_are_those_of_a_chosen_engine():
    with pytest.raises(BadSpec, match="engine: got 'auto', expected a chosen one"):
        numerics_of(ODD, DATA, Execution())
