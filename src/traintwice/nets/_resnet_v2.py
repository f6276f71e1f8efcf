"""Residual networks with activations before the convolutions, for large pictures (ImageNet)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.nets._network import ACTIVATIONS, Activation
from traintwice.nets._pictures import Blocks, Channels, check_residual, count_multiply_adds, picture_of, structure, with_weights

STEM = 64
"""Filters of the first convolution."""

WIDENING = 4
"""Output maps of a unit, in multiples of its inner filters."""


@dataclass(frozen=True)
@typed
class ResNetV2:
    """A 7 x 7 convolution and max pooling of stride 2, blocks of bottleneck units, batch norm, the mean over the picture, a linear layer.

        unit(x) = shortcut + conv₁(a(BN(conv₃(a(BN(conv₁(a(BN(x)))))))))      (conv₁ of 1 x 1, conv₃ of 3 x 3, a the activation)

    The shortcut is x, or a projection of a(BN(x)) where the shape changes.

    Args:
        blocks: (units, filters, stride) of each block; a unit has four times as many output maps. The default is `RESNET_V2_50`.
        activation: as of `MLP`.
        scale: factor on all initial weights, > 0.
    Raises:
        BadSpec: a setting outside its range; when built, inputs that are not pictures.
    Source:
        He et al. 2016, "Identity mappings in deep residual networks"; blocks of CH appendix A, whose stride is that of a block's first
        convolution (of 1 x 1). Ours: shortcuts that change the shape are projections of 1 x 1 without batch norm, which gives the
        published 25.5 million parameters; convolutions have no biases and normal weights of variance 2 / fan in; the last layer is
        Glorot uniform. The L2 of the paper is ``optimizer.weight_decay``.
    Example:
        >>> RESNET_V2_50.describe((3, 224, 224), 1000)
        'ResNet-v2-50'
    """

    blocks: Blocks = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
    activation: Activation = "relu"
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", check_residual("ResNetV2", self.blocks, self.activation, self.scale, growing=False))

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        return with_weights(structure(lambda: self._layers(shape, classes)), rng, self.scale)

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The depth, in layers with weights."""
        return f"ResNet-v2-{3 * sum(units for units, _, _ in self.blocks) + 2}"

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Counted on the layers."""
        return count_multiply_adds(structure(lambda: self._layers(shape, classes)), shape)

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, _, _ = picture_of(shape, "ResNetV2")
        stem = nn.Conv2d(channels, STEM, 7, stride=2, padding=3, bias=False)
        layers: list[nn.Module] = [Channels(), stem, nn.MaxPool2d(3, stride=2, padding=1)]
        width = STEM
        for units, filters, stride in self.blocks:
            for unit in range(units):
                layers.append(Bottleneck(width, filters, stride if unit == 0 else 1, self.activation))
                width = WIDENING * filters
        last = (nn.BatchNorm2d(width), ACTIVATIONS[self.activation]())
        return nn.Sequential(*layers, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


RESNET_V2_50 = ResNetV2()


class Bottleneck(nn.Module):
    """A residual unit of three convolutions; the middle one is narrow."""

    def __init__(self, width: int, filters: int, stride: int, activation: Activation) -> None:
        super().__init__()
        maps = WIDENING * filters
        self.first_norm = nn.BatchNorm2d(width)
        self.first = nn.Conv2d(width, filters, 1, stride=stride, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.third_norm = nn.BatchNorm2d(filters)
        self.third = nn.Conv2d(filters, maps, 1, bias=False)
        same = width == maps and stride == 1
        self.projection = None if same else nn.Conv2d(width, maps, 1, stride=stride, bias=False)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Shortcut plus residual."""
        ready = self.activation(self.first_norm(x))
        shortcut = x if self.projection is None else self.projection(ready)
        inner = self.activation(self.second_norm(self.first(ready)))
        return shortcut + self.third(self.activation(self.third_norm(self.second(inner))))  # type: ignore[no-any-return]
