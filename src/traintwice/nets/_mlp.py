"""Fully connected networks, alone or with first layers that all components share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import Literal

import numpy as np
import torch
from torch import nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, Dropout, check_settings, linear


@dataclass(frozen=True)
@typed
class MLP:
    r"""Hidden layers with an activation each, then a linear layer to the classes.

    Weights are uniform in ±scale·sqrt(6 / (fan in + fan out)) ("glorot") or ±scale·sqrt(6 / fan in) ("he"); biases are zero.

    Args:
        hidden: widths of the hidden layers, each >= 1; empty for logistic regression.
        activation: "relu", "gelu", "silu", "tanh" or "smelu" (half-width 1).
        initialisation: "glorot" or "he".
        scale: factor on all initial weights, > 0.
        input_scale: factor on the variance of the first layer's initial weights, > 0.
        batch_norm: batch normalisation of every hidden layer before its activation.
        dropout: rate of dropout after every hidden layer, in [0, 1).
    Raises:
        BadSpec: a setting outside its range.
    Source:
        The architecture of AD section 5 (784-1200-1200-10 ReLU, uniform weights, zero biases); ``input_scale`` is s of AD Table 3.
        Ours: the range of the uniform distribution, which the paper leaves open.
    Example:
        >>> net = MLP((128, 128)).build((64,), 10, np.random.default_rng(0))
        >>> sum(p.numel() for p in net.parameters())
        26122
    """

    hidden: tuple[int, ...] = (128, 128)
    activation: Activation = "relu"
    initialisation: Literal["glorot", "he"] = "glorot"
    scale: float = 1.0
    input_scale: float = 1.0
    batch_norm: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise BadSpec(f"MLP.hidden: got {list(self.hidden)}, expected widths of at least 1")
        check_settings(self)

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        widths, he = (prod(shape), *self.hidden, classes), self.initialisation == "he"
        linears = _linears(widths, rng, self.scale, input_scale=self.input_scale, he=he)
        return _network(shape, linears, self.activation, self.dropout, batch_norm=self.batch_norm)

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The widths of the layers.

        >>> MLP((128, 128)).describe((64,), 10)
        'MLP 64-128-128-10'
        """
        return "MLP " + "-".join(str(width) for width in (prod(shape), *self.hidden, classes))

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Σ over layers of fan in · fan out.

        >>> MLP((1200, 1200)).multiply_adds((784,), 10)
        2392800
        """
        return _multiply_adds((prod(shape), *self.hidden, classes))


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
        check_settings(self)

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """A single component."""
        return self.build_together(shape, classes, [rng])[0]

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; the linear layers of the trunk are the same objects in all modules."""
        trunk = _linears((prod(shape), *self.trunk), rngs[0], self.scale, input_scale=self.input_scale)
        heads = [_linears((self.trunk[-1], *self.head, classes), rng, self.scale) for rng in rngs]
        return [_network(shape, [*trunk, *head], self.activation, self.dropout) for head in heads]

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """The widths of trunk and heads.

        >>> SharedTrunk((128,), (32,)).describe((64,), 10)
        'trunk 64-128, heads 32-10'
        """
        return f"trunk {'-'.join(map(str, (prod(shape), *self.trunk)))}, heads {'-'.join(map(str, (*self.head, classes)))}"

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Of one component, the trunk included."""
        return _multiply_adds((prod(shape), *self.trunk, *self.head, classes))

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Of the trunk, which the cost counts once."""
        return _multiply_adds((prod(shape), *self.trunk))


def _linears(
    widths: Sequence[int], rng: np.random.Generator, scale: float, *, input_scale: float = 1.0, he: bool = False
) -> list[nn.Linear]:
    """Linear layers with weights uniform in ±scale·sqrt(6 / (fan in + fan out)) or, with ``he``, ±scale·sqrt(6 / fan in)."""
    layers = []
    for place, (fan_in, fan_out) in enumerate(pairwise(widths)):
        limit = scale * (sqrt(input_scale) if place == 0 else 1.0) * sqrt(6 / (fan_in if he else fan_in + fan_out))
        weight = rng.uniform(-limit, limit, size=(fan_out, fan_in)).astype(np.float32)
        layers.append(linear(torch.from_numpy(weight)))
    return layers


def _network(
    shape: tuple[int, ...], linears: Sequence[nn.Linear], activation: str, dropout: float, *, batch_norm: bool = False
) -> nn.Module:
    """Linear layers, each but the last with what follows it."""
    layers: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
    for layer in linears[:-1]:
        layers += [layer, *([nn.BatchNorm1d(layer.out_features)] if batch_norm else []), ACTIVATIONS[activation]()]
        layers += [Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, linears[-1])


def _multiply_adds(widths: Sequence[int]) -> int:
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(widths))
