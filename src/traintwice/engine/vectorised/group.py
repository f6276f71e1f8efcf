"""A group of networks of any structure that are trained together."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from traintwice.engine.stacked.edges import Edges
from traintwice.engine.stacked.logits import Seen
from traintwice.engine.stacked.together import Together
from traintwice.engine.state import State, copied, under, within
from traintwice.engine.vectorised.forward import drawn, drops_of, forward
from traintwice.engine.vectorised.layout import AnyLayout, kept_of
from traintwice.methods import Memories


class Buffers(Edges):
    """Of the edges of the networks, and masks of their dropout layers.

    Args:
        network: one of them, whose every mask is made room for.
        shape: of an input.
        classes: K.
        settings: as of `Edges`.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...], classes: int, **settings: Any) -> None:
        self.shape = shape
        blank = torch.zeros(settings["batch"], *shape, dtype=settings["dtype"], device=settings["device"])
        self.drops = drops_of(copy.deepcopy(network), blank)
        super().__init__(blank[0].numel(), classes, **settings)
        self.masks = [blank.new_zeros(self.size, *mask) for _, mask in self.drops]

    def seen(self) -> Tensor:
        """Inputs ``S B ...`` of every network."""
        x = self.inputs.reshape(-1, self.batch, *self.shape)
        if self.apart or self.components == 1:
            return x
        return x.unsqueeze(1).expand(-1, self.components, *x.shape[1:]).reshape(self.size, *x.shape[1:])


class Group(Together):
    """R replicas of any network, by one forward pass that is mapped over all of them, and automatic differentiation."""

    layout: AnyLayout

    def _layout(self) -> AnyLayout:
        return AnyLayout(self.template)

    def _begin(self) -> None:
        self.template.train()
        self.kept = {name: value.new_zeros(self.size, *value.shape) for name, value in kept_of(self.template).items()}
        self._sized: dict[int, Buffers] = {}

    def _take(self, network: nn.Module, row: int) -> None:
        for name, value in kept_of(network).items():
            self.kept[name][row] = value

    def _passes(self, batch: int) -> Buffers:
        if batch not in self._sized:
            self._sized[batch] = Buffers(self.template, self.data.shape, self.data.classes, **self._settings(batch))
        return self._sized[batch]

    def _draw(self, passes: Buffers, step: int) -> None:
        if not passes.drops:
            return
        distinct = list(dict.fromkeys(self.replicas))  # the places beyond them hold the same again, in the same order
        for mask, own in zip(passes.masks, drawn(passes.drops, self._streams(step, distinct), self.dtype), strict=True):
            again = torch.arange(self.size) % len(own)
            mask.copy_(own.index_select(0, again))

    def _peer_logits(self, passes: Buffers, older: list[nn.Parameter]) -> Tensor:
        kept = {name: value.clone() for name, value in self.kept.items()}  # of the networks themselves, which are not run here
        logits = self._forward(passes, older, kept)
        return passes.by_replica(logits).to(self.dtype, copy=True)

    def _pass(self, passes: Buffers, seen: Seen, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        with torch.enable_grad():
            leaves = [parameter.detach().requires_grad_() for parameter in self.parameters]
            logits = self._forward(passes, leaves, self.kept)
            passes.logits.copy_(logits.detach().mT)
            remembered, values = self.loss.write(passes, seen, step, self.memories)
        taken = torch.autograd.grad(logits, leaves, passes.gradient.mT.to(logits.dtype))
        for gradient, own in zip(self.gradients, taken, strict=True):
            gradient.copy_(own)
        return remembered, values

    def _forward(self, passes: Buffers, stack: Sequence[Tensor], kept: Mapping[str, Tensor]) -> Tensor:
        parameters = {block.name: block.of(stack) for block in self.layout.blocks()}
        with self.device.forward():
            return forward(self.template, parameters, kept, passes.seen(), passes.masks)

    def _count(self) -> None:
        return  # layers count for themselves

    def _kept(self, row: int) -> dict[str, Tensor]:
        return {name: value[row] for name, value in self.kept.items()}

    def _kept_state(self, rows: slice) -> State:
        return under("kept", {name: copied(value[rows]) for name, value in self.kept.items()})

    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        own = [within("kept", state) for state in states]
        for name, value in self.kept.items():
            value.copy_(torch.cat([state[name] for state in own]))
