"""Components that share their first layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt

import numpy as np
from torch import nn

from traintwice.errors import BadSpec
from traintwice.nets.activations import ACTIVATIONS, Activation
from traintwice.nets.mlp import linear


@dataclass(frozen=True)
class SharedTrunk:
    """Components with a common trunk and a head each: only what is beyond the trunk is trained to differ or to agree.

    Args:
        trunk: widths of the layers that all components share, at least one.
        head: widths of each component's own hidden layers.
        activation: as of `MLP`.
        scale: factor on the initial weights, > 0.
    Raises:
        BadSpec: a setting outside its range.
    Source:
        AD section 4 (components may share parts). Ours: Glorot uniform weights; the trunk's are drawn from the first component's stream and
        trained by the first component's optimiser. The trunk is computed once for every component here, and once in the cost.
    Example:
        >>> first, second = SharedTrunk((8,)).build_together((4,), 2, [np.random.default_rng(j) for j in range(2)])
        >>> first[0] is second[0], first[-1] is second[-1]
        (True, False)
    """

    trunk: tuple[int, ...] = (128,)
    head: tuple[int, ...] = ()
    activation: Activation = "relu"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.trunk or min(*self.trunk, *self.head, 1) < 1:
            raise BadSpec(
                f"SharedTrunk: got trunk={list(self.trunk)}, head={list(self.head)}, expected widths of at least 1 and a trunk"
            )
        if self.activation not in ACTIVATIONS:
            raise BadSpec(f"SharedTrunk.activation: got {self.activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
        if not self.scale > 0:
            raise BadSpec(f"SharedTrunk.scale: got {self.scale}, expected a number greater than 0")

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """A single component."""
        return self.build_together(shape, classes, [rng])[0]

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; the trunk's layers are the same objects in all."""
        trunk: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        trunk = [*trunk, *self._layers([prod(shape), *self.trunk], rngs[0])]
        return [nn.Sequential(*trunk, *self._layers([self.trunk[-1], *self.head, classes], rng)[:-1]) for rng in rngs]

    def _layers(self, widths: list[int], rng: np.random.Generator) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [linear(fan_in, fan_out, self.scale * sqrt(6 / (fan_in + fan_out)), rng), ACTIVATIONS[self.activation]()]
        return layers

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """Its widths.

        >>> SharedTrunk((128,), (32,)).describe((64,), 10)
        'trunk 64-128, heads 32-10'
        """
        return f"trunk {'-'.join(map(str, (prod(shape), *self.trunk)))}, heads {'-'.join(map(str, (*self.head, classes)))}"

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Of one component with its trunk."""
        widths = [prod(shape), *self.trunk, *self.head, classes]
        return sum(a * b for a, b in pairwise(widths))

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Of the trunk alone, which further components do not pay again."""
        widths = [prod(shape), *self.trunk]
        return sum(a * b for a, b in pairwise(widths))
