"""LeNet-5, a network for small pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from torch import nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, Dropout
from traintwice.nets._pictures import Channels, count_multiply_adds, picture_of, structure, with_weights

SIDE = 32
"""Rows and columns of the pictures that the network reads; smaller pictures are padded."""


@dataclass(frozen=True)
@typed
class LeNet5:
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
        >>> sum(p.numel() for p in net.parameters())
        61706
    """

    activation: Activation = "relu"
    scale: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise BadSpec(f"LeNet5.activation: got {self.activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
        if not self.scale > 0:
            raise BadSpec(f"LeNet5.scale: got {self.scale}, expected a number greater than 0")
        if not 0 <= self.dropout < 1:
            raise BadSpec(f"LeNet5.dropout: got {self.dropout}, expected a share from 0 to below 1")

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        return with_weights(structure(lambda: self._layers(shape, classes)), rng, self.scale)

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The name of the network.

        >>> LeNet5().describe((28, 28), 10)
        'LeNet5'
        """
        return "LeNet5"

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Counted on the layers.

        >>> LeNet5().multiply_adds((28, 28), 10)
        416520
        """
        return count_multiply_adds(structure(lambda: self._layers(shape, classes)), shape)

    def _layers(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        channels, rows, columns = picture_of(shape, "LeNet5")
        left = [((max(size, SIDE) - 4) // 2 - 4) // 2 for size in (rows, columns)]
        activation = ACTIVATIONS[self.activation]
        drops = [Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(
            Channels(SIDE),
            *(nn.Conv2d(channels, 6, 5), activation(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2)),
            nn.Flatten(),
            *(nn.Linear(16 * left[0] * left[1], 120), activation(), *drops),
            *(nn.Linear(120, 84), activation(), *[Dropout(d.rate) for d in drops]),
            nn.Linear(84, classes),
        )
