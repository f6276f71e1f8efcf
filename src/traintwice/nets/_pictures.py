"""Networks for pictures: what they share, and LeNet-5."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, Dropout, check_settings, layer_shapes


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


def count_multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiplications of the linear layers and convolutions in a forward pass of one example, counted in a run.

    >>> count_multiply_adds(nn.Conv2d(3, 4, 5), (3, 8, 8))
    4800
    """
    first = next(network.parameters(), torch.empty(0))
    x = torch.zeros(1, *shape, dtype=first.dtype, device=first.device)
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    layers = layer_shapes(network, x, lambda layer: isinstance(layer, kinds), training=False)
    # Each output of a layer costs one multiplication per input of its weight.
    return sum(output.numel() * layer.weight.shape[1:].numel() for layer, output in layers)


class PictureNetwork:
    """Base of networks for pictures, which are made of the layers that `_layers` returns."""

    scale: float

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        return with_weights(structure(lambda: self._layers(shape, classes)), rng, self.scale)

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Counted on the layers."""
        return count_multiply_adds(structure(lambda: self._layers(shape, classes)), shape)

    @abstractmethod
    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The module, with any weights."""


SIDE = 32
"""Rows and columns of the pictures that the network reads; smaller pictures are padded."""


@dataclass(frozen=True)
@typed
class LeNet5(PictureNetwork):
    """Two convolutions of 5 x 5 (6 and 16 filters), each with average pooling of 2 x 2, then linear layers of 120, 84 and K units.

    Args:
        activation: as of `MLP`.
        scale: factor on all initial weights, > 0.
        dropout: rate of dropout after both hidden linear layers, in [0, 1).
    Raises:
        BadSpec: a setting outside its range; when built, inputs that are not pictures.
    Source:
        LeCun et al. 1998; CH Table 2 uses it on SVHN. Ours: all 16 filters see all 6 maps, plain averages, softmax at the end, ReLU by
        default; pictures below 32 x 32 are padded with zeros, as LeCun did with 28 x 28; convolutions have normal weights of variance
        2 / fan in, linear layers Glorot uniform weights, biases are zero. The L2 of the paper is ``optimizer.weight_decay``.
    Example:
        >>> net = LeNet5().build((28, 28), 10, np.random.default_rng(0))
        >>> sum(p.numel() for p in net.parameters()), LeNet5().multiply_adds((28, 28), 10)
        (61706, 416520)
    """

    activation: Activation = "relu"
    scale: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_settings(self)

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The name of the network.

        >>> LeNet5().describe((28, 28), 10)
        'LeNet5'
        """
        return "LeNet5"

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, rows, columns = picture_of(shape, "LeNet5")
        left = [((max(size, SIDE) - 4) // 2 - 4) // 2 for size in (rows, columns)]
        activation = ACTIVATIONS[self.activation]

        def hidden(fan_in: int, fan_out: int) -> tuple[nn.Module, ...]:
            drop = (Dropout(self.dropout),) if self.dropout else ()
            return (nn.Linear(fan_in, fan_out), activation(), *drop)

        return nn.Sequential(
            Channels(SIDE),
            *(nn.Conv2d(channels, 6, 5), activation(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2)),
            nn.Flatten(),
            *hidden(16 * left[0] * left[1], 120),
            *hidden(120, 84),
            nn.Linear(84, classes),
        )
