"""How recipes are trained: engine, device, precision and processes, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from traintwice.engine.device import Device, DeviceName, Products, check_device
from traintwice.errors import BadSpec

Engine = Literal["auto", "loop", "stacked", "vectorised"]
"""The engines by name; "auto" chooses."""

Precision = Literal["float32", "float64", "tf32", "bf16"]
"""The type of weights and inputs; or float32 with products rounded further: "tf32" those of a GPU, "bf16" the whole forward pass."""


@dataclass(frozen=True)
class Execution:
    """How recipes are trained. It says nothing of what is trained.

    A value can be made on any machine. Whether this machine has the device is checked by `placed`, before anything is trained.

    Args:
        engine: that trains replicas; "auto" chooses one for each recipe, see `traintwice.engine.choose`.
        device: "cpu", or "cuda" for the first GPU that the process sees (CUDA_VISIBLE_DEVICES chooses).
        precision: "float32", "float64", "tf32" (products on a GPU) or "bf16" (forward passes in mixed precision).
        jobs: worker processes of a study, one thread each; None is one for each core, or one for a GPU.
        graphs: on a GPU, passes of the engines that train replicas together are recorded once and then replayed as a whole.
    Raises:
        BadSpec: an unknown name, a precision or graphs that the device does not have, or fewer than one process.
    Example:
        >>> Execution(precision="float64").dtype
        torch.float64
    """

    engine: Engine = "auto"
    device: DeviceName = "cpu"
    precision: Precision = "float32"
    jobs: int | None = None
    graphs: bool = False

    def __post_init__(self) -> None:
        if self.engine not in get_args(Engine):
            raise BadSpec(f"engine: got {self.engine!r}, expected 'auto', 'loop', 'stacked' or 'vectorised'")
        if self.precision not in get_args(Precision):
            raise BadSpec(f"precision: got {self.precision!r}, expected 'float32', 'float64', 'tf32' or 'bf16'")
        check_device(self.device, self.products, graphs=self.graphs)
        if self.jobs is not None and self.jobs < 1:
            raise BadSpec(f"jobs: got {self.jobs}, expected at least 1")

    @property
    def products(self) -> Products:
        """How products of float32 are taken."""
        return self.precision if self.precision in ("tf32", "bf16") else "full"

    @property
    def dtype(self) -> torch.dtype:
        """The type of weights and inputs."""
        return torch.float64 if self.precision == "float64" else torch.float32

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"

    def placed(self) -> Device:
        """The device of this machine.

        Raises:
            BadSpec: this machine does not have it.
        """
        return Device(self.device, self.products, self.graphs)


DEFAULT_EXECUTION = Execution()
"""On the CPU in float32, by the engine that `traintwice.engine.choose` names, in one process for each core."""

LOOP = Execution(engine="loop")
"""The same by the reference engine."""
