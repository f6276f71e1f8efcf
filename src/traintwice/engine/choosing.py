"""Which engine trains a recipe, and how many replicas it trains at once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from traintwice.data import Dataset
from traintwice.errors import BadSpec
from traintwice.nets import MLP
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Recipe

Engine = Literal["auto", "loop", "stacked"]
"""The engines by name; "auto" chooses."""

LARGEST, SMALLEST = 40, 4
"""Replicas in a group: more gain nothing on the smallest networks, fewer lose on the largest."""


OWN_CACHE = 32 << 20
"""Bytes of the last cache that one process can hope for: larger ones are shared by many cores."""


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was chosen.

    Attributes:
        engine: its name.
        reason: in words, to follow "stacked:" or "loop:".
    """

    engine: Literal["loop", "stacked"]
    reason: str


def choose(recipe: Recipe, data: Dataset, device: str = "cpu", engine: Engine = "auto") -> Choice:
    """The engine of a recipe. It depends on nothing else, so that a replica is the same bits however many others are trained.

    Args:
        recipe, data: what is trained.
        device: where; only "cpu" is known.
        engine: a name, or "auto".
    Raises:
        BadSpec: no such engine, or one that cannot train this recipe.
    Example:
        >>> from traintwice.data import Digits
        >>> choose(Recipe(), Digits().load())
        Choice(engine='stacked', reason='MLP on a CPU')
    """
    if device != "cpu":
        raise BadSpec(f"device: got {device!r}, expected 'cpu'")
    if engine not in ("auto", "loop", "stacked"):
        raise BadSpec(f"engine: got {engine!r}, expected 'auto', 'loop' or 'stacked'")
    if engine == "loop":
        return Choice("loop", "as asked")
    obstacle = obstacle_to_stacking(recipe, data)
    if obstacle is None:
        return Choice("stacked", "MLP on a CPU" if engine == "auto" else "as asked")
    if engine == "stacked":
        raise BadSpec(f"engine: 'stacked' cannot train this recipe: {obstacle}; choose 'auto' or 'loop'")
    return Choice("loop", obstacle)


def obstacle_to_stacking(recipe: Recipe, data: Dataset) -> str | None:
    """Why the stacked engine cannot train a recipe, in words; None where it can."""
    if recipe.progressive is not None:
        return "a stream is trained on in one pass"
    if not isinstance(data.train.inputs, np.ndarray):
        return "examples are read from disk"
    if type(recipe.network) is not MLP:
        return f"{type(recipe.network).__name__} is no MLP"
    if type(recipe.optimizer) not in (SGD, AdaGrad, Adam):
        return f"{type(recipe.optimizer).__name__} is an optimiser that it does not know"
    if any(c.network is not None or c.optimizer is not None or c.inputs is not None for c in recipe.components):
        return "components differ in structure, optimiser or inputs"
    if "gate" in recipe.method.needs:
        return "the method trains a gate"
    if recipe.method.signals:
        return "a loss reads outputs of inner layers"
    if recipe.network.batch_norm and len(data.train) % recipe.batch_size == 1:
        return "batch normalisation of a last mini-batch of one example"
    return None


def group_size(recipe: Recipe, data: Dataset) -> int:
    """How many replicas the stacked engine trains at once: as many as a cache holds, within what memory holds.

    Returns:
        A number from 1 to `LARGEST`. It changes how fast replicas are trained, and no bit of them.
    """
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


def cache_bytes() -> int:
    """The largest cache of this machine's processor as far as it says, and at most `OWN_CACHE` of it."""
    sizes = []
    for found in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        if match := re.fullmatch(r"(\d+)([KMG])", found.read_text().strip()):
            sizes.append(int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]])
    return min(max(sizes, default=OWN_CACHE), OWN_CACHE)


def available_bytes() -> int:
    """Memory that this machine can still give, as far as it says; 4 GiB where it does not."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30
