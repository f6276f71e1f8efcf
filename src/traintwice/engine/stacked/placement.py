"""Whether the bits of a network depend, on the processor at hand, on its place in a group and on the size of the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.batches import batch_sizes
from traintwice.engine.memory import out_of_memory
from traintwice.engine.stacked.layout import Layout, layout_of, pack
from traintwice.engine.stacked.network import Bound, Passes
from traintwice.engine.stacked.updating import Stack, descent_of
from traintwice.nets import Network
from traintwice.recipes import Recipe

LONE, SMALL = 2, 3
"""Places of the group of a lone replica, and of a small group of another size; both are compared with the size that is trained."""


def placement_changes_bits(recipe: Recipe, data: Dataset, dtype: torch.dtype, size: int) -> bool:
    """Whether a pass of the stacked engine on this processor rounds by a network's place in the group or by the size of the group.

    Networks with equal numbers take one forward and backward pass in groups of several sizes, by the calls, shapes and memory of a
    training; the bits of all of them are compared. It takes as long as about three steps of a training, once for each process and shape.

    Args:
        recipe, data: what is to be trained by the stacked engine.
        dtype: of weights and inputs.
        size: replicas in a group of the training. A size for which there is not enough memory is left out, as it is in the training.
    """
    sizes = tuple(sorted({LONE, SMALL, max(size, LONE)}))
    shapes = [_Shapes.of(recipe, data, dtype, batch) for batch in batch_sizes(recipe, len(data.train))]
    return any(_changes_bits(each, sizes) for each in shapes)


@dataclass(frozen=True)
class _Shapes:
    """What decides which products a step calls."""

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
        """Of a recipe's mini-batches of one size."""
        apart = recipe.own_batches is not None or recipe.views == "own"
        descends = descent_of(recipe) is not None
        return cls(recipe.network, data.shape, data.classes, batch, recipe.method.components, apart, descends, dtype)

    def built(self) -> tuple[Layout, list[Tensor]]:
        """A network's layout and its parameters as they lie in a stack, ``1 L`` each."""
        network = self.network.build(self.shape, self.classes, np.random.default_rng(0)).to(self.dtype)
        layout = layout_of(network)
        parameters = list(Stack(layout, 1, self.dtype).parameters())
        pack(network, layout, parameters, 0)
        return layout, [parameter.detach() for parameter in parameters]

    def passed(self, layout: Layout, one: Sequence[Tensor], size: int) -> list[Tensor]:
        """One pass of R·J networks with equal parameters.

        Returns:
            Logits, gradients and, where they take their step at once, parameters, ``R·J L`` each: their bits as integers.
        """
        rng = np.random.default_rng(1)
        where: Any = {"dtype": self.dtype, "device": torch.device("cpu")}
        passes = Passes(layout, replicas=size, components=self.components, batch=self.batch, apart=self.apart, **where)
        parameters = [parameter.repeat(passes.size, 1) for parameter in one]
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        passes.inputs.copy_(torch.from_numpy(rng.standard_normal(passes.inputs.shape[1:])))
        passes.gradient.copy_(torch.from_numpy(rng.standard_normal(passes.gradient.shape[1:])))
        for place in passes.places:
            if place.mask is not None:
                place.mask[0].fill_(1.0)
        bound = Bound(passes, parameters, gradients)
        bound.forward()
        bound.backward(*((0.1, 0.9) if self.descends else ()))
        bits = torch.int64 if self.dtype == torch.float64 else torch.int32
        stepped = parameters if self.descends else []
        return [rows.view(bits) for rows in (passes.logits_flat, *stepped, *gradients)]


@lru_cache(maxsize=256)
@torch.no_grad()
def _changes_bits(shapes: _Shapes, sizes: tuple[int, ...]) -> bool:
    """Whether any network of any group has other bits than the first of the smallest; on one thread, as in a training."""
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
