"""Parameters of many networks in one stack, and the buffers for their inputs, outputs and dropout masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.engine._reading import FILLED, rounded_up

LANES = 64
"""Numbers of a network in a stack are padded to a multiple of so many. PyTorch's vectorised loops take two vectors at a time (32 float32
numbers) and round the remaining numbers differently; with this padding nothing remains, in a group of any size."""


@dataclass(frozen=True)
class Block:
    """A parameter of all networks, by its name in a network's state; the shape is that stored."""

    name: str
    index: int
    shape: tuple[int, ...]
    transposed: bool = False

    @property
    def length(self) -> int:
        """Padded size for each network."""
        return rounded_up(prod(self.shape), LANES)

    def of(self, stack: Sequence[Tensor]) -> Tensor:
        """The parameter of all networks, ``S *shape``, in a stack's blocks ``S length``."""
        return stack[self.index][:, : prod(self.shape)].view(-1, *self.shape)


class Stack(nn.Module):
    """Parameters of S networks, ``S length`` for each parameter of one. It is a module, so averagers and peers can use it as one."""

    def __init__(self, blocks: Sequence[Block], networks: int, dtype: torch.dtype) -> None:
        super().__init__()
        zeros = [torch.zeros(networks, block.length, dtype=dtype) for block in blocks]
        self.blocks = nn.ParameterList(nn.Parameter(zero, requires_grad=False) for zero in zeros)


@torch.no_grad()
def pack(network: nn.Module, blocks: Sequence[Block], stack: Sequence[Tensor], row: int) -> None:
    """Copy a network's parameters to its row of a stack."""
    parameters = dict(network.named_parameters())
    for block in blocks:
        block.of(stack)[row].copy_(parameters[block.name].t() if block.transposed else parameters[block.name])


@torch.no_grad()
def unpack(network: nn.Module, blocks: Sequence[Block], stack: Sequence[Tensor], row: int) -> None:
    """Inverse of `pack`."""
    parameters = dict(network.named_parameters())
    for block in blocks:
        own = block.of(stack)[row]
        parameters[block.name].copy_(own.t() if block.transposed else own)


@dataclass(frozen=True)
class GroupShape:
    """Shape of a group's mini-batches, and of all buffers."""

    replicas: int
    components: int
    batch: int
    apart: bool  # whether components have inputs of their own
    dtype: torch.dtype
    device: torch.device

    @property
    def size(self) -> int:
        """Networks S = R·J."""
        return self.replicas * self.components

    def padded(self, *shape: int) -> tuple[Tensor, Tensor]:
        """A buffer ``S L`` with L rounded up to `LANES`, and its view ``S *shape``."""
        count = prod(shape)
        flat = torch.zeros(self.size, rounded_up(count, LANES), dtype=self.dtype, device=self.device)
        return flat, flat[:, :count].view(self.size, *shape)


Drop = tuple[float, tuple[int, ...]]
"""Rate and shape of a dropout mask."""


class IOBuffers:
    """Inputs, logits and gradient of the logits of S networks, for mini-batches of one size.

    Attributes:
        rows: inputs ``R·B D`` or, if components have their own, ``S·B D``, padded to `FILLED`; written before a forward pass.
        inputs: a view of them, ``R B D`` or ``S B D``, without the padding.
        logits: ``S K B``, written by a forward pass; class by class, which is fast to normalise.
        gradient: of the loss by the logits, ``S K B``, written before a backward pass.
        minus_one: −1 for every example of every network, ``S 1 B``.
        drops, masks: every dropout mask of a pass, in order, and where it is written.
    """

    drops: list[Drop]
    masks: list[Tensor]

    def __init__(self, shape: GroupShape, features: int, classes: int) -> None:
        self.shape = shape
        seen = shape.size if shape.apart else shape.replicas
        self.rows = torch.zeros(seen * shape.batch, rounded_up(features, FILLED), dtype=shape.dtype, device=shape.device)
        self.inputs = self.rows.view(seen, shape.batch, -1)[:, :, :features]
        self.logits_flat, self.logits = shape.padded(classes, shape.batch)
        self.gradient_flat, self.gradient = shape.padded(classes, shape.batch)
        minus_one = torch.full((), -1.0, dtype=shape.dtype, device=shape.device)
        self.minus_one = minus_one.expand(shape.size, 1, shape.batch)

    def by_replica(self, stack: Tensor) -> Tensor:
        """``R J ...`` of ``R·J ...``."""
        return stack.view(self.shape.replicas, self.shape.components, *stack.shape[1:])


def kept_of(network: nn.Module) -> dict[str, Tensor]:
    """Buffers of a network, such as running statistics, and parameters that are not trained."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(network.named_buffers())}


def drawn(drops: Sequence[Drop], streams: Sequence[np.random.Generator], dtype: torch.dtype) -> list[Tensor]:
    """Masks ``S ...``, each network's from its own stream, as `traintwice.nets.Dropout` draws them."""
    made = []
    for rate, shape in drops:
        noise = torch.empty(len(streams), *shape)
        for own, stream in zip(noise.numpy(), streams, strict=True):
            stream.random(dtype=np.float32, out=own)
        made.append((noise >= rate).to(dtype) / (1 - rate))
    return made
