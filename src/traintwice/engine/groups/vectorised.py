"""Replicas of any network that train together: the forward pass mapped over a stack of parameters by `torch.func.vmap`.

Experimental: docs/engine.md gives the measured times.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from traintwice.engine.groups.group import ReplicaGroup
from traintwice.engine.groups.logits import LossInputs
from traintwice.engine.groups.stack import Block, GroupShape, IOBuffers
from traintwice.engine.state import State, copied, under, within
from traintwice.methods import Memories
from traintwice.nets import Dropout, enter_dropout, masks_given

Drop = tuple[float, tuple[int, ...]]
"""Rate and shape of a dropout mask."""


class AnyLayout:
    """A block for every trained parameter of a network."""

    def __init__(self, network: nn.Module) -> None:
        trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._blocks = tuple(Block(name, index, tuple(p.shape)) for index, (name, p) in enumerate(trained))

    def blocks(self) -> tuple[Block, ...]:
        """All parameters, in the order of their places."""
        return self._blocks


class MaskedBuffers(IOBuffers):
    """Input and output buffers, and the masks of dropout layers."""

    def __init__(self, shape: GroupShape, network: nn.Module, example: tuple[int, ...], classes: int) -> None:
        self.example = example
        blank = torch.zeros(shape.batch, *example, dtype=shape.dtype, device=shape.device)
        self.drops = drops_of(copy.deepcopy(network), blank)
        super().__init__(shape, blank[0].numel(), classes)
        self.masks = [blank.new_zeros(shape.size, *mask) for _, mask in self.drops]

    def seen(self) -> Tensor:
        """Inputs ``S B ...`` of every network."""
        x, shape = self.inputs.reshape(-1, self.shape.batch, *self.example), self.shape
        if shape.apart or shape.components == 1:
            return x
        return x.unsqueeze(1).expand(-1, shape.components, *x.shape[1:]).reshape(shape.size, *x.shape[1:])


class VectorisedGroup(ReplicaGroup[MaskedBuffers]):
    """R replicas of any network, by one mapped forward pass and automatic differentiation."""

    def _begin(self) -> None:
        self.layout = AnyLayout(self.template)
        self.template.train()
        self.kept = {name: value.new_zeros(self.size, *value.shape) for name, value in kept_of(self.template).items()}

    def _take(self, network: nn.Module, row: int) -> None:
        for name, value in kept_of(network).items():
            self.kept[name][row] = value

    def _buffers(self, shape: GroupShape) -> MaskedBuffers:
        return MaskedBuffers(shape, self.template, self.data.shape, self.data.classes)

    def _draw_dropout(self, buffers: MaskedBuffers, step: int) -> None:
        if not buffers.drops:
            return
        distinct = list(dict.fromkeys(self.replicas))  # the other places repeat them, in the same order
        for mask, own in zip(buffers.masks, drawn(buffers.drops, self._streams(step, distinct), self.dtype), strict=True):
            mask.copy_(own.index_select(0, torch.arange(self.size) % len(own)))

    def _peer_logits(self, buffers: MaskedBuffers, older: list[nn.Parameter]) -> Tensor:
        kept = {name: value.clone() for name, value in self.kept.items()}  # peers do not change the networks' statistics
        logits = self._forward(buffers, older, kept)
        return buffers.by_replica(logits).to(self.dtype, copy=True)

    def _pass(self, buffers: MaskedBuffers, seen: LossInputs, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        with torch.enable_grad():
            leaves = [parameter.detach().requires_grad_() for parameter in self.parameters]
            logits = self._forward(buffers, leaves, self.kept)
            buffers.logits.copy_(logits.detach().mT)
            remembered, values = self.loss.write(buffers, seen, step, self.memories)
        taken = torch.autograd.grad(logits, leaves, buffers.gradient.mT.to(logits.dtype))
        for gradient, own in zip(self.gradients, taken, strict=True):
            gradient.copy_(own)
        return remembered, values

    def _forward(self, buffers: MaskedBuffers, stack: Sequence[Tensor], kept: Mapping[str, Tensor]) -> Tensor:
        parameters = {block.name: block.of(stack) for block in self.layout.blocks()}
        with self.execution.forward_pass():
            return forward(self.template, parameters, kept, buffers.seen(), buffers.masks)

    def _kept(self, row: int) -> dict[str, Tensor]:
        return {name: value[row] for name, value in self.kept.items()}

    def _kept_state(self, rows: slice) -> State:
        return under("kept", {name: copied(value[rows]) for name, value in self.kept.items()})

    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        own = [within("kept", state) for state in states]
        for name, value in self.kept.items():
            value.copy_(torch.cat([state[name] for state in own]))


def kept_of(network: nn.Module) -> dict[str, Tensor]:
    """Buffers of a network, and parameters that are not trained."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(network.named_buffers())}


def forward(
    network: nn.Module, parameters: Mapping[str, Tensor], kept: Mapping[str, Tensor], x: Tensor, masks: Sequence[Tensor]
) -> Tensor:
    """Logits ``S B K`` of S networks of one structure.

    Args:
        network: of that structure, in training mode; its own numbers are not read.
        parameters, kept: ``S ...`` by name. Running statistics are changed in place.
        x: ``S B ...``.
        masks: ``S ...`` of every dropout layer, in the order of their calls.
    Raises:
        RuntimeError: the network cannot be mapped, for example because it branches on a number of one example.
    """

    def one(own: dict[str, Tensor], others: dict[str, Tensor], shown: Tensor, drawn: tuple[Tensor, ...]) -> Tensor:
        with masks_given(network, drawn):
            logits: Tensor = functional_call(network, (own, others), (shown,))
        return logits

    # Masks come from explicit streams: a network that draws from PyTorch's generator is refused.
    logits: Tensor = vmap(one, randomness="error")(dict(parameters), dict(kept), x, tuple(masks))
    return logits


@torch.no_grad()
def drops_of(network: nn.Module, x: Tensor) -> list[Drop]:
    """Every dropout mask of a mini-batch, in order; the network is run once."""
    found: list[Drop] = []
    hooks = [
        module.register_forward_hook(lambda layer, _, y: found.append((layer.rate, tuple(y.shape))))
        for module in network.modules()
        if isinstance(module, Dropout)
    ]
    if hooks:
        enter_dropout(network, np.random.default_rng(0))
        network(x)
    for hook in hooks:
        hook.remove()
    return found


def drawn(drops: Sequence[Drop], streams: Sequence[np.random.Generator], dtype: torch.dtype) -> list[Tensor]:
    """Masks ``S ...``, each network's from its own stream, as `traintwice.nets.Dropout` draws them."""
    made = []
    for rate, shape in drops:
        noise = torch.empty(len(streams), *shape)
        for own, stream in zip(noise.numpy(), streams, strict=True):
            stream.random(dtype=np.float32, out=own)
        made.append((noise >= rate).to(dtype) / (1 - rate))
    return made
