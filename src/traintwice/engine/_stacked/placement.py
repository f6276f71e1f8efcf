"""Check whether a network's bits depend on its place in a group and on the group's size, on this processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine._batches import batch_sizes
from traintwice.engine._execution import Execution, out_of_memory
from traintwice.engine._groups.stack import GroupShape, Stack, pack
from traintwice.engine._groups.step import fused_sgd_of
from traintwice.engine._stacked.layers import Layout, layout_of
from traintwice.engine._stacked.passes import BoundPasses, LayerBuffers
from traintwice.nets import Network
from traintwice.recipes import Recipe

LONE, SMALL = 2, 3
"""Places of a lone replica's group and of a small group; both are compared with the size of the training."""


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

    def built(self) -> tuple[Layout, list[Tensor]]:
        """A network's layout and its parameters in a stack, ``1 L`` each."""
        network = self.network.build(self.shape, self.classes, np.random.default_rng(0)).to(self.dtype)
        layout = layout_of(network)
        parameters = list(Stack(tuple(layout.blocks()), 1, self.dtype).parameters())
        pack(network, tuple(layout.blocks()), parameters, 0)
        return layout, [parameter.detach() for parameter in parameters]

    def passed(self, layout: Layout, one: Sequence[Tensor], size: int) -> list[Tensor]:
        """Logits, gradients and updated parameters of R·J equal networks after a pass, ``R·J L`` each, as integers."""
        rng = np.random.default_rng(1)
        shape = GroupShape(size, self.components, self.batch, self.apart, self.dtype, torch.device("cpu"))
        buffers = LayerBuffers(shape, layout)
        parameters = [parameter.repeat(shape.size, 1) for parameter in one]
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        buffers.inputs.copy_(torch.from_numpy(rng.standard_normal(buffers.inputs.shape[1:])))
        buffers.gradient.copy_(torch.from_numpy(rng.standard_normal(buffers.gradient.shape[1:])))
        for place in buffers.places:
            if place.mask is not None:
                place.mask[0].fill_(1.0)
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
        layout, one = shapes.built()
        for size in sizes:
            found = shapes.passed(layout, one, size)
            expected = expected or [rows[0].clone() for rows in found]
            if any(not torch.equal(rows, first.expand_as(rows)) for rows, first in zip(found, expected, strict=True)):
                return True
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    finally:
        torch.set_num_threads(before)
    return False
