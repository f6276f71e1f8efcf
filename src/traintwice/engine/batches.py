"""Which examples a step sees: an order of the training set for each epoch, shared by the components or their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from traintwice.data import Dataset, Loaded
from traintwice.engine.building import stream_of
from traintwice.engine.window import in_batches, shuffled
from traintwice.errors import BadSpec
from traintwice.recipes import Recipe


@dataclass(frozen=True)
class Batch:
    """Positions of a step's examples in the training set.

    Attributes:
        rows: ``B`` where the components share them, else ``J B``.
        shared: where in the batch the examples lie that all components see; None for all of it.
        given: inputs and labels themselves, where a loader of the user's gives them; ``rows`` is then empty.
    """

    rows: Tensor
    shared: slice | None = None
    given: tuple[Tensor, Tensor] | None = None


def epoch_of(recipe: Recipe, data: Dataset, *, seed: int, replica: int, epoch: int) -> Iterator[Batch]:
    """The mini-batches of an epoch: by `batches`, or as the user's own loader gives them.

    Raises:
        BadSpec: the recipe asks for an order or views of its own, which a loader does not leave to it.
    """
    loaded = data.train.inputs
    if not isinstance(loaded, Loaded):
        yield from batches(recipe, len(data.train), seed=seed, replica=replica, epoch=epoch)
        return
    subsets = any(component.subset < 1 for component in recipe.components)
    if recipe.augmentation is not None or recipe.own_batches is not None or subsets:
        raise BadSpec(
            f"{loaded.source.maker}: gives mini-batches as they are; augmentation, batches of their own and subsets for components "
            "belong into it"
        )
    owner, none = 0 if "order" in recipe.fixed else replica, torch.empty(0, dtype=torch.int64)
    for inputs, labels in loaded.epoch(seed=seed, replica=owner, epoch=epoch, steps=recipe.steps_per_epoch(len(data.train))):
        yield Batch(none, given=(torch.from_numpy(inputs), torch.from_numpy(labels)))


def batches(recipe: Recipe, examples: int, *, seed: int, replica: int, epoch: int) -> Iterator[Batch]:
    """The mini-batches of an epoch, in order.

    Args:
        recipe: its batch size, subsets and whether components have batches of their own.
        examples: N of the training set.
        seed, replica, epoch: whose order it is.
    Yields:
        ceil(N / batch size) batches, the last one smaller where N is no multiple. With batches of their own, components read a shared
        order (the one that a baseline would read) and orders of their own; a component with a smaller subset goes through
        it more than once. A stream keeps its order but for a moving window.
    """
    if recipe.progressive is not None:
        parts_of_stream = shuffled(
            examples,
            recipe.progressive.window,
            lambda block: stream_of(recipe, seed, "order", replica=replica, epoch=block),
        )
        for rows_of_batch in in_batches(parts_of_stream, recipe.batch_size):
            yield Batch(torch.from_numpy(rows_of_batch))
        return
    order = _order(recipe, np.arange(examples), seed=seed, replica=replica, stream=0, epoch=epoch)
    if recipe.own_batches is None:
        for rows in torch.split(torch.from_numpy(order), recipe.batch_size):
            yield Batch(rows)
        return
    parts = []
    for j in range(recipe.method.components):
        mine = _subset(recipe, examples, seed=seed, replica=replica, component=j)
        # Component 0 reads the order of a baseline, so that replica m of both rows sees the same batches.
        own = _order(recipe, mine, seed=seed, replica=replica, stream=j, epoch=epoch)
        parts.append(np.resize(own, examples))
    own_parts = torch.from_numpy(np.stack(parts)).split(recipe.batch_size, dim=1)  # type: ignore[no-untyped-call]
    size = recipe.own_batches.size(recipe.batch_size)
    if size == 0:
        for rows in own_parts:
            yield Batch(rows, slice(0, 0))
        return
    steps = len(own_parts)
    shared_order = _order(recipe, np.arange(examples), seed=seed, replica=replica, stream=-1, epoch=epoch)
    common = torch.from_numpy(np.resize(shared_order, steps * size))
    for rows, shared in zip(own_parts, common.view(steps, size), strict=True):
        width = rows.shape[1]
        yield Batch(torch.cat([rows, shared.expand(len(rows), -1)], dim=1), slice(width, width + size))


def batch_sizes(recipe: Recipe, examples: int) -> list[int]:
    """How many examples a network sees in a step: in most steps, and in the last of an epoch where it has fewer.

    >>> batch_sizes(Recipe(batch_size=64), 150)
    [64, 22]
    """
    own = recipe.own_batches
    shared = 0 if own is None else own.size(recipe.batch_size)
    full, rest = min(recipe.batch_size, examples), examples % recipe.batch_size
    return [size + shared for size in dict.fromkeys([full, rest or full])]


def batches_of(recipe: Recipe, examples: int, *, seed: int, replicas: Sequence[int], epoch: int) -> Iterator[Batch]:
    """The mini-batches of several replicas side by side: rows ``R B`` or ``R J B``; for the rest see `batches`."""
    if recipe.own_batches is None:
        orders = [_order(recipe, np.arange(examples), seed=seed, replica=r, stream=0, epoch=epoch) for r in replicas]
        for rows in torch.split(torch.from_numpy(np.stack(orders)), recipe.batch_size, dim=1):
            yield Batch(rows)
        return
    for parts in zip(*(batches(recipe, examples, seed=seed, replica=r, epoch=epoch) for r in replicas), strict=True):
        yield Batch(torch.stack([part.rows for part in parts]), parts[0].shared)


def _order(recipe: Recipe, rows: np.ndarray, *, seed: int, replica: int, stream: int, epoch: int) -> np.ndarray:
    return stream_of(recipe, seed, "order", replica=replica, component=stream, epoch=epoch).permutation(rows)


def _subset(recipe: Recipe, examples: int, *, seed: int, replica: int, component: int) -> np.ndarray:
    fraction = recipe.components[component].subset if recipe.components else 1.0
    if fraction == 1.0:
        return np.arange(examples)
    drawn = stream_of(recipe, seed, "subset", replica=replica, component=component).permutation(examples)
    return np.sort(drawn[: max(round(fraction * examples), 1)])
