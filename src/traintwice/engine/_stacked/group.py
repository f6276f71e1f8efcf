"""Replicas of a fully connected network that train together by hand-written passes."""

from __future__ import annotations

from torch import Tensor, nn

from traintwice.engine._groups.group import ReplicaGroup
from traintwice.engine._groups.logits import LossInputs
from traintwice.engine._groups.stack import LANES, Block, GroupShape
from traintwice.engine._groups.step import StackOptimizer, fused_sgd_of
from traintwice.engine._reading import rounded_up
from traintwice.engine._stacked.layers import layout_of
from traintwice.engine._stacked.passes import BoundPasses, LayerBuffers
from traintwice.methods import Memories


class StackedGroup(ReplicaGroup[LayerBuffers]):
    """R replicas of a fully connected network, by hand-written passes."""

    def _blocks(self) -> tuple[Block, ...]:
        self.layout = layout_of(self.template)
        self.drops = any(layer.rate for layer in self.layout.layers)
        self.norms = [layer.norm for layer in self.layout.layers if layer.norm is not None]
        self._padded: dict[str, Tensor] = {}
        self._bound: dict[LayerBuffers, BoundPasses] = {}
        return tuple(self.layout.blocks())

    def _room(self, name: str, value: Tensor) -> Tensor:
        if value.ndim == 0:
            return super()._room(name, value)
        self._padded[name] = value.new_zeros(self.size, rounded_up(len(value), LANES))
        return self._padded[name][:, : len(value)]

    def _optimizer(self) -> StackOptimizer:
        self.fused = None if self.execution.on_gpu else fused_sgd_of(self.recipe)
        updated = [block.index for block in self.blocks if self.fused is None or len(block.shape) == 1]
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
        for norm, seen in zip(self.norms, buffers.statistics, strict=True):
            unbiased = buffers.shape.batch / (buffers.shape.batch - 1)
            mean, variance = (self._padded[f"{norm.name}.running_{what}"] for what in ("mean", "var"))
            mean.mul_(1 - norm.momentum).add_(seen.mean[0], alpha=norm.momentum)
            variance.mul_(1 - norm.momentum).add_(seen.variance[0], alpha=norm.momentum * unbiased)
            self.kept[f"{norm.name}.num_batches_tracked"].add_(1)
