"""Replicas of a fully connected network that train together by hand-written buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from traintwice.engine.groups.group import ReplicaGroup
from traintwice.engine.groups.logits import LossInputs
from traintwice.engine.groups.stack import LANES, GroupShape
from traintwice.engine.groups.update import StackOptimizer, fused_sgd_of
from traintwice.engine.reading import rounded_up
from traintwice.engine.stacked.layers import Layout, layout_of
from traintwice.engine.stacked.passes import BoundPasses, LayerBuffers
from traintwice.engine.state import State, copied
from traintwice.methods import Memories


class StackedGroup(ReplicaGroup[LayerBuffers]):
    """R replicas of a fully connected network, by hand-written buffers."""

    layout: Layout

    def _begin(self) -> None:
        self.layout = layout_of(self.template)
        self.drops = any(layer.rate for layer in self.layout.layers)
        self.norms = [layer.norm for layer in self.layout.layers if layer.norm is not None]
        self.widths = [layer.fan_out for layer in self.layout.layers if layer.norm is not None]
        widths = [rounded_up(width, LANES) for width in self.widths]
        self.running = [torch.zeros(2, self.size, w, dtype=self.dtype, device=self.torch_device) for w in widths]
        self.tracked = 0
        self._bound: dict[LayerBuffers, BoundPasses] = {}

    def _take(self, network: nn.Module, row: int) -> None:
        state = network.state_dict()
        for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
            running[0, row, :width] = state[f"{norm.name}.running_mean"]
            running[1, row, :width] = state[f"{norm.name}.running_var"]
            self.tracked = int(state[f"{norm.name}.num_batches_tracked"])

    def _optimizer(self) -> StackOptimizer:
        self.fused = None if self.execution.on_gpu else fused_sgd_of(self.recipe)
        updated = [block.index for block in self.layout.blocks() if self.fused is None or len(block.shape) == 1]
        parameters, gradients = [self.parameters[i] for i in updated], [self.gradients[i] for i in updated]
        return StackOptimizer(self.recipe.optimizer_of(0), parameters, gradients)

    def _buffers(self, shape: GroupShape) -> LayerBuffers:
        buffers = LayerBuffers(shape, self.layout)
        self._bound[buffers] = BoundPasses(buffers, self.parameters, self.gradients)
        return buffers

    def _draw_dropout(self, buffers: LayerBuffers, step: int) -> None:
        if self.drops:
            buffers.draw(self._streams(step, self.replicas))

    def _peer_logits(self, buffers: LayerBuffers, older: list[nn.Parameter]) -> Tensor:
        BoundPasses(buffers, older).forward()
        return buffers.by_replica(buffers.logits).mT.clone()

    def _count(self) -> None:
        self.tracked += bool(self.norms)

    def _pass(self, buffers: LayerBuffers, seen: LossInputs, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        network = self._bound[buffers]
        network.forward()
        if self.norms:
            self._follow(buffers)
        remembered, values = self.loss.write(buffers, seen, step, self.memories)
        if self.fused is None:
            network.backward()
        else:
            rate = self.fused.lr * factor
            network.backward(rate, 1.0 - rate * self.fused.weight_decay)
        return remembered, values

    def _follow(self, buffers: LayerBuffers) -> None:
        """Move running statistics of batch normalisations towards those of a mini-batch."""
        for norm, running, seen in zip(self.norms, self.running, buffers.statistics, strict=True):
            unbiased = buffers.shape.batch / (buffers.shape.batch - 1)
            running.mul_(1 - norm.momentum)
            running[0].add_(seen.mean[0], alpha=norm.momentum)
            running[1].add_(seen.variance[0], alpha=norm.momentum * unbiased)

    def _kept(self, row: int) -> dict[str, Tensor]:
        kept = {}
        for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
            kept[f"{norm.name}.running_mean"] = running[0, row, :width]
            kept[f"{norm.name}.running_var"] = running[1, row, :width]
            kept[f"{norm.name}.num_batches_tracked"] = torch.tensor(self.tracked)
        return kept

    def _kept_state(self, rows: slice) -> State:
        running = {f"running.{i}": copied(running[:, rows]) for i, running in enumerate(self.running)}
        return {"tracked": torch.tensor(self.tracked), **running}

    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        self.tracked = int(states[0]["tracked"])
        for i, running in enumerate(self.running):
            running.copy_(torch.cat([state[f"running.{i}"] for state in states], dim=1))
