"""Streams of a replica: shared by recipes, free or fixed by source, for every library."""

import random

import numpy as np
import pytest
import torch

from traintwice.errors import BadSpec, UnknownName
from traintwice.replication._replica_run import LARGEST_SEED, Run, check_sources


def test_seeds_differ_between_replicas_and_sources_and_not_between_recipes():
    seeds = {Run(recipe, m).seed_of(source) for recipe in ("a", "b") for m in range(5) for source in ("init", "order")}
    assert len(seeds) == 10
    assert all(0 <= seed < LARGEST_SEED for seed in seeds)
    assert Run("a", 3).seed == Run("b", 3).seed != Run("a", 3, study_seed=1).seed


def test_a_stream_starts_anew_at_each_call():
    run = Run("a", 1)
    assert run.stream("init").random() == run.stream("init").random() == run.rng("numpy", "init").random()


def test_sources_that_do_not_vary_are_those_of_replica_0():
    first, second = (Run("a", m, vary=("init",)) for m in (0, 1))
    assert first.seed_of("init") != second.seed_of("init")
    assert first.seed_of("order") == second.seed_of("order")
    assert first.seed == second.seed


def test_generators_of_torch():
    a, b = (torch.rand(3, generator=Run("a", m).rng("torch", "init")) for m in (0, 0))
    assert torch.equal(a, b)
    with pytest.raises(UnknownName, match="library"):
        Run("a", 0).rng("tensor")


def test_seed_everything():
    def draw():
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        Run("a", 2).seed_everything()
        first = draw()
        Run("a", 2).seed_everything()
        assert draw() == first
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def test_samples_are_the_replicas_own():
    one, other = (Run("a", m).sample(50) for m in (0, 1))
    assert not np.array_equal(one, other)
    assert len(set(one.tolist())) < 50
    part = Run("a", 0).sample(50, share=0.8)
    assert len(set(part.tolist())) == 40
    fixed = [Run("a", m, vary=("init",)).sample(50) for m in (0, 1)]
    np.testing.assert_array_equal(*fixed)


@pytest.mark.parametrize(("n", "share"), [(0, None), (5, 0.0), (5, 1.5)])
def test_samples_refuse(n, share):
    with pytest.raises(BadSpec, match=r"run\.sample"):
        Run("a", 0).sample(n, share=share)


def test_sources_by_recipe():
    assert check_sources({"b": ["order"]}, ["a", "b"]) == {"a": None, "b": ("order",)}
    with pytest.raises(UnknownName, match="no recipe named 'c'"):
        check_sources({"c": ["order"]}, ["a", "b"])
    with pytest.raises(BadSpec, match="expected a list of sources"):
        check_sources("init", ["a"])


def test_costs_add_up():
    run = Run("base", 0)
    run.cost(gpu_hours=1.5)
    run.cost(gpu_hours=1, dollars=8)
    assert run.costs == {"gpu_hours": 2.5, "dollars": 8.0}
    with pytest.raises(BadSpec, match=r"run.cost: gpu_hours: got 'much', expected a number of at least 0"):
        run.cost(gpu_hours="much")
