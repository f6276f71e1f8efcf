"""Fully connected networks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt
from typing import Literal

import numpy as np
import torch
from torch import nn

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.nets._network import ACTIVATIONS, Activation, Dropout


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
        if self.activation not in ACTIVATIONS:
            raise BadSpec(f"MLP.activation: got {self.activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
        if self.initialisation not in ("glorot", "he"):
            raise BadSpec(f"MLP.initialisation: got {self.initialisation!r}, expected 'glorot' or 'he'")
        for name in ("scale", "input_scale"):
            if not getattr(self, name) > 0:
                raise BadSpec(f"MLP.{name}: got {getattr(self, name)}, expected a number greater than 0")
        if not 0 <= self.dropout < 1:
            raise BadSpec(f"MLP.dropout: got {self.dropout}, expected a share from 0 to below 1")

    def _widths(self, shape: tuple[int, ...], classes: int) -> list[tuple[int, int]]:
        return list(pairwise([prod(shape), *self.hidden, classes]))

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module in float32; weights are drawn layer by layer from ``rng``."""
        layers: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
        widths = self._widths(shape, classes)
        for place, (fan_in, fan_out) in enumerate(widths):
            scale = self.scale * (sqrt(self.input_scale) if place == 0 else 1.0)
            limit = scale * sqrt(6 / (fan_in + fan_out) if self.initialisation == "glorot" else 6 / fan_in)
            layers.append(linear(fan_in, fan_out, limit, rng))
            if place < len(widths) - 1:
                layers += [nn.BatchNorm1d(fan_out)] if self.batch_norm else []
                layers.append(ACTIVATIONS[self.activation]())
                layers += [Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(*layers)

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
        return sum(fan_in * fan_out for fan_in, fan_out in self._widths(shape, classes))


def linear(fan_in: int, fan_out: int, limit: float, rng: np.random.Generator) -> nn.Linear:
    """A linear layer with weights uniform in ±limit from ``rng`` and zero biases."""
    # skip_init: PyTorch's own initialisation would draw from the global generator.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)  # type: ignore[no-untyped-call]
    weight = rng.uniform(-limit, limit, size=(fan_out, fan_in)).astype(np.float32)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.zero_()
    return layer
