"""A last mini-batch of one example, of which batch normalisation has no statistics."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from traintwice._typed import typed
from traintwice.data import Dataset, Loaded
from traintwice.errors import BadSpec
from traintwice.nets import MLP, Factory, Network, enter_dropout
from traintwice.recipes import Recipe


def evened_out(recipe: Recipe, data: Dataset) -> bool:
    """Whether the last mini-batch of an epoch takes an example from the one before: it would have one, and a network needs two.

    Raises:
        BadSpec: mini-batches are too small for that.
    """
    size, examples = recipe.batch_size, recipe.epoch_size(len(data.train))
    if isinstance(data.train.inputs, Loaded) or examples % size != (1 if size > 1 else 0) or not needs_two(recipe, data):
        return False
    if size < 3 or examples < 3:
        raise BadSpec(
            f"Recipe.batch_size: got {size} for {examples:,} training examples, which leaves a mini-batch of one example, and batch "
            "normalisation needs two; set batch_size to 3 or more"
        )
    return True


@typed
def note_on_last_batch(recipe: Recipe, data: Dataset) -> str | None:
    """What a user has to know of the last mini-batch, in words; None for nothing."""
    if not evened_out(recipe, data):
        return None
    examples = recipe.epoch_size(len(data.train))
    return (
        f"{examples:,} training examples in mini-batches of {recipe.batch_size} leave a last one of one example, and batch "
        f"normalisation needs two: the last two mini-batches have {recipe.batch_size - 1} and 2"
    )


def needs_two(recipe: Recipe, data: Dataset) -> bool:
    """Whether a network of the recipe cannot be trained on a mini-batch of one example."""
    networks = {id(n): n for n in (recipe.network_of(j) for j in range(recipe.method.components))}
    return any(_fails_on_one(network, data.shape, data.classes) for network in networks.values())  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def _fails_on_one(network: Network, shape: tuple[int, ...], classes: int) -> bool:
    if isinstance(network, MLP):
        return network.batch_norm
    if not isinstance(network, Factory):  # pictures have several values for each channel
        return False
    made = network.build(shape, classes, np.random.default_rng(0)).train()
    enter_dropout(made, np.random.default_rng(0))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            made(torch.zeros(1, *shape, dtype=next((p.dtype for p in made.parameters()), torch.float32)))
    except ValueError as error:
        return "more than 1 value per channel" in str(error)
    return False
