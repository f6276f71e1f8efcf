"""Residual networks: for small pictures (CIFAR), and with activations before the convolutions for large ones (ImageNet)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, check_settings
from traintwice.nets._pictures import Channels, PictureNetwork, picture_of

Blocks = tuple[tuple[int, ...], ...]
"""(units, filters, stride) of each block."""


class _Residual(PictureNetwork):
    """Base of residual networks."""

    blocks: Blocks
    activation: Activation

    def __post_init__(self) -> None:
        name, blocks = type(self).__name__, tuple(tuple(block) for block in self.blocks)
        if not blocks or any(len(block) != 3 or min(block) < 1 for block in blocks):
            shown = [list(block) for block in blocks]
            raise BadSpec(f"{name}.blocks: got {shown}, expected a list of [units, filters, stride], each at least 1")
        check_settings(self)
        object.__setattr__(self, "blocks", blocks)

    def _units(self, unit: Callable[[int, int, int, Activation], nn.Module], width: int, widening: int = 1) -> list[nn.Module]:
        """The units of all blocks, of which the first reads ``width`` maps."""
        made = []
        for units, filters, stride in self.blocks:
            for place in range(units):
                made.append(unit(width, filters, stride if place == 0 else 1, self.activation))
                width = widening * filters
        return made


@dataclass(frozen=True)
@typed
class ResNet(_Residual):
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
        >>> sum(p.numel() for p in net.parameters()), RESNET_20.multiply_adds((3, 32, 32), 10)
        (269722, 40551040)
    """

    blocks: Blocks = ((3, 16, 1), (3, 32, 2), (3, 64, 2))
    activation: Activation = "relu"
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = [block[1] for block in self.blocks]
        if widths != sorted(widths):
            raise BadSpec(
                f"ResNet.blocks: got {widths} filters, expected at least as many as in the block before: shortcuts add maps of zeros"
            )

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The depth, in layers with weights, and the filters of the blocks where they are not 16, 32, 64.

        >>> RESNET_56.describe((3, 32, 32), 10), ResNet(((3, 8, 1), (3, 16, 2), (3, 32, 2))).describe((3, 32, 32), 10)
        ('ResNet-56', 'ResNet-20 (8-16-32)')
        """
        filters = tuple(filters for _, filters, _ in self.blocks)
        width = "" if filters == (16, 32, 64) else f" ({'-'.join(map(str, filters))})"
        return f"ResNet-{2 * sum(units for units, _, _ in self.blocks) + 2}{width}"

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, _, _ = picture_of(shape, "ResNet")
        first, last = self.blocks[0][1], self.blocks[-1][1]
        stem = (nn.Conv2d(channels, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), ACTIVATIONS[self.activation]())
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))
        return nn.Sequential(Channels(), *stem, *self._units(ResidualUnit, first), *head)


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
        residual = self.second_norm(self.second(self.activation(self.first_norm(self.first(x)))))
        return self.activation(self._shortcut(x) + residual)  # type: ignore[no-any-return]

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.added)) if self.added else x


STEM = 64
"""Filters of the first convolution."""

WIDENING = 4
"""Output maps of a unit, in multiples of its inner filters."""


@dataclass(frozen=True)
@typed
class ResNetV2(_Residual):
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

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The depth, in layers with weights."""
        return f"ResNet-v2-{3 * sum(units for units, _, _ in self.blocks) + 2}"

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, _, _ = picture_of(shape, "ResNetV2")
        last = WIDENING * self.blocks[-1][1]
        stem = (nn.Conv2d(channels, STEM, 7, stride=2, padding=3, bias=False), nn.MaxPool2d(3, stride=2, padding=1))
        norm = (nn.BatchNorm2d(last), ACTIVATIONS[self.activation]())
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))
        return nn.Sequential(Channels(), *stem, *self._units(Bottleneck, STEM, WIDENING), *norm, *head)


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
        ready = self.activation(self.first_norm(x))
        shortcut = x if self.projection is None else self.projection(ready)
        inner = self.activation(self.second_norm(self.first(ready)))
        return shortcut + self.third(self.activation(self.third_norm(self.second(inner))))  # type: ignore[no-any-return]
