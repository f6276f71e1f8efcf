"""The engine of a recipe, how many replicas it trains at once, and what changes their bits but not what is trained."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine._batches import evened_out
from traintwice.engine._execution import DEFAULT_EXECUTION, LOOP, Execution
from traintwice.engine._stacked import placement_changes_bits
from traintwice.engine._vectorised import tried
from traintwice.errors import BadSpec
from traintwice.nets import MLP, SharedNetwork
from traintwice.optimizers import SGD, AdaGrad, Adam
from traintwice.recipes import Recipe

PLACES = 32
"""Replicas in a group on a GPU, where kernels are chosen by the shapes of the whole group. Free places are filled with copies."""

GROUP_BYTES = 8 << 30
"""Memory of a group on a GPU: it has half as many places until it fits. Equal for all GPUs, because bits depend on it."""

KEPT_ACTIVATIONS = 1.25
"""Bytes that a pass of a vectorised group keeps, per byte of activations: 16 replicas of ResNet-20 with 128 pictures took 4.9 GiB."""

LARGEST, SMALLEST = 40, 4
"""Replicas in a group on a CPU: more do not train faster on the smallest networks, fewer train slower on the largest."""

OWN_CACHE = 32 << 20
"""Bytes of the last cache that one process uses at most; larger caches are shared by many cores."""

PLACED = (
    "this processor rounds a matrix product by its place in the group, so the stacked engine would give a replica other bits in another "
    "group"
)
"""Why the loop engine replaces the stacked engine on some processors."""

TO_ROUNDING = (
    "requested; on a CPU its replicas agree with those of the loop engine to rounding, and their bits may depend on the group"
)
"""Promise of the vectorised engine on a CPU."""


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was chosen.

    Attributes:
        engine: its name.
        reason: in words, to follow the name and a colon.
    """

    engine: Literal["loop", "stacked", "vectorised"]
    reason: str


@typed
def choose(recipe: Recipe, data: Dataset, execution: Execution = DEFAULT_EXECUTION) -> Choice:
    """The engine that trains a recipe. It does not depend on the number of replicas.

    "auto" is stacked if it can train the recipe, else on a GPU vectorised, else loop. On a CPU, stacked is replaced by loop
    if its bits depend on the grouping of replicas; a few passes of the recipe's network on this processor show it.

    Args:
        recipe, data: what is trained.
        execution: how.
    Raises:
        BadSpec: this machine does not have the device, or the engine cannot train the recipe.
    Example:
        >>> from traintwice.data import Digits
        >>> choose(Recipe(), Digits().load(), Execution(engine="loop"))
        Choice(engine='loop', reason='requested')
    """
    execution.check_present()
    engine, on_gpu = execution.engine, execution.on_gpu
    if engine != "auto":
        obstacle = obstacle_to_stacking(recipe, data, execution) if engine == "stacked" else None
        if engine == "vectorised":
            obstacle = obstacle_to_vectorising(recipe, data)
        if obstacle is not None:
            raise BadSpec(f"engine: {engine!r} cannot train this recipe: {obstacle}; choose 'auto' or 'loop'")
        chosen = Choice(engine, TO_ROUNDING if engine == "vectorised" and not on_gpu else "requested")
    else:
        chosen = preferred(recipe, data, execution)
    if chosen.engine == "stacked" and not on_gpu:
        largest = group_size(recipe, data, replace(execution, engine="stacked"))
        if placement_changes_bits(recipe, data, execution, largest):
            return Choice("loop", PLACED)
    return chosen


@typed
def with_chosen_engine(recipe: Recipe, data: Dataset, execution: Execution) -> Execution:
    """The same execution by the engine of `choose`."""
    return replace(execution, engine=choose(recipe, data, execution).engine)


def preferred(recipe: Recipe, data: Dataset, execution: Execution) -> Choice:
    """The engine of "auto" on a device that this machine need not have."""
    obstacle = obstacle_to_stacking(recipe, data, execution)
    if obstacle is None:
        return Choice("stacked", "MLP on a GPU" if execution.on_gpu else "MLP on a CPU")
    if not execution.on_gpu:
        return Choice("loop", obstacle)
    further = obstacle_to_vectorising(recipe, data)
    if further is None:
        return Choice("vectorised", f"{obstacle}, on a GPU")
    return Choice("loop", obstacle if further == obstacle else f"{obstacle}; {further}")


def obstacle_to_stacking(recipe: Recipe, data: Dataset, execution: Execution = DEFAULT_EXECUTION) -> str | None:
    """Why the stacked engine cannot train a recipe; None if it can."""
    if recipe.progressive is None and isinstance(data.train.inputs, np.ndarray) and type(recipe.network) is not MLP:
        return f"{type(recipe.network).__name__} is not an MLP"
    if obstacle := obstacle_to_groups(recipe, data):
        return obstacle
    return "hand-written passes have no bf16" if execution.precision == "bf16" else None


def obstacle_to_vectorising(recipe: Recipe, data: Dataset) -> str | None:
    """Why the vectorised engine cannot train a recipe; None if it can. A trial of the network shows it, once for each structure."""
    if obstacle := obstacle_to_groups(recipe, data):
        return obstacle
    if isinstance(recipe.network, SharedNetwork) and recipe.method.components > 1:
        return "components share parts"
    return tried(recipe.network, data.shape, data.classes).obstacle


def obstacle_to_groups(recipe: Recipe, data: Dataset) -> str | None:
    """Why no engine can train replicas of a recipe together; None if one may."""
    if recipe.progressive is not None:
        return "a stream is trained on in one pass"
    if not isinstance(data.train.inputs, np.ndarray):
        return "examples are read from disk"
    if type(recipe.optimizer) not in (SGD, AdaGrad, Adam):
        return f"{type(recipe.optimizer).__name__} is an unknown optimiser"
    if any(c.network is not None or c.optimizer is not None or c.inputs is not None for c in recipe.components):
        return "components differ in structure, optimiser or inputs"
    if "gate" in recipe.method.needs:
        return "the method trains a gate"
    if recipe.method.signals:
        return "a loss reads outputs of inner layers"
    if evened_out(recipe, data):  # mini-batches of two sizes in an epoch
        return "batch normalisation of a last mini-batch of one example"
    return None


def places_of(recipe: Recipe, data: Dataset, execution: Execution) -> int | None:
    """Replicas in a group of fixed size on a GPU, which is part of a replica's numerics; None if a group may have any size."""
    if execution.engine == "auto":
        raise BadSpec("engine: got 'auto', expected a chosen one; `traintwice.engine.choose` names it")
    if execution.engine == "loop" or not execution.on_gpu:
        return None
    places, one = PLACES, bytes_per_replica(recipe, data, execution)
    while places > 1 and places * one > GROUP_BYTES:
        places //= 2
    return places


def least_places(recipe: Recipe, data: Dataset, execution: Execution) -> int:
    """Places of a group at least. A lone stacked replica fills two: a product of one matrix may use another kernel than one of two."""
    return places_of(recipe, data, execution) or (2 if execution.engine == "stacked" else 1)


@typed
def group_size(recipe: Recipe, data: Dataset, execution: Execution) -> int:
    """Replicas that an engine trains at once.

    Args:
        recipe, data: what is trained.
        execution: how, by a chosen engine.
    Returns:
        1 under loop; a fixed number on a GPU; else as many as fit into cache and memory, from 1 to 40.
    Raises:
        BadSpec: the engine is "auto".
    """
    if execution.engine == "loop":
        return 1
    if (fixed := places_of(recipe, data, execution)) is not None:
        return fixed
    needed = bytes_per_replica(recipe, data, execution)
    by_cache = max(cache_bytes() // needed, SMALLEST)
    by_memory = max(available_bytes() // 4 // needed, 1)
    return min(by_cache, by_memory, LARGEST)


def bytes_per_replica(recipe: Recipe, data: Dataset, execution: Execution) -> int:
    """Estimate of parameters, gradients, optimiser state and activations, in float32."""
    if execution.engine == "vectorised":
        found = tried(recipe.network, data.shape, data.classes)
        activations = KEPT_ACTIVATIONS * recipe.batch_size * (found.activations + prod(data.shape))
        return int(4 * recipe.method.components * (8 * found.parameters + activations))
    size = recipe.network.multiply_adds(data.shape, data.classes)
    copies = 4 + (recipe.method.peer_lag and 2) + (recipe.averaging.models if recipe.averaging is not None else 0)
    widths = recipe.network.hidden if isinstance(recipe.network, MLP) else ()
    activations = recipe.batch_size * (4 * sum(widths) + prod(data.shape))
    return int(4 * recipe.method.components * (copies * size + activations))


def cache_bytes() -> int:
    """The processor's largest cache as the system reports it, at most `OWN_CACHE`."""
    sizes = []
    for found in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        if match := re.fullmatch(r"(\d+)([KMG])", found.read_text().strip()):
            sizes.append(int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]])
    return min(max(sizes, default=OWN_CACHE), OWN_CACHE)


def available_bytes() -> int:
    """Free memory as the system reports it; 4 GiB if it does not."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30


@dataclass(frozen=True)
class Numerics:
    """Engine, threads, type, device, processor and versions of a training, recorded with every replica.

    A store refuses to mix replicas with different numerics in one row by default, because they may not be draws of one distribution.
    """

    engine: str
    threads: int
    dtype: str
    device: str
    processor: str
    torch: str
    numpy: str
    kernels: str | None = None

    @classmethod
    def here(cls, execution: Execution = LOOP, *, threads: int, kernels: str | None = None) -> Numerics:
        """Numerics of a training on this machine.

        Args:
            execution, threads: of the training.
            kernels: in words, what else changes bits: settings of a GPU, and the number of replicas in a group of fixed size.
        """
        return cls(
            engine=execution.engine,
            threads=threads,
            dtype=execution.precision,
            device=execution.device,
            processor=gpu_name() if execution.on_gpu else processor_name(),
            torch=str(torch.__version__),
            numpy=np.__version__,
            kernels=kernels,
        )

    def plain(self) -> dict[str, str | int]:
        """Recorded form, without fields that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@typed
def numerics_of(recipe: Recipe, data: Dataset, execution: Execution, *, threads: int = 1) -> Numerics:
    """Numerics of the training of a recipe on this machine by a chosen engine; all engines but loop work on one thread.

    Raises:
        BadSpec: the engine is "auto".
    """
    places, alone = places_of(recipe, data, execution), execution.engine == "loop"
    words = ["free" if recipe.hardware == "free" else "deterministic"] if execution.on_gpu else []
    words += ["recorded"] if execution.graphs and not alone and recipe.method.constant else []
    words += [f"groups of {places}"] if places is not None else []
    return Numerics.here(execution, threads=threads if alone else 1, kernels=", ".join(words) or None)


def gpu_name() -> str:
    """Model of the GPU, and versions of its libraries."""
    return f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()})"  # type: ignore[no-untyped-call]


def processor_name() -> str:
    """Model of the processor, and the vector instructions that PyTorch uses."""
    name = platform.processor() or platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", listed.read_text(errors="replace"), re.MULTILINE)
        name = found.group(1).strip() if found else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
