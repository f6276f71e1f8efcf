"""How recipes are trained: what is checked where it is made, and what a record says of it."""

import json
from typing import get_args

import numpy as np
import pytest
import torch

from traintwice.data import Digits
from traintwice.engine import Engine, Execution, numerics_of, with_chosen_engine
from traintwice.engine.numerics import processor_name
from traintwice.errors import BadSpec
from traintwice.nets import MLP
from traintwice.recipes import Recipe
from traintwice.specs import decode, encode

DATA = Digits(train=45, validation=3, test=13).load()
ODD = Recipe(network=MLP((9, 7)), batch_size=17)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "fast"}, "engine: got 'fast', expected 'auto', 'loop', 'stacked' or 'vectorised'"),
        ({"device": "tpu"}, "device: got 'tpu', expected 'cpu' or 'cuda'"),
        ({"precision": "half"}, "precision: got 'half', expected 'float32', 'float64', 'tf32' or 'bf16'"),
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
