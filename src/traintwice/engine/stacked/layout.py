"""How the parameters of many networks lie in memory, and what their layers do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from traintwice.nets import Dropout

LANES = 64
"""Numbers of a network in a stack take multiples of so many places. PyTorch's vectorised loops take two vectors at a time (32 numbers of
4 bytes) and the rest one by one, with other rounding in places; where every replica's numbers fill whole vectors, none of them is ever
among the rest, however many replicas there are."""


@dataclass(frozen=True)
class Block:
    """A parameter of all networks.

    Attributes:
        name: as in a network's state.
        index: its place among the blocks.
        shape: as it lies there.
        turned: it lies there transposed.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    turned: bool = False

    @property
    def length(self) -> int:
        """Places that it takes for each network."""
        return rounded_up(prod(self.shape), LANES)

    def of(self, stack: Sequence[Tensor]) -> Tensor:
        """The parameter of all networks, ``S *shape``, from a stack's blocks ``S length``."""
        return stack[self.index][:, : prod(self.shape)].view(-1, *self.shape)


class Blocks(Protocol):
    """Says where the parameters of a network lie."""

    def blocks(self) -> Iterable[Block]:
        """All parameters, in the order of their places."""


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
    """Layers of a network."""

    layers: tuple[Layer, ...]

    def blocks(self) -> Iterator[Block]:
        """All parameters, in the order of their places."""
        for layer in self.layers:
            yield from (layer.weight, layer.bias)
            if layer.norm is not None:
                yield from (layer.norm.weight, layer.norm.bias)


def layout_of(network: nn.Module) -> Layout:
    """The layout of a fully connected network, a sequence as `traintwice.nets.MLP` builds it."""
    count = itertools.count()

    def block(name: str, parameter: Tensor, *, turned: bool = False) -> Block:
        return Block(name, next(count), tuple(reversed(parameter.shape)) if turned else tuple(parameter.shape), turned)

    modules = list(network.named_children())
    linears = {i: module for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)}
    layers = []
    for (start, linear), end in zip(linears.items(), [*list(linears)[1:], len(modules)], strict=True):
        name = modules[start][0]
        weight = block(f"{name}.weight", linear.weight, turned=end < len(modules))
        bias = block(f"{name}.bias", linear.bias)
        norm, activation, rate = None, None, 0.0
        for inner, module in modules[start + 1 : end]:
            if isinstance(module, nn.BatchNorm1d):
                norm = Norm(
                    block(f"{inner}.weight", module.weight),
                    block(f"{inner}.bias", module.bias),
                    inner,
                    module.eps,
                    float(module.momentum or 0.0),
                )
            elif isinstance(module, Dropout):
                rate = module.rate
            else:
                activation = module
        layers.append(Layer(weight, bias, linear.in_features, linear.out_features, norm, activation, rate))
    return Layout(tuple(layers))


def rounded_up(count: int, multiple: int) -> int:
    """The next multiple, or the number itself.

    >>> rounded_up(65, 64), rounded_up(64, 64)
    (128, 64)
    """
    return -(-count // multiple) * multiple


@torch.no_grad()
def pack(network: nn.Module, layout: Blocks, stack: Sequence[Tensor], row: int) -> None:
    """Write a network's parameters into its row of a stack."""
    parameters = dict(network.named_parameters())
    for block in layout.blocks():
        block.of(stack)[row].copy_(parameters[block.name].t() if block.turned else parameters[block.name])


@torch.no_grad()
def unpack(network: nn.Module, layout: Blocks, stack: Sequence[Tensor], row: int) -> None:
    """Give a network the parameters of its row of a stack."""
    parameters = dict(network.named_parameters())
    for block in layout.blocks():
        own = block.of(stack)[row]
        parameters[block.name].copy_(own.t() if block.turned else own)
