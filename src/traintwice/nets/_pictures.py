"""What networks for pictures share: input shape, block settings, initial weights, and the count of multiplications."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS


class Channels(nn.Module):
    """Pictures in the shape for convolutions, ``B channels rows columns``, padded with zeros to a smallest size.

    Args:
        least: smallest number of rows and columns; padding is added evenly on all sides.
    """

    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.least = least

    def forward(self, x: Tensor) -> Tensor:
        """Pictures with an axis of channels, which the input may lack for one channel."""
        x = x.unsqueeze(1) if x.ndim == 3 else x
        down, right = (max(self.least - size, 0) for size in x.shape[2:])
        if not down and not right:
            return x
        return nn.functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))

    def extra_repr(self) -> str:
        """The smallest size."""
        return f"least={self.least}"


def picture_of(shape: tuple[int, ...], network: str) -> tuple[int, int, int]:
    """Channels, rows and columns of an input.

    Raises:
        BadSpec: the input is not a picture.

    >>> picture_of((28, 28), "LeNet5")
    (1, 28, 28)
    """
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise BadSpec(
            f"{network}: got inputs of shape {shape}, expected pictures of rows x columns or channels x rows x columns; use an MLP, "
            "or data with pictures"
        )
    channels, rows, columns = shape if len(shape) == 3 else (1, *shape)
    return channels, rows, columns


def structure(make: Callable[[], nn.Module]) -> nn.Module:
    """A module without storage (on the meta device), which draws no weights."""
    with torch.device("meta"):
        return make()


def with_weights(network: nn.Module, rng: np.random.Generator, scale: float) -> nn.Module:
    """Draw the weights of a module without storage, layer by layer from ``rng``, in float32 on the CPU.

    Weights of convolutions are normal with variance scale²·2 / fan in, of linear layers uniform in ±scale·sqrt(6 / (fan in + fan out));
    biases are zero. Batch norm starts with factor one and shift zero.
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
                layer.reset_parameters()  # draws nothing
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                layer.bias.zero_()
    return network


@torch.no_grad()
def count_multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiplications of the linear layers and convolutions in a forward pass of one example, counted in a run.

    >>> count_multiply_adds(nn.Conv2d(3, 4, 5), (3, 8, 8))
    4800
    """
    counted = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        # Each output of a layer costs one multiplication per input of its weight.
        weight: Tensor = layer.weight  # type: ignore[assignment]  # a layer of the types below
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
"""(units, filters, stride) of each block."""


def check_residual(name: str, blocks: Blocks, activation: str, scale: float, *, growing: bool) -> Blocks:
    """The blocks as tuples of three numbers.

    Args:
        name: of the network, for messages.
        blocks, activation, scale: settings of the network.
        growing: refuse a block with fewer filters than the block before.
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
            f"{name}.blocks: got {widths} filters, expected at least as many as in the block before: shortcuts add maps of zeros"
        )
    if activation not in ACTIVATIONS:
        raise BadSpec(f"{name}.activation: got {activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
    if not scale > 0:
        raise BadSpec(f"{name}.scale: got {scale}, expected a number greater than 0")
    return found
