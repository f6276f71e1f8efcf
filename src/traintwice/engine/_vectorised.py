"""Replicas of any network that train together: the forward pass mapped over a stack of parameters by `torch.func.vmap`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from traintwice.engine._group import ReplicaGroup
from traintwice.engine._stack import Block, Drop, GroupShape, IOBuffers, LossInputs, drawn, kept_of
from traintwice.methods import Memories
from traintwice.nets import Dropout, Network, SeededDraws, enter_dropout, masks_given
from traintwice.nets._network import layer_shapes

EXAMPLES = 3
"""Examples of a trial."""


class MaskedBuffers(IOBuffers):
    """Input and output buffers, and the masks of dropout layers."""

    def __init__(self, shape: GroupShape, network: nn.Module, example: tuple[int, ...], classes: int) -> None:
        self.example = example
        blank = torch.zeros(shape.batch, *example, dtype=shape.dtype, device=shape.device)
        self.drops = drops_of(network, blank)
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

    def _blocks(self) -> tuple[Block, ...]:
        self.template.train()
        return tuple(Block(name, i, tuple(p.shape)) for i, (name, p) in enumerate(_trained(self.template).items()))

    def _buffers(self, shape: GroupShape) -> MaskedBuffers:
        return MaskedBuffers(shape, self.template, self.data.shape, self.data.classes)

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
        parameters = {block.name: block.of(stack) for block in self.blocks}
        with self.execution.forward_pass():
            return forward(self.template, parameters, kept, buffers.seen(), buffers.masks)


def forward(
    network: nn.Module, parameters: Mapping[str, Tensor], kept: Mapping[str, Tensor], x: Tensor, masks: Sequence[Tensor]
) -> Tensor:
    """Logits ``S B K`` of S networks with the structure of a network in training mode; all tensors are ``S ...``.

    Running statistics in ``kept`` change in place; ``masks`` are those of the dropout layers in the order of their calls.
    """

    def one(own: dict[str, Tensor], others: dict[str, Tensor], shown: Tensor, drawn: tuple[Tensor, ...]) -> Tensor:
        with masks_given(network, drawn):
            logits: Tensor = functional_call(network, (own, others), (shown,))
        return logits

    # Masks come from explicit streams: a network that draws from PyTorch's generator is refused.
    logits: Tensor = vmap(one, randomness="error")(dict(parameters), dict(kept), x, tuple(masks))
    return logits


def drops_of(network: nn.Module, x: Tensor) -> list[Drop]:
    """Every dropout mask of a mini-batch, in order."""
    return [
        (layer.rate, tuple(shape)) for layer, shape in layer_shapes(network, x, lambda m: isinstance(m, Dropout), training=True)
    ]


@dataclass(frozen=True)
class Tried:
    """Result of a trial."""

    obstacle: str | None  # why the network cannot be vectorised
    parameters: int  # trained numbers
    activations: int  # outputs of all layers for one example


@lru_cache(maxsize=64)
def tried(network: Network, shape: tuple[int, ...], classes: int) -> Tried:
    """Run two networks alone and together, forward and backward, and compare the results; once for each structure."""
    alone = [network.build(shape, classes, np.random.default_rng(seed)).train() for seed in range(2)]
    name = network.describe(shape, classes)
    parameters = sum(p.numel() for p in _trained(alone[0]).values())
    if any(isinstance(m, nn.Embedding | nn.EmbeddingBag) and m.sparse for m in alone[0].modules()):
        return Tried(f"{name} has sparse gradients", parameters, 0)
    if any(isinstance(m, SeededDraws) for m in alone[0].modules()):
        return Tried(f"{name} draws from PyTorch's global generator", parameters, 0)
    x = torch.rand(2, EXAMPLES, *shape, generator=torch.Generator().manual_seed(0))  # below 1: the first code of a category
    x = x.to(next((p.dtype for p in alone[0].parameters()), x.dtype))
    innermost = layer_shapes(alone[0], x[0], lambda layer: not list(layer.children()), training=True)
    activations = sum(shape.numel() for _, shape in innermost) // EXAMPLES

    def obstacle(reason: str) -> Tried:
        return Tried(f"{name}{reason}", parameters, activations)

    try:
        both = _together([copy.deepcopy(one) for one in alone], x)
    except Exception as error:  # whatever a user's module raises for a mapped tensor
        first = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
        return obstacle(f" cannot be mapped over many networks: {first}")
    for at, (one, own) in enumerate(zip(alone, both, strict=True)):
        enter_dropout(one, np.random.default_rng(at))
        for what, value in _results(one(x[at]), _trained(one), kept_of(one)).items():
            if what not in own:
                return obstacle(f": {what} exists alone and not among many networks")
            if not torch.allclose(own[what].double(), value.double(), rtol=1e-3, atol=1e-4, equal_nan=True):
                return obstacle(f": {what} differs between a network alone and the same among many")
    for what, value in both[0].items():
        if what.startswith("gradient of ") and value.isnan().all():
            return obstacle(f": parameter {what.removeprefix('gradient of ')} takes no part in its outputs")
    return Tried(None, parameters, activations)


def _trained(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def _together(networks: list[nn.Module], x: Tensor) -> list[dict[str, Tensor]]:
    """Results of networks that run together."""
    drops = drops_of(networks[0], x[0])
    masks = drawn(drops, [np.random.default_rng(at) for at in range(len(networks))], x.dtype)
    stack, kept = (
        {name: torch.stack([own[name].detach() for own in each]) for name in each[0]}
        for each in ([_trained(n) for n in networks], [kept_of(n) for n in networks])
    )
    for parameter in stack.values():
        parameter.requires_grad_()
    found = _results(forward(networks[0], stack, kept, x, masks), stack, kept)
    return [{name: value[at] for name, value in found.items()} for at in range(len(networks))]


def _results(logits: Tensor, parameters: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Logits, gradients of their squares (NaN for an unused parameter), and buffers after the pass."""
    taken = torch.autograd.grad(logits.square().sum(), list(parameters.values()), allow_unused=True)
    gradients = {
        f"gradient of {name}": torch.full_like(p, torch.nan) if g is None else g
        for (name, p), g in zip(parameters.items(), taken, strict=True)
    }
    return {"logits": logits.detach(), **gradients, **kept}
