"""Inputs, labels and teacher logits of a group, written to its buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from traintwice.engine._batches import Batch, batches_of
from traintwice.engine._groups.logits import LossInputs
from traintwice.engine._groups.stack import IOBuffers
from traintwice.engine._loss_inputs import Teacher
from traintwice.engine._reading import Examples, TrainingSet
from traintwice.engine._training import TrainingSpec


class Feed:
    """Mini-batches of the replicas of a group."""

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        self.recipe, self.seed, self.examples, self.replicas = spec.recipe, spec.seed, examples, replicas
        distinct = dict.fromkeys(replicas)  # a replica may fill several places
        views = {r: Examples(spec.recipe, spec.data, examples.inputs, seed=spec.seed, replica=r) for r in distinct}
        teachers = {r: Teacher(spec, r) for r in distinct}
        self.views, self.teachers = [views[r] for r in replicas], [teachers[r] for r in replicas]
        self.apart = spec.recipe.own_batches is not None or spec.recipe.views == "own"

    def epoch(self, number: int) -> Iterator[Batch]:
        """Mini-batches of an epoch, rows ``R B`` or, with own batches, ``R J B``."""
        for view in dict.fromkeys(self.views):
            view.enter(number)
        return batches_of(self.recipe, len(self.examples.labels), seed=self.seed, replicas=self.replicas, epoch=number)

    def show(self, batch: Batch, buffers: IOBuffers) -> LossInputs:
        """Write the inputs of a mini-batch; returns what the losses read, without peers."""
        rows = batch.rows.to(self.examples.labels.device)
        listed = rows.reshape(-1)
        firsts: list[Tensor | None] = [None] * len(self.replicas)
        if self.recipe.augmentation is not None:
            firsts = [*self._show_augmented(batch, buffers)]
        elif self.examples.rows is not None:
            torch.index_select(self.examples.rows, 0, listed, out=buffers.rows)
        else:
            buffers.inputs.copy_(self.examples.inputs.of(rows).view(buffers.inputs.shape))
        teacher = None
        if self.teachers[0].there:
            taught = (t.logits(own, x) for t, own, x in zip(self.teachers, rows, firsts, strict=True))
            teacher = torch.stack([logits for logits in taught if logits is not None])
        labels = torch.index_select(self.examples.labels, 0, listed).view(rows.shape)
        return LossInputs(labels, teacher=teacher, shared=batch.shared)

    def _show_augmented(self, batch: Batch, buffers: IOBuffers) -> Iterator[Tensor]:
        """Write augmented inputs; yields those of the first component of each replica."""
        drawn: dict[int, list[Tensor]] = {}
        for r, (replica, own) in enumerate(zip(self.replicas, batch.rows, strict=True)):
            if replica not in drawn:
                drawn[replica] = self.views[r].of(replace(batch, rows=own))
            seen = drawn[replica]
            for j, x in enumerate(seen if self.apart else seen[:1]):
                buffers.inputs[r * len(seen) + j if self.apart else r].copy_(x.flatten(1))
            yield seen[0]
