"""A training one step at a time, to look at its weights on the way."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.batches import epoch_of
from traintwice.engine.building import Weights
from traintwice.engine.loop import Training, train
from traintwice.recipes import Earlier, Recipe


def walk(recipe: Recipe, data: Dataset, *, seed: int, replica: int, steps: int) -> Iterator[dict[str, Tensor]]:
    """Parameters and buffers of all components before the first step and after each.

    Args:
        recipe: its epochs are made as many as so many steps need. An earlier model that it starts or learns from is trained first, whole.
        data, seed, replica: what is trained.
        steps: how many, >= 1.
    Yields:
        The tensors themselves, by name ("0.name" of component 0 ...): they change with the next step.
    Raises:
        Diverged: an earlier model's loss or logits became infinite or NaN.
    """
    per_epoch = recipe.steps_per_epoch(len(data.train))
    start, teacher = (_trained(e, data, seed=seed, replica=replica) for e in (recipe.start, recipe.teacher))
    recipe = recipe.change(epochs=max(ceil(steps / per_epoch), 1)).resolve(len(data.train))
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


def _trained(earlier: Earlier | None, data: Dataset, *, seed: int, replica: int) -> Weights | None:
    """Weights of an earlier model, and before it of those that it needs."""
    if earlier is None:
        return None
    recipe, number = earlier.recipe, earlier.replica_for(replica)
    start, teacher = (_trained(e, data, seed=seed, replica=number) for e in (recipe.start, recipe.teacher))
    return train(recipe, data, seed=seed, replica=number, start=start, teacher=teacher).weights
