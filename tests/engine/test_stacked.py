"""The stacked engine: its numbers are those of the reference engine, and where the processor allows it, the bits of a replica do not depend
on the others."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from keeping import Keeping

from traintwice.augmentation import Shift
from traintwice.averaging import EMA, SWA, Snapshots
from traintwice.components import Component, OwnBatches
from traintwice.data import Digits
from traintwice.engine import Choice, Execution, choose, group_size, train, train_group
from traintwice.engine import _choosing as choosing
from traintwice.engine._choosing import LARGEST, obstacle_to_stacking
from traintwice.engine._stacked import placement_changes_bits
from traintwice.errors import BadInput, BadSpec, Diverged
from traintwice.losses import CrossEntropy, LogitL2, Only
from traintwice.methods import BUILDERS, Method, Term, anti_distillation, co_distillation, ensemble
from traintwice.nets import MLP, SharedTrunk
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
    "whole vectors": ODD.change(network=MLP((64, 16)), batch_size=16),
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
    "own views": PAIR.change(augmentation=Shift(), views="own"),
    "alike": PAIR.change(network=MLP((9,), dropout=0.3), own_batches=OwnBatches(), alike=("initialisation", "dropout")),
    "own views, peers": ODD.change(
        network=MLP((9, 7), dropout=0.3, batch_norm=True),
        method=co_distillation(kind="ce", lag_steps=2),
        augmentation=Shift(),
        views="own",
    ),
    "own views of shared batches": ODD.change(
        method=anti_distillation(2), own_batches=OwnBatches(0.3), augmentation=Shift(), views="own"
    ),
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


@pytest.fixture(autouse=True)
def _stacked_on_every_processor(monkeypatch):
    monkeypatch.setattr(choosing, "placement_changes_bits", lambda *_: False)


def needs_equal_bits(recipe, data=DATA, size=LARGEST):
    """Skip the rest of a test that compares bits where the processor rounds by the place in a group; agreement is tested everywhere."""
    if placement_changes_bits(recipe, data, Execution(), size):
        pytest.skip("this processor rounds a matrix product by its place in the group")


@pytest.fixture(scope="module")
def teachers():
    return {m: train(TEACHER, DATA, seed=0, replica=m).weights for m in range(9)}


STACK = Execution("stacked")


def together(recipe, replicas, teachers=None, execution=STACK, **settings):
    return dict(train_group(recipe, DATA, seed=0, replicas=replicas, execution=execution, teachers=teachers, **settings))


def bits(trained):
    return {name: array.tobytes() for name, array in {**trained.outputs, **trained.weights}.items()}


def test_every_method_is_stacked():
    assert set(RECIPES) == set(STACKED)


@pytest.mark.parametrize("name", STACKED)
def test_bits_do_not_depend_on_the_group(name, teachers):
    recipe = STACKED[name]
    needs_equal_bits(recipe)
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
    for m, made in together(recipe, [0, 4], teachers, replace(STACK, precision="float64")).items():
        reference = train(recipe, DATA, seed=0, replica=m, teacher=teachers[m], execution=Execution("loop", precision="float64"))
        assert made.steps == reference.steps
        assert made.outputs.keys() == reference.outputs.keys()
        assert made.weights.keys() == reference.weights.keys()
        for name, array in reference.weights.items():
            np.testing.assert_allclose(made.weights[name], array, rtol=1e-9, atol=1e-9)
        for name, array in reference.outputs.items():
            np.testing.assert_allclose(made.outputs[name], array, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "ensemble with all", "snapshots", "SWA", "stale peers", "memory", "AdamW", "SGD"])
def test_resumed_in_another_grouping(name, teachers):
    recipe = STACKED[name]
    needs_equal_bits(recipe)
    whole = together(recipe, [0, 1, 2])
    keepers = {m: Keeping(stop=5) for m in range(3)}
    with pytest.raises(KeyboardInterrupt):
        together(recipe, [0, 1, 2], keepers=keepers)
    late = Keeping(at=4, stop=4)
    with pytest.raises(KeyboardInterrupt):
        together(recipe, [2], keepers={2: late})
    keepers[2] = late  # one of them has come further than the others
    for group in ([1], [2, 0]):
        made = together(recipe, group, keepers={m: Keeping(keepers[m].kept, at=-1) for m in group})
        for m in group:
            assert bits(made[m]) == bits(whole[m])


@pytest.mark.parametrize("method", [ensemble(1), co_distillation(1.0)])
def test_a_replica_that_diverges_leaves_the_others_alone(method):
    """Weights of one replica are set so high that its loss overflows."""
    recipe = ODD.change(method=method, start=Earlier(ODD))
    starts = {m: train(ODD, DATA, seed=0, replica=m).weights for m in range(3)}
    alone = together(recipe, [0, 2], starts=starts)
    starts[1] = {name: array * 1e30 for name, array in starts[1].items()}
    made = together(recipe, [0, 1, 2], starts=starts)
    assert isinstance(made[1], Diverged)
    with pytest.raises(Diverged) as reference:
        train(recipe, DATA, seed=0, replica=1, start=starts[1])
    assert (str(made[1]), made[1].step) == (str(reference.value), reference.value.step)
    needs_equal_bits(recipe)
    for m in (0, 2):
        assert bits(made[m]) == bits(alone[m])


DRIVEN = Method((Term(CrossEntropy()), Term(LogitL2(), -1.0)))


@pytest.mark.parametrize(
    ("method", "cause"),
    [
        (ensemble(1), "; the steps may be too large: lower the learning rate, or clip the gradients"),
        (DRIVEN, "; at the last finite step LogitL2() enlarged them most: lower its weight or the learning rate"),
        (anti_distillation(2, -1.0, rho=0.5), "; at the last finite step RunningDecorrelation("),
    ],
)
def test_logits_that_overflow_in_the_last_step_name_its_cause(method, cause):
    recipe = ODD.change(method=method, epochs=1, batch_size=45, optimizer=SGD(1e30))
    (made,) = together(recipe, [0]).values()
    with pytest.raises(Diverged) as reference:
        train(recipe, DATA, seed=0, replica=0)
    assert (str(made), made.step) == (str(reference.value), 1)
    assert str(made).startswith(f"the logits of the validation split are not finite after step 1{cause}")


def test_groups_shrink_where_memory_is_short(monkeypatch):
    """Memory for the stack of more than two networks is not to be had."""
    from traintwice.engine import _group as shared

    asked, whole = [], together(ODD, range(5))

    class Short(shared.Stack):
        def __init__(self, blocks, networks, dtype):
            asked.append(networks)
            if networks > 2:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory")
            super().__init__(blocks, networks, dtype)

    monkeypatch.setattr(shared, "Stack", Short)
    made = together(ODD, range(5))
    assert asked == [5, 3, 2, 2, 2]
    needs_equal_bits(ODD)
    assert {m: bits(t) for m, t in made.items()} == {m: bits(t) for m, t in whole.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to a limit of its memory and says what it has")
def test_groups_shrink_under_a_limit_of_memory():
    """The least memory with which eight replicas are trained is enough for groups of some of them and not of all."""
    script = Path(__file__).with_name("short_of_memory.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["all_fit"], f"with {found['megabytes']} MB more"
    trained = runpy.run_path(str(script))
    needs_equal_bits(trained["RECIPE"], trained["DATA"], len(trained["REPLICAS"]))
    assert found["digests"] == trained["digests"](3)


def test_other_errors_are_not_taken_for_want_of_memory(monkeypatch):
    from traintwice.engine import _group as shared

    def broken(*_):
        raise RuntimeError("something else")

    monkeypatch.setattr(shared, "Stack", broken)
    with pytest.raises(RuntimeError, match="something else"):
        together(ODD, range(5))


def test_groups_of_every_size_give_the_same(teachers):
    needs_equal_bits(PAIR)
    whole = together(PAIR, range(5))
    for at_once in (1, 2, 3):
        made = together(PAIR, range(5), at_once=at_once)
        assert {m: bits(t) for m, t in made.items()} == {m: bits(t) for m, t in whole.items()}


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        three = together(ODD, [0])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert bits(three[0]) == bits(together(ODD, [0])[0])


def test_what_is_chosen_and_why():
    assert choose(ODD, DATA) == Choice("stacked", "MLP on a CPU")
    assert choose(ODD, DATA, Execution("loop")) == Choice("loop", "requested")
    assert choose(ODD, DATA, STACK) == Choice("stacked", "requested")
    with pytest.raises(BadSpec, match="'stacked' cannot train this recipe: the method trains a gate; choose 'auto' or 'loop'"):
        choose(GATED, DATA, STACK)


GATED = ODD.change(method=ensemble(2, "gate"))


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (GATED, "the method trains a gate"),
        (ODD.change(network=SharedTrunk((9,))), "SharedTrunk is not an MLP"),
        (ODD.change(method=anti_distillation(2, signal="1")), "a loss reads outputs of inner layers"),
        (
            PAIR.change(components=(Component(), Component(network=MLP((4,))))),
            "components differ in structure, optimiser or inputs",
        ),
        (
            PAIR.change(components=(Component(), Component(optimizer=SGD(0.5)))),
            "components differ in structure, optimiser or inputs",
        ),
        (PAIR.change(components=(Component(), Component(inputs=(0, 5)))), "components differ in structure, optimiser or inputs"),
        (BATCH_NORM.change(batch_size=44), "batch normalisation of a last mini-batch of one example"),
    ],
)
def test_what_is_left_to_the_reference_engine(recipe, reason):
    assert choose(recipe, DATA) == Choice("loop", reason)


def test_the_reference_engine_gives_the_same_through_either_door():
    (made,) = dict(train_group(GATED, DATA, seed=0, replicas=[2])).values()
    assert bits(made) == bits(train(GATED, DATA, seed=0, replica=2))


def test_larger_networks_have_smaller_groups(monkeypatch):
    monkeypatch.setattr(choosing, "cache_bytes", lambda: choosing.OWN_CACHE)
    monkeypatch.setattr(choosing, "available_bytes", lambda: 4 << 30)
    sizes = [group_size(ODD.change(network=MLP(h), batch_size=128), DATA, STACK) for h in ((16,), (256, 256), (20000, 20000))]
    assert sizes[0] == LARGEST
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] >= 1


def test_no_replica_is_none():
    assert together(ODD, []) == {}


def test_a_replica_is_asked_for_once():
    with pytest.raises(BadInput, match="different numbers"):
        together(ODD, [1, 1])
