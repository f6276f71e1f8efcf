"""A training one step at a time, to look at its weights on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil

import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.batches import epoch_of
from traintwice.engine.building import Weights
from traintwice.engine.choosing import Engine, choose
from traintwice.engine.groups import train_group
from traintwice.engine.loop import Training
from traintwice.engine.progressive import check_stream
from traintwice.engine.stacked.feed import TrainingSet
from traintwice.engine.stacked.group import Group, at_least_two
from traintwice.errors import Diverged
from traintwice.recipes import Earlier, Recipe

Earliers = Mapping[int, Weights]
"""Weights of an earlier model, by the replica that needs them; empty where none does."""


def walk(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    steps: int,
    engine: Engine = "auto",
    beside: Sequence[int] = (),
) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers of all components before the first step and after each.

    Args:
        recipe: its epochs are made as many as so many steps need. An earlier model that it starts or learns from is trained first, whole.
        data, seed, replica: what is trained.
        steps: how many, >= 1; see `steps_of`.
        engine: as in `train_group`, of earlier models too.
        beside: other replicas that the stacked engine trains in the same group.
    Yields:
        The tensors themselves, by name ("0.name" of component 0 ...): they change with the next step.
    Raises:
        Diverged: its own or an earlier model's loss or logits became infinite or NaN. BadSpec: see `choose`.
    """
    check_stream(recipe, data)
    chosen = choose(recipe, data, engine=engine).engine
    replicas = [*beside[:1], replica, *beside[1:]]
    starts, teachers = (_trained(e, data, seed=seed, replicas=replicas, engine=engine) for e in (recipe.start, recipe.teacher))
    steps, per_epoch = steps_of(recipe, data, steps), recipe.steps_per_epoch(len(data.train))
    recipe = recipe.change(epochs=max(ceil(steps / per_epoch), 1)).resolve(len(data.train))
    walked = _alone if chosen == "loop" else _together
    yield from walked(recipe, data, seed=seed, replica=replica, replicas=replicas, steps=steps, starts=starts, teachers=teachers)


def steps_of(recipe: Recipe, data: Dataset, steps: int) -> int:
    """How many steps a walk takes where so many are asked for: on a stream, at most those of its one pass."""
    return steps if recipe.progressive is None else min(steps, recipe.steps_per_epoch(len(data.train)))


def _alone(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    replicas: Sequence[int],
    steps: int,
    starts: Earliers,
    teachers: Earliers,
) -> Iterator[dict[str, Tensor]]:
    """By the reference engine, which trains nothing beside a replica."""
    start, teacher = starts.get(replica), teachers.get(replica)
    training = Training(recipe, data, seed=seed, replica=replica, start=start, teacher=teacher, dtype=torch.float32)
    named = {f"{j}.{name}": value for j, net in enumerate(training.networks) for name, value in net.state_dict().items()}
    yield named
    step = 0
    for epoch in range(recipe.epochs):
        training.examples.enter(epoch)
        for batch in epoch_of(recipe, data, seed=seed, replica=replica, epoch=epoch):
            training.step(batch, step)
            yield named
            step += 1
            if step == steps:
                return


def _together(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    replicas: Sequence[int],
    steps: int,
    starts: Earliers,
    teachers: Earliers,
) -> Iterator[dict[str, Tensor]]:
    """By the stacked engine. Another replica that diverges stays in the group: that its numbers touch no others is what a walk can show."""
    examples, group_of, place = TrainingSet.of(data, torch.float32), at_least_two(replicas), replicas.index(replica)
    group = Group(
        recipe,
        data,
        examples,
        seed=seed,
        replicas=group_of,
        starts=[starts.get(r) for r in group_of],
        teachers=[teachers.get(r) for r in group_of],
        dtype=torch.float32,
    )
    yield group.weights(place)
    step = 0
    for epoch in range(recipe.epochs):
        for batch in group.feed.epoch(epoch):
            failed = group.step(batch, step)
            if place in failed:
                raise Diverged(failed[place], step)
            yield group.weights(place)
            step += 1
            if step == steps:
                return


def _trained(earlier: Earlier | None, data: Dataset, *, seed: int, replicas: Sequence[int], engine: Engine) -> Earliers:
    """Weights of an earlier model for each replica, and before it of those that it needs."""
    if earlier is None:
        return {}
    recipe, numbers = earlier.recipe, sorted({earlier.replica_for(r) for r in replicas})
    starts, teachers = (_trained(e, data, seed=seed, replicas=numbers, engine=engine) for e in (recipe.start, recipe.teacher))
    weights = {}
    for number, made in train_group(recipe, data, seed=seed, replicas=numbers, engine=engine, starts=starts, teachers=teachers):
        if isinstance(made, Diverged):
            raise made
        weights[number] = made.weights
    return {r: weights[earlier.replica_for(r)] for r in replicas}
