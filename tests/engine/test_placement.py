"""Whether the stacked engine's bits depend on the grouping is verified on the processor at hand; where they do, loop trains instead."""

import numpy as np
import pytest
import torch

from traintwice.cli._study import engines_in_words
from traintwice.components import OwnBatches
from traintwice.data import Digits
from traintwice.engine import Choice, Execution, _stacked, choose, numerics_of, train, train_group
from traintwice.engine._batches import batch_sizes, batches
from traintwice.engine._choosing import PLACED
from traintwice.engine._run import iterate_weights
from traintwice.engine._stacked import placement_changes_bits
from traintwice.errors import StoreError
from traintwice.methods import ensemble
from traintwice.nets import MLP
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe
from traintwice.study import Experiment, Store, prepare

SOURCE = Digits(train=45, validation=3, test=13)
DATA = SOURCE.load()
ODD = Recipe(network=MLP((9, 7)), optimizer=SGD(0.1, 0.9), epochs=2, batch_size=17)
RECIPES = {
    "momentum": ODD,
    "weights that step inside the product": ODD.change(optimizer=SGD(0.1)),
    "components": ODD.change(method=ensemble(2), network=MLP((9,), batch_norm=True, dropout=0.3)),
    "own batches": ODD.change(method=ensemble(2), own_batches=OwnBatches(0.3)),
}
MULTIPLY = torch.bmm


@pytest.fixture(autouse=True)
def _forgets():
    """No answer of one simulated processor is kept for the next."""
    _stacked._changes_bits.cache_clear()
    yield
    _stacked._changes_bits.cache_clear()


def moved(stack, first):
    """All matrices from one place on, each number by one unit in its last place."""
    if first is None:
        return stack
    stack[first:].copy_(torch.nextafter(stack[first:], torch.full_like(stack[first:], torch.inf)))
    return stack


def one_by_one(a, b, out):
    """Products matrix by matrix, each with memory of its own, so that all round alike wherever a test runs."""
    for left, right, product in zip(a, b, out, strict=True):
        product.copy_(MULTIPLY(left.unsqueeze(0).contiguous(), right.unsqueeze(0).contiguous())[0])
    return out


def simulate(monkeypatch, first=lambda *_: None, first_added=lambda *_: None):
    """A processor whose batched products round otherwise from some matrix on; None where they round all alike.

    Args:
        first, first_added: of a product of two stacks, and of one that is added to weights: the place of the first such matrix.
    """

    def product(a, b, out):
        return moved(one_by_one(a, b, out), first(a, b))

    def added(weights, a, b, *, beta, alpha):
        product = one_by_one(a, b, torch.empty_like(weights))
        return moved(weights.mul_(beta).add_(product, alpha=alpha), first_added(a, b))

    monkeypatch.setattr(torch, "bmm", product)
    monkeypatch.setattr(torch.Tensor, "baddbmm_", added)


@pytest.fixture
def other_processor(monkeypatch):
    """From the third matrix of every product on."""
    simulate(monkeypatch, lambda *_: 2)


def changes_bits(recipe, size=8, precision="float32"):
    return placement_changes_bits(recipe, DATA, Execution(precision=precision), size)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_processor_that_rounds_by_place_is_noticed(name, precision, other_processor):
    assert changes_bits(RECIPES[name], precision=precision)
    assert changes_bits(RECIPES[name], size=1, precision=precision)


@pytest.mark.parametrize("name", RECIPES)
def test_a_processor_that_rounds_every_matrix_alike_is_accepted(name, monkeypatch):
    simulate(monkeypatch)
    before = torch.get_num_threads()
    assert not changes_bits(RECIPES[name])
    assert torch.get_num_threads() == before


def test_every_size_of_a_group_is_verified(monkeypatch):
    simulate(monkeypatch, lambda a, _: 0 if len(a) == 8 else None)
    assert not changes_bits(ODD, size=7)
    assert changes_bits(ODD, size=8)


def test_the_last_mini_batch_is_verified(monkeypatch):
    last = len(DATA.train) % ODD.batch_size
    simulate(monkeypatch, lambda a, _: 2 if last in a.shape else None)
    assert not changes_bits(ODD.change(batch_size=15))  # 45 examples: no mini-batch is smaller
    assert changes_bits(ODD)


def test_products_that_are_added_to_weights_are_verified(monkeypatch):
    simulate(monkeypatch, first_added=lambda *_: 1)
    assert not changes_bits(ODD)
    assert changes_bits(RECIPES["weights that step inside the product"])


@pytest.mark.parametrize("name", RECIPES)
def test_the_sizes_of_mini_batches_are_those_of_an_epoch(name):
    for recipe in (RECIPES[name], RECIPES[name].change(batch_size=15), RECIPES[name].change(batch_size=100)):
        seen = [batch.rows.shape[-1] for batch in batches(recipe, len(DATA.train), seed=0, replica=0, epoch=0)]
        assert batch_sizes(recipe, len(DATA.train)) == list(dict.fromkeys(seen))


def test_a_size_that_does_not_fit_into_memory_is_left_out(monkeypatch):
    def short(a, b, out):
        if len(out) > 3:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory")
        return one_by_one(a, b, out)

    def wrong(a, b, out):
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "bmm", short)
    assert not changes_bits(ODD)
    _stacked._changes_bits.cache_clear()
    monkeypatch.setattr(torch, "bmm", wrong)
    with pytest.raises(RuntimeError, match="something else"):
        changes_bits(ODD)


@pytest.mark.parametrize("engine", ["auto", "stacked"])
def test_loop_trains_instead_and_says_why(engine, other_processor):
    execution = Execution(engine)
    assert choose(ODD, DATA, execution) == Choice("loop", PLACED)
    made = dict(train_group(ODD, DATA, seed=0, replicas=[2, 0], execution=execution))
    *_, walked = iterate_weights(ODD, DATA, seed=0, replica=2, steps=6, execution=execution, others=(0,))
    for m in (0, 2):
        reference = train(ODD, DATA, seed=0, replica=m)
        for name, array in reference.weights.items():
            np.testing.assert_array_equal(made[m].weights[name], array)
            assert m == 0 or np.array_equal(walked[name], array)


def test_a_study_says_it_and_does_not_mix_engines(tmp_path, other_processor):
    experiment, store = Experiment("mine", SOURCE, {"base": ODD}, replicas=3), Store(tmp_path / "s")
    made = prepare(experiment, DATA, store, execution=Execution("stacked"))
    assert engines_in_words(made, 3) == [f"engine: loop, one replica at a time: {PLACED}"]
    assert {task.execution.engine for task in made.missing} == {"loop"}
    there = numerics_of(ODD, DATA, Execution("stacked")).plain()  # of a replica that came from another processor
    store.save(made.missing[0].key, 0, {"test": np.zeros((1, 13, 10), np.float32)}, {"seed": 0, "numerics": there})
    with pytest.raises(StoreError, match="other numerics \\(engine 'stacked' there, 'loop' here\\)"):
        prepare(experiment, DATA, store)
    assert len(prepare(experiment, DATA, store, mix_numerics=True).missing) == 2
