"""Engine, device, precision and processes of a training, as one value."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from traintwice._typed import check_types
from traintwice.errors import BadSpec

Engine = Literal["auto", "loop", "stacked", "vectorised"]
"""Engines by name; "auto" chooses one."""

Precision = Literal["float32", "float64", "tf32", "bf16"]
"""Type of weights and inputs; "tf32" and "bf16" are float32 weights with products in TensorFloat-32, or forward passes in bfloat16."""

DeviceName = Literal["cpu", "cuda"]
"""Devices by name."""


@dataclass(frozen=True)
class Execution:
    """How recipes are trained. It does not change what is trained.

    A value can be made on any machine; `check_present` checks whether this machine has the device.

    Args:
        engine: "loop", "stacked" or "vectorised"; "auto" chooses one for each recipe, see `traintwice.engine.choose`.
        device: "cpu", or "cuda" for the first GPU that the process sees (CUDA_VISIBLE_DEVICES chooses).
        precision: "float32", "float64", "tf32" (products on a GPU) or "bf16" (forward passes in mixed precision).
        jobs: worker processes of a study, one thread each; None is one for each core, or one for a GPU.
        graphs: on a GPU, the engines that train replicas together capture each step as a CUDA graph and replay it.
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
        check_types(self)
        if self.graphs and self.device == "cpu":
            raise BadSpec("graphs: kernels are recorded on a GPU only; leave it out on the CPU")
        if self.precision == "tf32" and self.device == "cpu":
            raise BadSpec("precision: got 'tf32', which is a mode of GPUs; take 'float32' on the CPU")
        if self.jobs is not None and self.jobs < 1:
            raise BadSpec(f"jobs: got {self.jobs}, expected at least 1")

    @property
    def dtype(self) -> torch.dtype:
        """Type of weights and inputs."""
        return torch.float64 if self.precision == "float64" else torch.float32

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"

    @property
    def torch_device(self) -> torch.device:
        """The device as PyTorch names it."""
        return torch.device(self.device)

    def check_present(self) -> None:
        """Check that this machine has the device.

        Raises:
            BadSpec: it does not.
        """
        if self.device not in available_devices():
            names = available_devices()
            raise BadSpec(
                f"device: got {self.device!r}, but PyTorch {torch.__version__} finds {' and '.join(names)} only on this machine; use "
                f"{names[-1]!r}, or install a PyTorch that supports this GPU"
            )

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """Context for forward passes of networks: mixed precision for "bf16", nothing otherwise."""
        if self.precision != "bf16":
            yield
            return
        with torch.autocast(self.device, dtype=torch.bfloat16), _FullBatchNorm(self.device):
            yield

    def kernels(self, hardware: str = "fixed") -> AbstractContextManager[None]:
        """Context for a training: deterministic kernels on a GPU, any kernels where hardware is "free", nothing on a CPU."""
        return gpu_kernels(tf32=self.precision == "tf32", free=hardware == "free") if self.on_gpu else nullcontext()


DEFAULT_EXECUTION = Execution()
"""On the CPU in float32, by the engine that `traintwice.engine.choose` names, in one process for each core."""

LOOP = Execution(engine="loop")
"""The same by the reference engine."""


def available_devices() -> tuple[DeviceName, ...]:
    """Devices of this machine on which replicas can be trained."""
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@contextmanager
def gpu_kernels(*, tf32: bool, free: bool = False) -> Iterator[None]:
    """Deterministic kernels only, or if ``free`` any, with cuDNN's search for the fastest; TensorFloat-32 only if ``tf32``.

    Previous settings come back at the end.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first product
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


class _FullBatchNorm(TorchFunctionMode):
    """Computes batch normalisation in float32 under autocast, and rounds its output to the type of its input.

    Under `torch.func.vmap` PyTorch drops weight and bias from the call and then refuses bfloat16 inputs with float32 statistics.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is not batch_norm:
            return func(*args, **(kwargs or {}))
        named = {**(kwargs or {}), **({"input": args[0]} if args else {})}
        x = named.pop("input")
        with torch.autocast(self.device, enabled=False):
            return func(x.float(), *args[1:], **named).to(x.dtype)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error reports too little memory; on a CPU PyTorch has no type for it, and its libraries have sentences of their own."""
    sentences = (
        "not enough memory",
        "can't allocate memory",
        "bad_alloc",
        "could not create a memory object",
        "could not create a primitive",
    )
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sentence in str(error) for sentence in sentences)
