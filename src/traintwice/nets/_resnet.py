"""Residual networks for small pictures (CIFAR)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.nets._network import ACTIVATIONS, Activation
from traintwice.nets._pictures import Blocks, Channels, check_residual, count_multiply_adds, picture_of, structure, with_weights


@dataclass(frozen=True)
@typed
class ResNet:
    """A convolution of 3 x 3, blocks of residual units of two such convolutions each, the mean over the picture, a linear layer.

        unit(x) = activation(shortcut(x) + BN(conv(activation(BN(conv(x))))))

    Args:
        blocks: (units, filters, stride) of each block; the stride is that of its first convolution. See `RESNET_20`, `RESNET_32` and
            `RESNET_56`.
        activation: as of `MLP`.
        scale: factor on all initial weights, > 0; batch norm cancels the factor in all layers but the last.
    Raises:
        BadSpec: a setting outside its range; when built, inputs that are not pictures.
    Source:
        He et al. 2016, section 4.2; blocks of CH appendix A. Ours: where a block changes the shape, the shortcut takes every stride-th
        pixel and adds maps of zeros ("option A"). This has no weights and gives the published parameter counts for CIFAR (0.27, 0.46
        and 0.85 million; projections would give 0.47 for ResNet-32). Convolutions have no biases and normal weights of variance
        2 / fan in; the last layer is Glorot uniform. The L2 of the paper is ``optimizer.weight_decay``.
    Example:
        >>> net = RESNET_20.build((3, 32, 32), 10, np.random.default_rng(0))
        >>> sum(p.numel() for p in net.parameters())
        269722
    """

    blocks: Blocks = ((3, 16, 1), (3, 32, 2), (3, 64, 2))
    activation: Activation = "relu"
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", check_residual("ResNet", self.blocks, self.activation, self.scale, growing=True))

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        return with_weights(structure(lambda: self._layers(shape, classes)), rng, self.scale)

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The depth, in layers with weights.

        >>> RESNET_56.describe((3, 32, 32), 10)
        'ResNet-56'
        """
        return f"ResNet-{2 * sum(units for units, _, _ in self.blocks) + 2}"

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Counted on the layers.

        >>> RESNET_20.multiply_adds((3, 32, 32), 10)
        40551040
        """
        return count_multiply_adds(structure(lambda: self._layers(shape, classes)), shape)

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, _, _ = picture_of(shape, "ResNet")
        activation = ACTIVATIONS[self.activation]
        width = self.blocks[0][1]
        layers = [Channels(), nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), activation()]
        for units, filters, stride in self.blocks:
            for unit in range(units):
                layers.append(ResidualUnit(width, filters, stride if unit == 0 else 1, self.activation))
                width = filters
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


RESNET_20 = ResNet(((3, 16, 1), (3, 32, 2), (3, 64, 2)))
RESNET_32 = ResNet(((5, 16, 1), (5, 32, 2), (5, 64, 2)))
RESNET_56 = ResNet(((9, 16, 1), (9, 32, 2), (9, 64, 2)))


class ResidualUnit(nn.Module):
    """A residual unit: two convolutions and a shortcut without weights."""

    def __init__(self, width: int, filters: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, filters, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        self.activation = ACTIVATIONS[activation]()
        self.stride, self.added = stride, filters - width

    def forward(self, x: Tensor) -> Tensor:
        """The activation of shortcut plus residual."""
        residual = self.second_norm(self.second(self.activation(self.first_norm(self.first(x)))))
        return self.activation(self._shortcut(x) + residual)  # type: ignore[no-any-return]

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.added)) if self.added else x
