"""What changes the bits of a training without changing what is trained."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch


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

    @classmethod
    def here(cls, *, threads: int, engine: str = "loop", dtype: str = "float32", device: str = "cpu") -> Numerics:
        """The numerics of a training on this machine with so many threads."""
        return cls(engine, threads, dtype, device, processor_name(), str(torch.__version__), np.__version__)


def processor_name() -> str:
    """The processor's model and the vector instructions that PyTorch uses on it."""
    name = platform.processor() or platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", listed.read_text(errors="replace"), re.MULTILINE)
        name = found.group(1).strip() if found else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
