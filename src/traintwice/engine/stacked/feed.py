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
from traintwice.engine.device import CPU, Device
from traintwice.engine.loop import PREDICT_BATCH, predict
from traintwice.engine.reading import Inputs
from traintwice.engine.stacked.edges import FILLED, Edges
from traintwice.engine.stacked.layout import rounded_up
from traintwice.engine.stacked.logits import Seen
from traintwice.recipes import Recipe


@dataclass(frozen=True)
class TrainingSet:
    """The training examples as the engine reads them, shared by all groups.

    Attributes:
        inputs: as the networks of the reference engine see them, ``N ...``.
        rows: the same one below the other, each filled up with zeros to a multiple of `FILLED` numbers; None where mini-batches are made
            of ``inputs``, whose bytes take less memory.
        labels: ``N``.
    """

    inputs: Inputs
    rows: Tensor | None
    labels: Tensor

    @classmethod
    def of(cls, data: Dataset, dtype: torch.dtype, device: Device = CPU, *, filled: bool = True) -> TrainingSet:
        """From a data set, on a device; with rows where they are to be filled."""
        inputs, labels = (
            Inputs(data.train, dtype, device.torch_device),
            torch.from_numpy(data.train.labels).to(device.torch_device),
        )
        if not filled:
            return cls(inputs, None, labels)
        flat = torch.cat([part.flatten(1) for part in inputs.parts(PREDICT_BATCH)])
        missing = rounded_up(flat.shape[1], FILLED) - flat.shape[1]
        return cls(inputs, nn.functional.pad(flat, (0, missing)) if missing else flat, labels)


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
        own = {
            r: _networks(recipe, data, weights, examples.inputs)
            for r, weights in dict(zip(replicas, teachers, strict=True)).items()
        }
        self.teachers = [own[r] for r in replicas]
        self.said: list[Tensor] = []
        if self.teachers[0] and recipe.augmentation is None:  # a teacher then says the same of an example in every epoch
            said = {
                r: torch.from_numpy(predict(t, data.train)).to(examples.labels.device, examples.inputs.dtype)
                for r, t in own.items()
            }
            self.said = [said[r] for r in replicas]

    def epoch(self, number: int) -> Iterator[Batch]:
        """The mini-batches of an epoch, rows ``R B`` or, where components have their own, ``R J B``."""
        for view in self.views:
            view.enter(number)
        return batches_of(self.recipe, len(self.examples.labels), seed=self.seed, replicas=self.replicas, epoch=number)

    def show(self, batch: Batch, passes: Edges) -> Seen:
        """Write the inputs of a mini-batch; returns what the losses read, peers aside."""
        rows, teacher = batch.rows.to(self.examples.labels.device), None
        listed = rows.reshape(-1)
        if self.recipe.augmentation is None:
            if self.examples.rows is not None:
                torch.index_select(self.examples.rows, 0, listed, out=passes.rows)
            else:
                passes.inputs.copy_(self.examples.inputs.of(rows).view(passes.inputs.shape))
            if self.said:
                teacher = torch.stack([said[:, own] for said, own in zip(self.said, rows, strict=True)])
        else:
            firsts: list[Tensor] = []
            drawn: dict[int, list[Tensor]] = {}  # a replica may stand in several places
            for r, (replica, own) in enumerate(zip(self.replicas, batch.rows, strict=True)):
                if replica not in drawn:
                    drawn[replica] = self.views[r].of(replace(batch, rows=own))
                seen = drawn[replica]
                for j, x in enumerate(seen if self.apart else seen[:1]):
                    passes.inputs[r * len(seen) + j if self.apart else r].copy_(x.flatten(1))
                firsts.append(seen[0])
            if self.teachers[0]:
                teacher = torch.stack([torch.stack([t(x) for t in own]) for own, x in zip(self.teachers, firsts, strict=True)])
        labels = torch.index_select(self.examples.labels, 0, listed).view(rows.shape)
        return Seen(labels, teacher=teacher, shared=batch.shared)


def _networks(recipe: Recipe, data: Dataset, weights: Weights | None, inputs: Inputs) -> list[nn.Module]:
    if recipe.teacher is None or weights is None:
        return []
    return [network.to(inputs.device, inputs.dtype) for network in deployed(recipe.teacher.recipe, data, weights).networks]
