"""Where a training runs, and how its products round."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from traintwice.errors import BadSpec

DeviceName = Literal["cpu", "cuda"]
"""Devices by name."""

Products = Literal["full", "tf32", "bf16"]
"""How products of float32 are taken."""

WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Environment in which cuBLAS is deterministic; to be set before the first product on a GPU."""


@dataclass(frozen=True)
class Device:
    """The processor, or a GPU with deterministic kernels.

    Args:
        name: "cpu", or "cuda" for the first GPU that this process sees (CUDA_VISIBLE_DEVICES chooses).
        products: "full", "tf32" (of a GPU) or "bf16" (forward passes in mixed precision).
        graphs: on a GPU, passes of the engines that train replicas together are recorded once and then replayed as a whole.
    Raises:
        BadSpec: a device that this machine does not have, or products that it does not take.
    """

    name: DeviceName = "cpu"
    products: Products = "full"
    graphs: bool = False

    def __post_init__(self) -> None:
        check_device(self.name, self.products, graphs=self.graphs)
        if self.name not in present():
            raise BadSpec(
                f"device: got {self.name!r}, but PyTorch {torch.__version__} finds {' and '.join(present())} only on this machine; use "
                f"{present()[-1]!r}, or install a PyTorch that knows this GPU"
            )

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name != "cpu"

    @property
    def torch_device(self) -> torch.device:
        """As PyTorch names it."""
        return torch.device(self.name)

    def forward(self) -> AbstractContextManager[object]:
        """To run networks in: mixed precision where that was asked for."""
        return torch.autocast(self.name, dtype=torch.bfloat16) if self.products == "bf16" else nullcontext()

    def entered(self, hardware: str = "fixed") -> AbstractContextManager[None]:
        """To train in: on a GPU every kernel is deterministic, or raises, unless hardware is "free". On a CPU nothing changes."""
        return kernels(tf32=self.products == "tf32", free=hardware == "free") if self.on_gpu else nullcontext()


def check_device(name: DeviceName, products: Products, *, graphs: bool) -> None:
    """Check a device's name, and that such a device takes products and graphs, whether or not this machine has it.

    Raises:
        BadSpec: no device has that name, or it does not take them.
    """
    if name not in get_args(DeviceName):
        raise BadSpec(f"device: got {name!r}, expected 'cpu' or 'cuda'")
    if graphs and name == "cpu":
        raise BadSpec("graphs: kernels are recorded on a GPU only; leave it out on the CPU")
    if products == "tf32" and name == "cpu":
        raise BadSpec("precision: got 'tf32', which is a mode of GPUs; take 'float32' on the CPU")


def present() -> tuple[DeviceName, ...]:
    """Devices of this machine on which trainings run."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@contextmanager
def kernels(*, tf32: bool, free: bool = False) -> Iterator[None]:
    """Deterministic kernels alone, or any with the search of cuDNN for the fastest; tf32 only where it is asked for; all is put back."""
    for name, value in WORKSPACE.items():
        os.environ.setdefault(name, value)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    products = torch.get_float32_matmul_precision()
    try:
        torch.use_deterministic_algorithms(not free)
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        with torch.backends.cudnn.flags(enabled=True, benchmark=free, deterministic=not free, allow_tf32=tf32):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.set_float32_matmul_precision(products)


CPU = Device()
