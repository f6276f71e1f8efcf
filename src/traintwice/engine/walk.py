"""A training one step at a time, to look at its weights on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.batches import epoch_of
from traintwice.engine.building import Weights
from traintwice.engine.choosing import places_of, with_chosen_engine
from traintwice.engine.execution import DEFAULT_EXECUTION, Execution
from traintwice.engine.groups import KINDS, train_group, training_set
from traintwice.engine.loop import Training
from traintwice.engine.progressive import check_stream
from traintwice.engine.stacked.together import filled
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
    execution: Execution = DEFAULT_EXECUTION,
    beside: Sequence[int] = (),
) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers of all components before the first step and after each.

    Args:
        recipe: its epochs are made as many as so many steps need. An earlier model that it starts or learns from is trained first, whole.
        data, seed, replica: what is trained.
        steps: how many, >= 1; see `steps_of`.
        execution: as in `train_group`, of earlier models too.
        beside: other replicas that are trained in the same group.
    Yields:
        The tensors themselves, by name ("0.name" of component 0 ...): they change with the next step.
    Raises:
        Diverged: its own or an earlier model's loss or logits became infinite or NaN. BadSpec: see `choose`.
    """
    check_stream(recipe, data)
    chosen = with_chosen_engine(recipe, data, execution)
    device = chosen.placed()
    replicas = [*beside[:1], replica, *beside[1:]]
    starts, teachers = (
        _trained(e, data, seed=seed, replicas=replicas, execution=execution) for e in (recipe.start, recipe.teacher)
    )
    steps, per_epoch = steps_of(recipe, data, steps), recipe.steps_per_epoch(len(data.train))
    recipe = recipe.change(epochs=max(ceil(steps / per_epoch), 1)).resolve(len(data.train))
    walked = _alone if chosen.engine == "loop" else _together
    walking = walked(_Walk(recipe, data, seed, replica, replicas, steps, starts, teachers, chosen))
    while True:
        with device.entered(recipe.hardware):
            weights = next(walking, None)
        if weights is None:
            return
        yield weights


def steps_of(recipe: Recipe, data: Dataset, steps: int) -> int:
    """How many steps a walk takes where so many are asked for: on a stream, at most those of its one pass."""
    return steps if recipe.progressive is None else min(steps, recipe.steps_per_epoch(len(data.train)))


@dataclass(frozen=True)
class _Walk:
    """What is walked: a recipe of as many epochs as the steps need, and the replica among those of its group."""

    recipe: Recipe
    data: Dataset
    seed: int
    replica: int
    replicas: Sequence[int]
    steps: int
    starts: Earliers
    teachers: Earliers
    execution: Execution


def _alone(w: _Walk) -> Iterator[dict[str, Tensor]]:
    """By the reference engine, which trains nothing beside a replica."""
    training = Training(
        w.recipe,
        w.data,
        seed=w.seed,
        replica=w.replica,
        start=w.starts.get(w.replica),
        teacher=w.teachers.get(w.replica),
        dtype=w.execution.dtype,
        device=w.execution.placed(),
    )
    named = {f"{j}.{name}": value for j, net in enumerate(training.networks) for name, value in net.state_dict().items()}
    yield named
    step = 0
    for epoch in range(w.recipe.epochs):
        training.examples.enter(epoch)
        for batch in epoch_of(w.recipe, w.data, seed=w.seed, replica=w.replica, epoch=epoch):
            training.step(batch, step)
            yield named
            step += 1
            if step == w.steps:
                return


def _together(w: _Walk) -> Iterator[dict[str, Tensor]]:
    """By an engine that trains replicas together. One that diverges stays in the group: its numbers touch no others, which a walk shows."""
    group_of = filled(w.replicas, places_of(w.recipe, w.data, w.execution) or 2)
    place = w.replicas.index(w.replica)
    group = KINDS[w.execution.engine](
        w.recipe,
        w.data,
        training_set(w.data, w.execution),
        seed=w.seed,
        replicas=group_of,
        starts=[w.starts.get(r) for r in group_of],
        teachers=[w.teachers.get(r) for r in group_of],
        dtype=w.execution.dtype,
        device=w.execution.placed(),
    )
    yield group.weights(place)
    step = 0
    for epoch in range(w.recipe.epochs):
        for batch in group.feed.epoch(epoch):
            failed = group.step(batch, step)
            if place in failed:
                raise Diverged(failed[place], step)
            yield group.weights(place)
            step += 1
            if step == w.steps:
                return


def _trained(earlier: Earlier | None, data: Dataset, *, seed: int, replicas: Sequence[int], execution: Execution) -> Earliers:
    """Weights of an earlier model for each replica, and before it of those that it needs."""
    if earlier is None:
        return {}
    recipe, numbers = earlier.recipe, sorted({earlier.replica_for(r) for r in replicas})
    starts, teachers = (
        _trained(e, data, seed=seed, replicas=numbers, execution=execution) for e in (recipe.start, recipe.teacher)
    )
    weights = {}
    for number, made in train_group(
        recipe, data, seed=seed, replicas=numbers, execution=execution, starts=starts, teachers=teachers
    ):
        if isinstance(made, Diverged):
            raise made
        weights[number] = made.weights
    return {r: weights[earlier.replica_for(r)] for r in replicas}
