"""What networks for pictures share: input shape, block settings, initial weights, and the count of multiplications."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.errors import BadSpec
from traintwice.nets.network import ACTIVATIONS


class Channels(nn.Module):
    """Pictures as convolutions want them, ``B channels rows columns``, framed by zeros to a least size.

    Args:
        least: rows and columns that a picture gets at least; what is missing is added evenly around it.
    """

    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.least = least

    def forward(self, x: Tensor) -> Tensor:
        """Pictures with channels; those of one channel may come without."""
        x = x.unsqueeze(1) if x.ndim == 3 else x
        down, right = (max(self.least - size, 0) for size in x.shape[2:])
        if not down and not right:
            return x
        return nn.functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))

    def extra_repr(self) -> str:
        """Its least size."""
        return f"least={self.least}"


def picture_of(shape: tuple[int, ...], wanted_by: str) -> tuple[int, int, int]:
    """Channels, rows and columns of an input.

    Raises:
        BadSpec: it is no picture.

    >>> picture_of((28, 28), "LeNet5")
    (1, 28, 28)
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise BadSpec(
            f"{wanted_by}: needs pictures, rows x columns or channels x rows x columns, and an input has shape {shape}; "
            "use an MLP, or data whose examples are pictures"
        )
    channels, rows, columns = shape if len(shape) == 3 else (1, *shape)
    return channels, rows, columns


def structure(make: Callable[[], nn.Module]) -> nn.Module:
    """A module without storage: nothing is drawn for it, and running it costs nothing."""
    with torch.device("meta"):
        return make()


def with_weights(network: nn.Module, rng: np.random.Generator, scale: float) -> nn.Module:
    """Give a module without storage its weights, layer by layer from ``rng``, in float32 on the CPU.

    Convolutions are normal of variance scale²·2 / fan in, linear layers uniform in ±scale·sqrt(6 / (fan in + fan out)), biases zero; batch
    norm begins with factor one and shift zero.
    """
    network.to_empty(device="cpu")
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                size = tuple(layer.weight.shape)
                drawn = rng.standard_normal(size, dtype=np.float32)
                layer.weight.copy_(torch.from_numpy(drawn) * (scale * sqrt(2 / prod(size[1:]))))
            elif isinstance(layer, nn.Linear):
                limit = scale * sqrt(6 / sum(layer.weight.shape))
                weight = rng.uniform(-limit, limit, size=tuple(layer.weight.shape)).astype(np.float32)
                layer.weight.copy_(torch.from_numpy(weight))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()  # constants, no draws
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                layer.bias.zero_()
    return network


@torch.no_grad()
def count_multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiplications of the linear layers and convolutions of one forward pass of one example, counted while it runs.

    >>> count_multiply_adds(nn.Conv2d(3, 4, 5), (3, 8, 8))
    4800
    """
    counted = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        # Every output of a layer costs as many as its weights have inputs.
        weight: Tensor = layer.weight  # type: ignore[assignment]  # of a layer of the kinds below
        counted += output.numel() * (weight.shape[1:].numel())

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    was_training = network.training
    try:
        first = next(network.parameters(), torch.empty(0))
        network.eval()(torch.zeros(1, *shape, dtype=first.dtype, device=first.device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return counted


Blocks = tuple[tuple[int, ...], ...]
"""(units, filters, stride) of each block, as the papers list them."""


def check_residual(name: str, blocks: Blocks, activation: str, scale: float, *, growing: bool) -> Blocks:
    """The blocks as tuples of three numbers.

    Args:
        name: of the network, to begin messages with.
        blocks, activation, scale: its settings.
        growing: a block cannot have fewer filters than the one before.
    Raises:
        BadSpec: a setting outside its range.
    """
    found = tuple(tuple(block) for block in blocks)
    if not found or any(len(block) != 3 or min(block) < 1 for block in found):
        shown = [list(block) for block in found]
        raise BadSpec(f"{name}.blocks: got {shown}, expected a list of [units, filters, stride], each at least 1")
    widths = [block[1] for block in found]
    if growing and widths != sorted(widths):
        raise BadSpec(
            f"{name}.blocks: got {widths} filters, expected none fewer than in the block before: shortcuts add maps of zeros"
        )
    if activation not in ACTIVATIONS:
        raise BadSpec(f"{name}.activation: got {activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
    if not scale > 0:
        raise BadSpec(f"{name}.scale: got {scale}, expected a number greater than 0")
    return found
