"""Which engine trains a recipe, and how many replicas it trains at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np

from traintwice.data import Dataset
from traintwice.engine.device import Products
from traintwice.engine.execution import DEFAULT_EXECUTION, Execution
from traintwice.engine.memory import available_bytes, cache_bytes
from traintwice.engine.stacked.placement import placement_changes_bits
from traintwice.engine.vectorised.trial import tried
from traintwice.errors import BadSpec
from traintwice.nets import MLP, SharedNetwork
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Recipe

PLACES = 32
"""Replicas in a group whose size is fixed: arrays of so many fill whole vectors whatever their other sizes, and kernels are chosen for the
same shapes whichever replicas are trained. Places beyond the replicas hold replicas again."""

FIXED = 4 << 30
"""Bytes that a group of a fixed size may take on a GPU: it has half as many places until it does. The same for every GPU, as bits are."""

LARGEST, SMALLEST = 40, 4
"""Replicas in a group: more gain nothing on the smallest networks, fewer lose on the largest."""


PLACED = (
    "this processor rounds a matrix product by its place in the group, so the stacked engine would give a replica other bits in another "
    "group"
)
"""Why a recipe of the stacked engine is left to the loop engine on some processors."""

TO_ROUNDING = (
    "as asked; on a CPU its replicas agree with those of the loop engine to rounding, and their bits may depend on the group"
)
"""What the vectorised engine promises on a CPU."""


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was chosen.

    Attributes:
        engine: its name.
        reason: in words, to follow its name and a colon.
    """

    engine: Literal["loop", "stacked", "vectorised"]
    reason: str


def choose(recipe: Recipe, data: Dataset, execution: Execution = DEFAULT_EXECUTION) -> Choice:
    """The engine of a recipe on this processor. It does not depend on how many replicas are trained.

    On a CPU the stacked engine is taken only where its bits do not depend on the grouping of replicas: a few passes of the recipe's
    network are run to verify it. Where they do, the loop engine is taken instead, and the reason is `PLACED`.

    Args:
        recipe, data: what is trained.
        execution: how; the engine "auto" is stacked where it can, then on a GPU vectorised, then loop. Mixed precision is not for the
            hand-written passes of the stacked engine.
    Raises:
        BadSpec: a device that this machine does not have, or an engine that cannot train this recipe.
    Example:
        >>> from traintwice.data import Digits
        >>> choose(Recipe(), Digits().load(), Execution(engine="loop"))
        Choice(engine='loop', reason='as asked')
    """
    execution.placed()  # raises where this machine does not have the device
    engine, on_gpu = execution.engine, execution.on_gpu
    if engine != "auto":
        obstacle = None if engine == "loop" else OBSTACLES[engine](recipe, data, execution.products)
        if obstacle is not None:
            raise BadSpec(f"engine: {engine!r} cannot train this recipe: {obstacle}; choose 'auto' or 'loop'")
        chosen = Choice(engine, TO_ROUNDING if engine == "vectorised" and not on_gpu else "as asked")
    else:
        chosen = preferred(recipe, data, execution)
    if chosen.engine == "stacked" and not on_gpu:
        largest = group_size(recipe, data, replace(execution, engine="stacked"))
        if placement_changes_bits(recipe, data, execution.dtype, largest):
            return Choice("loop", PLACED)
    return chosen


def with_chosen_engine(recipe: Recipe, data: Dataset, execution: Execution) -> Execution:
    """The same execution by the engine that `choose` names."""
    return replace(execution, engine=choose(recipe, data, execution).engine)


def preferred(recipe: Recipe, data: Dataset, execution: Execution) -> Choice:
    """What "auto" stands for on a device, whether or not this machine has it."""
    obstacle = obstacle_to_stacking(recipe, data, execution.products)
    if obstacle is None:
        return Choice("stacked", "MLP on a GPU" if execution.on_gpu else "MLP on a CPU")
    if not execution.on_gpu:
        return Choice("loop", obstacle)
    further = obstacle_to_vectorising(recipe, data, execution.products)
    if further is None:
        return Choice("vectorised", f"{obstacle}, on a GPU")
    return Choice("loop", obstacle if further == obstacle else f"{obstacle}; {further}")


def obstacle_to_stacking(recipe: Recipe, data: Dataset, products: Products = "full") -> str | None:
    """Why the stacked engine cannot train a recipe, in words; None where it can."""
    if recipe.progressive is None and isinstance(data.train.inputs, np.ndarray) and type(recipe.network) is not MLP:
        return f"{type(recipe.network).__name__} is no MLP"
    if obstacle := obstacle_to_groups(recipe, data):
        return obstacle
    if products == "bf16":
        return "bf16 is not for passes written by hand"
    if getattr(recipe.network, "batch_norm", False) and len(data.train) % recipe.batch_size == 1:
        return "batch normalisation of a last mini-batch of one example"
    return None


def obstacle_to_vectorising(recipe: Recipe, data: Dataset, _products: Products = "full") -> str | None:
    """Why the vectorised engine cannot train a recipe, in words; None where it can. The network is tried, once for each structure."""
    if obstacle := obstacle_to_groups(recipe, data):
        return obstacle
    if isinstance(recipe.network, SharedNetwork) and recipe.method.components > 1:
        return "components share parts"
    return tried(recipe.network, data.shape, data.classes).obstacle


OBSTACLES: dict[str, Callable[[Recipe, Dataset, Products], str | None]] = {
    "stacked": obstacle_to_stacking,
    "vectorised": obstacle_to_vectorising,
}
"""Why an engine cannot train a recipe on a device; the reference engine trains all."""


def obstacle_to_groups(recipe: Recipe, data: Dataset) -> str | None:
    """Why replicas cannot be trained together by either engine, in words; None where they can."""
    if recipe.progressive is not None:
        return "a stream is trained on in one pass"
    if not isinstance(data.train.inputs, np.ndarray):
        return "examples are read from disk"
    if type(recipe.optimizer) not in (SGD, AdaGrad, Adam):
        return f"{type(recipe.optimizer).__name__} is an optimiser that it does not know"
    if any(c.network is not None or c.optimizer is not None or c.inputs is not None for c in recipe.components):
        return "components differ in structure, optimiser or inputs"
    if "gate" in recipe.method.needs:
        return "the method trains a gate"
    if recipe.method.signals:
        return "a loss reads outputs of inner layers"
    return None


def places_of(recipe: Recipe, data: Dataset, execution: Execution) -> int | None:
    """How many replicas a group has whose size is fixed, on a GPU and under the vectorised engine; None where any size may be taken.

    Args:
        recipe, data: what is trained.
        execution: how, by an engine that was chosen.
    Returns:
        At most `PLACES`. It depends on recipe and data alone, and is part of a replica's numerics.
    Raises:
        BadSpec: the engine is "auto".
    """
    if execution.engine == "auto":
        raise BadSpec("engine: got 'auto', expected one that was chosen; `traintwice.engine.choose` names it")
    if execution.engine == "loop" or (execution.engine == "stacked" and not execution.on_gpu):
        return None
    places = PLACES
    if execution.on_gpu:
        one = bytes_per_replica(recipe, data)
        if execution.engine == "vectorised":
            found = tried(recipe.network, data.shape, data.classes)
            numbers = 8 * found.parameters + 4 * recipe.batch_size * (found.activations + prod(data.shape))
            one = 4 * recipe.method.components * numbers
        while places > 1 and places * one > FIXED:
            places //= 2
    return places


def group_size(recipe: Recipe, data: Dataset, execution: Execution) -> int:
    """How many replicas an engine trains at once: one; or as many as a cache holds, within what memory holds; or a fixed number.

    Args:
        recipe, data: what is trained.
        execution: how, by an engine that was chosen.
    Returns:
        A number from 1 to `LARGEST`. It changes how fast replicas are trained; for what it may change in them, see `train_group`.
    Raises:
        BadSpec: the engine is "auto".
    """
    if execution.engine == "loop":
        return 1
    if (fixed := places_of(recipe, data, execution)) is not None:
        return fixed
    needed = bytes_per_replica(recipe, data)
    by_cache = max(cache_bytes() // needed, SMALLEST)
    by_memory = max(available_bytes() // 4 // needed, 1)
    return min(by_cache, by_memory, LARGEST)


def bytes_per_replica(recipe: Recipe, data: Dataset) -> int:
    """Parameters, their gradients and what the optimiser keeps of them, activations and their gradients, in float32."""
    size = recipe.network.multiply_adds(data.shape, data.classes)
    copies = 4 + (recipe.method.peer_lag and 2) + (recipe.averaging.models if recipe.averaging is not None else 0)
    widths = recipe.network.hidden if isinstance(recipe.network, MLP) else ()
    activations = recipe.batch_size * (4 * sum(widths) + prod(data.shape))
    return int(4 * recipe.method.components * (copies * size + activations))
