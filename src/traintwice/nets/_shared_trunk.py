"""An MLP whose components share their first layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt

import numpy as np
from torch import nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._mlp import linear
from traintwice.nets._network import ACTIVATIONS, Activation, Dropout


@dataclass(frozen=True)
@typed
class SharedTrunk:
    """Components with a common trunk of layers and a head each.

    Args:
        trunk: widths of the shared layers, at least one.
        head: widths of the hidden layers of each component.
        activation: as of `MLP`.
        scale: factor on the initial weights, > 0.
        input_scale: factor on the variance of the first layer's initial weights, > 0, as of `MLP`.
        dropout: rate of dropout after every hidden layer, in [0, 1); each component has its own masks, in the trunk too.
    Raises:
        BadSpec: a setting outside its range.
    Source:
        AD section 4 (components may share parts). Ours: Glorot uniform weights. The weights of the trunk are drawn from the stream of the
        first component and trained by its optimiser. Each component computes the trunk; the cost counts it once.
    Example:
        >>> first, second = SharedTrunk((8,)).build_together((4,), 2, [np.random.default_rng(j) for j in range(2)])
        >>> first[0] is second[0], first[-1] is second[-1]
        (True, False)
    """

    trunk: tuple[int, ...] = (128,)
    head: tuple[int, ...] = ()
    activation: Activation = "relu"
    scale: float = 1.0
    input_scale: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.trunk or min(*self.trunk, *self.head, 1) < 1:
            raise BadSpec(
                f"SharedTrunk: got trunk={list(self.trunk)}, head={list(self.head)}, expected widths of at least 1 and a trunk"
            )
        if self.activation not in ACTIVATIONS:
            raise BadSpec(f"SharedTrunk.activation: got {self.activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
        for name in ("scale", "input_scale"):
            if not getattr(self, name) > 0:
                raise BadSpec(f"SharedTrunk.{name}: got {getattr(self, name)}, expected a number greater than 0")
        if not 0 <= self.dropout < 1:
            raise BadSpec(f"SharedTrunk.dropout: got {self.dropout}, expected a share from 0 to below 1")

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """A single component."""
        return self.build_together(shape, classes, [rng])[0]

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; the linear layers of the trunk are the same objects in all modules."""
        flat: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        trunk = self._linear([prod(shape), *self.trunk], rngs[0], input_scale=self.input_scale)
        heads = [self._linear([self.trunk[-1], *self.head, classes], rng) for rng in rngs]
        return [nn.Sequential(*flat, *self._hidden([*trunk, *head[:-1]]), head[-1]) for head in heads]

    def _linear(self, widths: list[int], rng: np.random.Generator, *, input_scale: float = 1.0) -> list[nn.Linear]:
        layers = []
        for place, (fan_in, fan_out) in enumerate(pairwise(widths)):
            scale = self.scale * (sqrt(input_scale) if place == 0 else 1.0)
            layers.append(linear(fan_in, fan_out, scale * sqrt(6 / (fan_in + fan_out)), rng))
        return layers

    def _hidden(self, layers: list[nn.Linear]) -> list[nn.Module]:
        """Each layer with its activation and its dropout."""
        found: list[nn.Module] = []
        for layer in layers:
            found += [layer, ACTIVATIONS[self.activation](), *([Dropout(self.dropout)] if self.dropout else [])]
        return found

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The widths of trunk and heads.

        >>> SharedTrunk((128,), (32,)).describe((64,), 10)
        'trunk 64-128, heads 32-10'
        """
        return f"trunk {'-'.join(map(str, (prod(shape), *self.trunk)))}, heads {'-'.join(map(str, (*self.head, classes)))}"

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Of one component, the trunk included."""
        widths = [prod(shape), *self.trunk, *self.head, classes]
        return sum(a * b for a, b in pairwise(widths))

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Of the trunk, which the cost counts once."""
        widths = [prod(shape), *self.trunk]
        return sum(a * b for a, b in pairwise(widths))
