"""Examples of each step: an order of the training set for each epoch, shared by the components or one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.components import Sample
from traintwice.data import Dataset, Loaded
from traintwice.engine._building import stream_of
from traintwice.errors import BadInput, BadSpec
from traintwice.nets import MLP, Factory, Network, enter_dropout
from traintwice.randomness import stream
from traintwice.recipes import Recipe

LEAST_BLOCK = 10_000
"""Rows that are shuffled at once at least, so that a small window is as fast as a large one."""


@dataclass(frozen=True)
class Batch:
    """Positions of a step's examples in the training set."""

    rows: Tensor  # B if the components share them, else J B
    shared: slice | None = None  # the part of the batch that all components see; None for all of it
    loaded: tuple[Tensor, Tensor] | None = None  # inputs and labels from the user's own loader; rows is then empty
    trained: Tensor | None = None  # places in a stream's batch that are trained on, some several times; None for all, once


@typed
def training_rows(recipe: Recipe, examples: int, *, seed: int, replica: int) -> np.ndarray:
    """Places of a replica's training examples in the training split, in order; all of them where the recipe draws no sample.

    Args:
        recipe: its `sample` is drawn from the stream "data". A teacher or an earlier model with the same sample has the same examples.
        examples: of the training split.
        seed: of the experiment.
        replica: its number.
    Example:
        >>> from traintwice.components import Sample
        >>> training_rows(Recipe(sample=Sample(0.5, replace=False)), 6, seed=0, replica=1).tolist()
        [0, 1, 3]
    """
    if recipe.sample is None:
        return np.arange(examples)
    return recipe.sample.draw(examples, stream(seed, "data", replica=0 if "data" in recipe.fixed else replica))


def epoch_of(recipe: Recipe, data: Dataset, *, seed: int, replica: int, epoch: int) -> Iterator[Batch]:
    """Mini-batches of an epoch, from `batches` or from the user's own loader."""
    loaded = data.train.inputs
    if not isinstance(loaded, Loaded):
        even = evened_out(recipe, data)
        yield from batches(recipe, len(data.train), seed=seed, replica=replica, epoch=epoch, even=even)
        return
    at_least_two = needs_two(recipe, data)
    subsets = any(component.subset < 1 for component in recipe.components)
    if recipe.augmentation is not None or recipe.own_batches is not None or subsets or recipe.sample is not None:
        raise BadSpec(
            f"{loaded.source.maker}: gives mini-batches as they are; augmentation, samples, batches of their own and subsets for "
            "components belong into it"
        )
    owner, none = 0 if "order" in recipe.fixed else replica, torch.empty(0, dtype=torch.int64)
    for inputs, labels in loaded.epoch(seed=seed, replica=owner, epoch=epoch, steps=recipe.steps_per_epoch(len(data.train))):
        if len(labels) == 1 and at_least_two:
            raise BadInput(
                f"{loaded.source.maker}: returned a mini-batch of one example, and batch normalisation needs two; leave it out "
                "(drop_last=True of a DataLoader) and give one step less (examples)"
            )
        yield Batch(none, loaded=(torch.from_numpy(inputs), torch.from_numpy(labels)))


def batches(recipe: Recipe, examples: int, *, seed: int, replica: int, epoch: int, even: bool = False) -> Iterator[Batch]:
    """Mini-batches of an epoch, in order: ceil(N / batch size) of them, the last one smaller if N is not a multiple.

    With ``even`` the last one has two examples in the place of one, and the one before has one less.

    With own batches, components read a shared order (that of a baseline) and orders of their own; a component with a subset reads it
    more than once. A stream of data keeps its order except for a moving window.
    """
    if recipe.progressive is not None:
        window = recipe.progressive.window
        rows_in_order = shuffled(examples, window, lambda block: stream_of(recipe, seed, "order", replica=replica, epoch=block))
        times = np.bincount(training_rows(recipe, examples, seed=seed, replica=replica), minlength=examples)
        for rows_of_batch in in_batches(rows_in_order, recipe.batch_size):
            drawn = np.repeat(np.arange(len(rows_of_batch)), times[rows_of_batch]) if recipe.sample is not None else None
            yield Batch(torch.from_numpy(rows_of_batch), trained=None if drawn is None else torch.from_numpy(drawn))
        return
    all_rows = training_rows(recipe, examples, seed=seed, replica=replica)
    sizes: int | list[int] = recipe.batch_size
    if even:
        sizes = [recipe.batch_size] * (len(all_rows) // recipe.batch_size - 1) + [recipe.batch_size - 1, 2]
    order = _order(recipe, all_rows, seed=seed, replica=replica, component=0, epoch=epoch)
    if recipe.own_batches is None:
        for rows in torch.split(torch.from_numpy(order), sizes):
            yield Batch(rows)
        return
    parts = []
    for j in range(recipe.method.components):
        mine = all_rows[_subset(recipe, len(all_rows), seed=seed, replica=replica, component=j)]
        # Component 0 reads the order of a baseline, so that replica m of both rows sees the same batches.
        own = _order(recipe, mine, seed=seed, replica=replica, component=j, epoch=epoch)
        parts.append(np.resize(own, len(all_rows)))
    own_parts = torch.from_numpy(np.stack(parts)).split(sizes, dim=1)  # type: ignore[no-untyped-call]
    size = recipe.own_batches.size(recipe.batch_size)
    if size == 0:
        for rows in own_parts:
            yield Batch(rows, slice(0, 0))
        return
    steps = len(own_parts)
    shared_order = _order(recipe, all_rows, seed=seed, replica=replica, component=-1, epoch=epoch)
    common = torch.from_numpy(np.resize(shared_order, steps * size))
    for rows, shared in zip(own_parts, common.view(steps, size), strict=True):
        width = rows.shape[1]
        yield Batch(torch.cat([rows, shared.expand(len(rows), -1)], dim=1), slice(width, width + size))


def batch_sizes(recipe: Recipe, examples: int) -> list[int]:
    """Sizes of mini-batches: that of most steps, and that of the last step of an epoch if it is smaller.

    >>> batch_sizes(Recipe(batch_size=64), 150)
    [64, 22]
    """
    own = recipe.own_batches
    shared = 0 if own is None else own.size(recipe.batch_size)
    examples = recipe.epoch_size(examples)
    full, rest = min(recipe.batch_size, examples), examples % recipe.batch_size
    return [size + shared for size in dict.fromkeys([full, rest or full])]


def batches_of(recipe: Recipe, examples: int, *, seed: int, replicas: Sequence[int], epoch: int) -> Iterator[Batch]:
    """Mini-batches of several replicas, rows ``R B`` or ``R J B``."""
    if recipe.own_batches is None:
        rows_of = {r: training_rows(recipe, examples, seed=seed, replica=r) for r in dict.fromkeys(replicas)}
        orders = {r: _order(recipe, own, seed=seed, replica=r, component=0, epoch=epoch) for r, own in rows_of.items()}
        for rows in torch.split(torch.from_numpy(np.stack([orders[r] for r in replicas])), recipe.batch_size, dim=1):
            yield Batch(rows)
        return
    for parts in zip(*(batches(recipe, examples, seed=seed, replica=r, epoch=epoch) for r in replicas), strict=True):
        yield Batch(torch.stack([part.rows for part in parts]), parts[0].shared)


def _order(recipe: Recipe, rows: np.ndarray, *, seed: int, replica: int, component: int, epoch: int) -> np.ndarray:
    return stream_of(recipe, seed, "order", replica=replica, component=component, epoch=epoch).permutation(rows)


def _subset(recipe: Recipe, examples: int, *, seed: int, replica: int, component: int) -> np.ndarray:
    fraction = recipe.components[component].subset if recipe.components else 1.0
    sample = recipe.own_batches.sample if recipe.own_batches is not None else None
    if fraction < 1.0:
        sample = Sample(fraction, replace=False)
    if sample is None:
        return np.arange(examples)
    return sample.draw(examples, stream_of(recipe, seed, "subset", replica=replica, component=component))


def shuffled(examples: int, window: int, draw: Callable[[int], np.random.Generator]) -> Iterator[np.ndarray]:
    r"""Rows 0 … N − 1, each less than W places from its own.

        row i is the one with the r-th smallest i + W·U_i,  U_i uniform in [0, 1)

    Source:
        Ours. Rows that are W or more apart keep their order. ``draw`` maps the number of a block of rows to its generator.
    Example:
        >>> order = np.concatenate(list(shuffled(10, 3, np.random.default_rng)))
        >>> sorted(order.tolist()) == list(range(10)), int(abs(order - np.arange(10)).max()) < 3
        (True, True)
    """
    rows, keys = np.zeros(0, dtype=np.int64), np.zeros(0)
    size = max(window, LEAST_BLOCK)
    for block, start in enumerate(range(0, examples, size)):
        stop = min(start + size, examples)
        more = np.arange(start, stop)
        rows, keys = np.append(rows, more), np.append(keys, more + window * draw(block).random(stop - start))
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        # Rows of later blocks have sums of at least `stop`.
        ready = len(rows) if stop == examples else int(np.searchsorted(keys, stop))
        yield rows[:ready]
        rows, keys = rows[ready:], keys[ready:]


def in_batches(parts: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows in mini-batches; the last may be smaller.

    >>> [batch.tolist() for batch in in_batches(iter([np.arange(3), np.arange(3, 5)]), 2)]
    [[0, 1], [2, 3], [4]]
    """
    left = np.zeros(0, dtype=np.int64)
    for part in parts:
        left = np.append(left, part)
        whole = len(left) - len(left) % size
        for start in range(0, whole, size):
            yield left[start : start + size]
        left = left[whole:]
    if len(left):
        yield left


def evened_out(recipe: Recipe, data: Dataset) -> bool:
    """Whether the last mini-batch of an epoch takes an example from the one before: it would have one, and a network needs two."""
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
    return any(_fails_on_one(network, data.shape, data.classes) for network in networks.values())


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
