"""What the networks of a group see at each step: inputs, labels and teachers' logits, written where they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine.augmenting import Examples
from traintwice.engine.batches import Batch, batches_of
from traintwice.engine.building import Weights
from traintwice.engine.deployed import deployed
from traintwice.engine.loop import PREDICT_BATCH, predict
from traintwice.engine.reading import Inputs
from traintwice.engine.stacked.layout import rounded_up
from traintwice.engine.stacked.logits import Seen
from traintwice.engine.stacked.network import FILLED, Passes
from traintwice.recipes import Recipe


@dataclass(frozen=True)
class TrainingSet:
    """The training examples as the engine reads them, shared by all groups.

    Attributes:
        inputs: as the networks of the reference engine see them, ``N ...``.
        rows: the same one below the other, each filled up with zeros to a multiple of `FILLED` numbers.
        labels: ``N``.
    """

    inputs: Inputs
    rows: Tensor
    labels: Tensor

    @classmethod
    def of(cls, data: Dataset, dtype: torch.dtype) -> TrainingSet:
        """From a data set."""
        inputs = Inputs(data.train, dtype)
        flat = torch.cat([part.flatten(1) for part in inputs.parts(PREDICT_BATCH)])
        missing = rounded_up(flat.shape[1], FILLED) - flat.shape[1]
        return cls(inputs, nn.functional.pad(flat, (0, missing)) if missing else flat, torch.from_numpy(data.train.labels))


class Feed:
    """Mini-batches of a group.

    Args:
        recipe, data, seed: what is trained.
        examples: of ``data``.
        replicas: of the group, in order.
        teachers: weights of each replica's teacher, where the recipe has one.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        examples: TrainingSet,
        *,
        seed: int,
        replicas: Sequence[int],
        teachers: Sequence[Weights | None],
    ) -> None:
        self.recipe, self.examples, self.seed, self.replicas = recipe, examples, seed, replicas
        self.views = [Examples(recipe, data, examples.inputs, seed=seed, replica=r) for r in replicas]
        self.apart = recipe.own_batches is not None or recipe.views == "own"
        self.teachers = [_networks(recipe, data, weights, examples.inputs.dtype) for weights in teachers]
        self.said: list[Tensor] = []
        if self.teachers[0] and recipe.augmentation is None:  # a teacher then says the same of an example in every epoch
            self.said = [torch.from_numpy(predict(t, data.train)).to(examples.inputs.dtype) for t in self.teachers]

    def epoch(self, number: int) -> Iterator[Batch]:
        """The mini-batches of an epoch, rows ``R B`` or, where components have their own, ``R J B``."""
        for view in self.views:
            view.enter(number)
        return batches_of(self.recipe, len(self.examples.labels), seed=self.seed, replicas=self.replicas, epoch=number)

    def show(self, batch: Batch, passes: Passes) -> Seen:
        """Write the inputs of a mini-batch; returns what the losses read, peers aside."""
        rows, teacher = batch.rows, None
        listed = rows.reshape(-1)
        if self.recipe.augmentation is None:
            torch.index_select(self.examples.rows, 0, listed, out=passes.rows)
            if self.said:
                teacher = torch.stack([said[:, own] for said, own in zip(self.said, rows, strict=True)])
        else:
            firsts = []
            for r, own in enumerate(rows):
                seen = self.views[r].of(replace(batch, rows=own))
                for j, x in enumerate(seen if self.apart else seen[:1]):
                    passes.inputs[r * len(seen) + j if self.apart else r].copy_(x.flatten(1))
                firsts.append(seen[0])
            if self.teachers[0]:
                teacher = torch.stack([torch.stack([t(x) for t in own]) for own, x in zip(self.teachers, firsts, strict=True)])
        labels = torch.index_select(self.examples.labels, 0, listed).view(rows.shape)
        return Seen(labels, teacher=teacher, shared=batch.shared)


def _networks(recipe: Recipe, data: Dataset, weights: Weights | None, dtype: torch.dtype) -> list[nn.Module]:
    if recipe.teacher is None or weights is None:
        return []
    return [network.to(dtype) for network in deployed(recipe.teacher.recipe, data, weights).networks]
