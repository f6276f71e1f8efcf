"""Where the parameters of one network lie in a row of the stack, and what its layers do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from traintwice.nets import Dropout

LANES = 64
"""Rows of the stack and blocks of activations begin at multiples of so many numbers. PyTorch's vectorised loops take two vectors at a time
(32 numbers of 4 bytes) and the rest one by one, with other rounding in places; where every replica's numbers fill whole vectors, none
of them is ever among the rest, however many replicas there are."""

ALIGNED = 16
"""Blocks of parameters within a row begin at multiples of so many numbers, for the matrix products."""


@dataclass(frozen=True)
class Block:
    """A parameter in a row.

    Attributes:
        name: as in the network's state.
        start: its first number.
        shape: as it lies in the row.
        turned: it lies there transposed.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    turned: bool = False

    def of(self, flat: Tensor) -> Tensor:
        """The parameter of all networks, ``S *shape``, as it lies in the rows ``S P``."""
        return flat[:, self.start : self.start + prod(self.shape)].unflatten(1, self.shape)


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: its parameters, its name, and its constants."""

    weight: Block
    bias: Block
    name: str
    eps: float
    momentum: float


@dataclass(frozen=True)
class Layer:
    """A linear layer and what follows it up to the next.

    Attributes:
        weight: ``fan_in fan_out``; of the last layer ``fan_out fan_in``, so that its logits come out class by class.
        bias: ``fan_out``.
        norm, activation, rate: what follows; a rate of 0 drops nothing.
    """

    weight: Block
    bias: Block
    fan_in: int
    fan_out: int
    norm: Norm | None
    activation: nn.Module | None
    rate: float


@dataclass(frozen=True)
class Layout:
    """Layers of a network, and the length P of its row."""

    layers: tuple[Layer, ...]
    length: int

    def blocks(self) -> Iterator[Block]:
        """All parameters."""
        for layer in self.layers:
            yield from (layer.weight, layer.bias)
            if layer.norm is not None:
                yield from (layer.norm.weight, layer.norm.bias)


@dataclass
class _Place:
    """The next free number of a row."""

    at: int = 0

    def block(self, name: str, parameter: Tensor, *, turned: bool = False) -> Block:
        shape = tuple(reversed(parameter.shape)) if turned else tuple(parameter.shape)
        made = Block(name, self.at, shape, turned)
        self.at = rounded_up(self.at + parameter.numel(), ALIGNED)
        return made


def layout_of(network: nn.Module) -> Layout:
    """The layout of a fully connected network, a sequence as `traintwice.nets.MLP` builds it."""
    place = _Place()
    modules = list(network.named_children())
    starts = [i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)]
    layers = []
    for start, end in zip(starts, [*starts[1:], len(modules)], strict=True):
        name, linear = modules[start]
        weight = place.block(f"{name}.weight", linear.weight, turned=end < len(modules))
        bias = place.block(f"{name}.bias", linear.bias)
        norm, activation, rate = None, None, 0.0
        for inner, module in modules[start + 1 : end]:
            if isinstance(module, nn.BatchNorm1d):
                norm = Norm(
                    place.block(f"{inner}.weight", module.weight),
                    place.block(f"{inner}.bias", module.bias),
                    inner,
                    module.eps,
                    float(module.momentum or 0.0),
                )
            elif isinstance(module, Dropout):
                rate = module.rate
            else:
                activation = module
        layers.append(Layer(weight, bias, linear.in_features, linear.out_features, norm, activation, rate))
    return Layout(tuple(layers), rounded_up(place.at, LANES))


def rounded_up(count: int, multiple: int) -> int:
    """The next multiple, or the number itself.

    >>> rounded_up(65, 64), rounded_up(64, 64)
    (128, 64)
    """
    return -(-count // multiple) * multiple


@torch.no_grad()
def pack(network: nn.Module, layout: Layout, row: Tensor) -> None:
    """Write a network's parameters into its row ``P``."""
    parameters = dict(network.named_parameters())
    for block in layout.blocks():
        own = block.of(row.unsqueeze(0))[0]
        own.copy_(parameters[block.name].t() if block.turned else parameters[block.name])


@torch.no_grad()
def unpack(network: nn.Module, layout: Layout, row: Tensor) -> None:
    """Give a network the parameters of its row ``P``."""
    parameters = dict(network.named_parameters())
    for block in layout.blocks():
        own = block.of(row.unsqueeze(0))[0]
        parameters[block.name].copy_(own.t() if block.turned else own)
