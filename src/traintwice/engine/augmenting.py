"""Augmented training examples of a mini-batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from traintwice.data import Dataset
from traintwice.engine.batches import Batch
from traintwice.engine.building import stream_of
from traintwice.engine.reading import Inputs
from traintwice.errors import BadSpec
from traintwice.recipes import Recipe

SHARED = -1
"""Stream of the part of a batch that all components see, where they have batches of their own and share its view."""


class Examples:
    """Training inputs as the components see them.

    Args:
        recipe, data, seed, replica: what is trained.
        inputs: of the training set.
    Raises:
        BadSpec: pictures are to be changed, and the data are none.
    """

    def __init__(self, recipe: Recipe, data: Dataset, inputs: Inputs, *, seed: int, replica: int) -> None:
        self.recipe, self.inputs = recipe, inputs
        self.seed, self.replica = seed, replica
        self._drawn: dict[int, Tensor] = {}
        if recipe.augmentation is not None and data.pixels is None:
            raise BadSpec(
                f"Recipe.augmentation: {recipe.augmentation!r} changes pictures, and the examples of {data.name} are none"
            )
        self._pixels = data.pixels or ()

    def enter(self, epoch: int) -> None:
        """Draw what happens to each example in an epoch."""
        if self.recipe.augmentation is None:
            return
        own, each = self.recipe.views == "own", range(self.recipe.method.components)
        for j in each if own else [0] if self.recipe.own_batches is None else [*each, SHARED]:
            rng = stream_of(self.recipe, self.seed, "augmentation", replica=self.replica, component=j, epoch=epoch)
            self._drawn[j] = torch.from_numpy(self.recipe.augmentation.draw(rng, len(self.inputs)))

    def ahead(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same mini-batches, each given out after the reading of the next was begun, where inputs are on disk."""
        waiting: Batch | None = None
        for batch in batches:
            if batch.rows.ndim == 1 and batch.given is None:
                self.inputs.expect(batch.rows)
            if waiting is not None:
                yield waiting
            waiting = batch
        if waiting is not None:
            yield waiting

    def of(self, batch: Batch) -> list[Tensor]:
        """Inputs of each component, the same object where they share them."""
        components = self.recipe.method.components
        if batch.given is not None:
            return [batch.given[0].to(self.inputs.device, self.inputs.dtype)] * components
        if self.recipe.views == "own":
            return [self._read(rows, j) for j, rows in enumerate(batch.rows.expand(components, -1))]
        if batch.rows.ndim == 1:
            return [self._read(batch.rows, 0)] * components
        together = batch.shared or slice(0, 0)
        if together.start == together.stop:
            return [self._read(rows, j) for j, rows in enumerate(batch.rows)]
        common = self._read(batch.rows[0, together], SHARED)
        return [torch.cat([self._read(rows[: together.start], j), common]) for j, rows in enumerate(batch.rows)]

    def _read(self, rows: Tensor, stream: int) -> Tensor:
        plain = self.inputs.raw(rows)
        if self.recipe.augmentation is None:
            return self.inputs.scaled(plain)
        height, width = self._pixels[:2]
        first = plain.ndim == 4 and plain.shape[2:] == (height, width)  # channels come first
        pictures = plain.movedim(1, 3) if first else plain.reshape(len(plain), height, width, -1)
        changed = self.recipe.augmentation.apply(pictures, self._drawn[stream][rows].to(pictures.device))
        return self.inputs.scaled((changed.movedim(3, 1) if first else changed.reshape(plain.shape)).contiguous())
