"""What changes the bits of a training without changing what is trained."""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from traintwice.data import Dataset
from traintwice.engine.choosing import places_of
from traintwice.engine.execution import LOOP, Execution
from traintwice.recipes import Recipe


@dataclass(frozen=True)
class Numerics:
    """Engine, threads, type, device, processor and versions: recorded with every replica, shown in every report.

    Two replicas of one recipe are comparable as draws from one distribution only where these are equal, so a store refuses to mix
    them in one row unless it is told to.
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
        """The numerics of a training on this machine with so many threads.

        Args:
            execution, threads: of the training.
            kernels: what else changes bits, in words: how many replicas a group of fixed size has, and what is said to a GPU.
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
        """As it is recorded; what was not asked for is left out, so that records made before it could be asked for are the same."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def numerics_of(recipe: Recipe, data: Dataset, execution: Execution, *, threads: int = 1) -> Numerics:
    """The numerics of the training of a recipe on this machine by a chosen engine; all but loop work on one thread.

    Raises:
        BadSpec: the engine is "auto".
    """
    places, alone = places_of(recipe, data, execution), execution.engine == "loop"
    words = ["deterministic"] if execution.on_gpu else []
    words += ["recorded"] if execution.graphs and not alone and recipe.method.constant else []
    words += [f"groups of {places}"] if places is not None else []
    return Numerics.here(execution, threads=threads if alone else 1, kernels=", ".join(words) or None)


def gpu_name() -> str:
    """The GPU's model and the libraries whose kernels it runs."""
    return f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()})"  # type: ignore[no-untyped-call]


def processor_name() -> str:
    """The processor's model and the vector instructions that PyTorch uses on it."""
    name = platform.processor() or platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", listed.read_text(errors="replace"), re.MULTILINE)
        name = found.group(1).strip() if found else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
