"""Replicas of a fully connected network that train together by hand-written passes, and whether their bits depend on the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine._batches import batch_sizes
from traintwice.engine._execution import Execution, out_of_memory
from traintwice.engine._group import ReplicaGroup
from traintwice.engine._passes import BoundPasses, Layer, LayerBuffers, blocks_of, layers_of
from traintwice.engine._reading import rounded_up
from traintwice.engine._stack import LANES, Block, GroupShape, LossInputs, Stack, fused_sgd_of, pack
from traintwice.methods import Memories
from traintwice.nets import Network
from traintwice.recipes import Recipe

LONE, SMALL = 2, 3
"""Places of a lone replica's group and of a small group; both are compared with the size of the training."""


class StackedGroup(ReplicaGroup[LayerBuffers]):
    """R replicas of a fully connected network, by hand-written passes."""

    def _blocks(self) -> tuple[Block, ...]:
        self.layers = layers_of(self.template)
        self.norms = [layer.norm for layer in self.layers if layer.norm is not None]
        self.fused = None if self.execution.on_gpu else fused_sgd_of(self.recipe)
        self._padded: dict[str, Tensor] = {}
        self._bound: dict[LayerBuffers, BoundPasses] = {}
        return blocks_of(self.layers)

    def _room(self, name: str, value: Tensor) -> Tensor:
        if value.ndim == 0:
            return super()._room(name, value)
        self._padded[name] = value.new_zeros(self.size, rounded_up(len(value), LANES))
        return self._padded[name][:, : len(value)]

    def _updated(self) -> list[int]:
        return [block.index for block in self.blocks if self.fused is None or len(block.shape) == 1]

    def _update(self, factor: float) -> None:
        """By hand for plain SGD: PyTorch's optimiser gives the same bits and takes several times as long for so few numbers."""
        if self.fused is None:
            super()._update(factor)
            return
        for i in self._updated():
            parameter, gradient = self.parameters[i], self.gradients[i]
            if self.fused.weight_decay:
                gradient.add_(parameter, alpha=self.fused.weight_decay)
            parameter.add_(gradient, alpha=-self.fused.lr * factor)

    def _buffers(self, shape: GroupShape) -> LayerBuffers:
        buffers = LayerBuffers(shape, self.layers)
        self._bound[buffers] = BoundPasses(buffers, self.parameters, self.gradients)
        return buffers

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


def placement_changes_bits(recipe: Recipe, data: Dataset, execution: Execution, size: int) -> bool:
    """Whether the stacked engine rounds by a network's place in the group or by the size of the group on this processor.

    Networks with equal numbers take a forward and a backward pass in groups of several sizes, up to ``size`` replicas, with the shapes
    of the training. A size for which memory is short is left out. It takes about three steps, once for each process and shape.
    """
    sizes = tuple(sorted({LONE, SMALL, max(size, LONE)}))
    shapes = [_Shapes.of(recipe, data, execution.dtype, batch) for batch in batch_sizes(recipe, len(data.train))]
    return any(_changes_bits(each, sizes) for each in shapes)


@dataclass(frozen=True)
class _Shapes:
    """Everything that decides the products of a step."""

    network: Network
    shape: tuple[int, ...]
    classes: int
    batch: int
    components: int
    apart: bool
    descends: bool
    dtype: torch.dtype

    @classmethod
    def of(cls, recipe: Recipe, data: Dataset, dtype: torch.dtype, batch: int) -> _Shapes:
        """Shapes of a recipe for mini-batches of one size."""
        apart = recipe.own_batches is not None or recipe.views == "own"
        descends = fused_sgd_of(recipe) is not None
        return cls(recipe.network, data.shape, data.classes, batch, recipe.method.components, apart, descends, dtype)

    def built(self) -> tuple[list[Layer], list[Tensor]]:
        """A network's layers and its parameters in a stack, ``1 L`` each."""
        network = self.network.build(self.shape, self.classes, np.random.default_rng(0)).to(self.dtype)
        layers = layers_of(network)
        parameters = list(Stack(blocks_of(layers), 1, self.dtype).parameters())
        pack(network, blocks_of(layers), parameters, 0)
        return layers, [parameter.detach() for parameter in parameters]

    def passed(self, layers: Sequence[Layer], one: Sequence[Tensor], size: int) -> list[Tensor]:
        """Logits, gradients and updated parameters of R·J equal networks after a pass, ``R·J L`` each, as integers."""
        rng = np.random.default_rng(1)
        shape = GroupShape(size, self.components, self.batch, self.apart, self.dtype, torch.device("cpu"))
        buffers = LayerBuffers(shape, layers)
        parameters = [parameter.repeat(shape.size, 1) for parameter in one]
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        buffers.inputs.copy_(torch.from_numpy(rng.standard_normal(buffers.inputs.shape[1:])))
        buffers.gradient.copy_(torch.from_numpy(rng.standard_normal(buffers.gradient.shape[1:])))
        for mask in buffers.masks:
            mask.fill_(1.0)
        bound = BoundPasses(buffers, parameters, gradients)
        bound.forward()
        bound.backward(*((0.1, 0.9) if self.descends else ()))
        bits = torch.int64 if self.dtype == torch.float64 else torch.int32
        stepped = parameters if self.descends else []
        return [rows.view(bits) for rows in (buffers.logits_flat, *stepped, *gradients)]


@lru_cache(maxsize=256)
@torch.no_grad()
def _changes_bits(shapes: _Shapes, sizes: tuple[int, ...]) -> bool:
    """Whether a network of a group differs from the first of the smallest group; on one thread, as in a training."""
    expected: list[Tensor] = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        layers, one = shapes.built()
        for size in sizes:
            found = shapes.passed(layers, one, size)
            expected = expected or [rows[0].clone() for rows in found]
            if any(not torch.equal(rows, first.expand_as(rows)) for rows, first in zip(found, expected, strict=True)):
                return True
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    finally:
        torch.set_num_threads(before)
    return False
