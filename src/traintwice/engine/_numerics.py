"""What changes the bits of a training but not what is trained."""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from traintwice._typed import typed
from traintwice.data import Dataset
from traintwice.engine._choosing import places_of
from traintwice.engine._execution import LOOP, Execution
from traintwice.recipes import Recipe


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
