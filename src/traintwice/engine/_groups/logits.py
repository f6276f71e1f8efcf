"""Gradient of a method's loss by the logits of all replicas of a group."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from traintwice.engine._groups.stack import IOBuffers
from traintwice.engine._reading import rounded_up
from traintwice.engine._state import State
from traintwice.losses import CrossEntropy, Outputs
from traintwice.methods import Memories, Method
from traintwice.schedules import at_step

REPLICAS = 32
"""Losses get a multiple of so many replicas, with zeros after those of the group, so that every array fills whole vectors (see `LANES`)."""


@dataclass(frozen=True)
class LossInputs:
    """What the losses of R replicas read in addition to the logits, as in `traintwice.losses.Outputs`."""

    labels: Tensor
    peers: Tensor | None = None
    teacher: Tensor | None = None
    shared: slice | None = None


class LogitGradients:
    """Calls a method's loss, one number for each replica, on the logits of a group.

    Args:
        method: of the recipe.
        values: ``R``, the losses of the last mini-batch; written in place, as CUDA graphs need.
        classes: K.
    """

    def __init__(self, method: Method, values: Tensor, classes: int) -> None:
        replicas = len(values)
        self.method, self.replicas, self.values = method, replicas, values
        self.padded = rounded_up(replicas, REPLICAS)
        self.last: tuple[Tensor, LossInputs, int] | None = None  # explains a later step that is not finite
        self.plain = len(method.terms) == 1 and type(method.terms[0].loss) is CrossEntropy and classes > 1

    def write(self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None) -> tuple[Memories | None, Tensor]:
        """Write ``buffers.gradient``; returns what the terms remember, and numbers that are finite if a replica's loss is."""
        if self.plain:
            self._of_cross_entropy(buffers, seen.labels, step)
            return None, buffers.logits
        return self._of_any(buffers, seen, step, memories)

    def not_finite(self, buffers: IOBuffers, seen: LossInputs, step: int, values: Tensor) -> list[int]:
        """Places of the replicas whose loss is not finite, from the numbers of `write`."""
        bad = [] if self.plain and math.isfinite(values.sum().item()) else self._not_finite(values)
        if not bad:
            self.last = (buffers.by_replica(buffers.logits).clone(), seen, step)
        return bad

    def _of_cross_entropy(self, buffers: IOBuffers, labels: Tensor, step: int) -> None:
        """Weight / B · (softmax(z) − onehot(y)) for every component."""
        z, g = buffers.logits, buffers.gradient
        torch.sub(z, torch.amax(z, 1, keepdim=True), out=g)
        if labels.ndim == 2 and buffers.shape.components > 1:
            labels = labels.unsqueeze(1).expand(-1, buffers.shape.components, -1)
        at = labels.reshape(buffers.shape.size, 1, buffers.shape.batch)
        of_label = g.gather(1, at)
        torch.exp(buffers.gradient_flat, out=buffers.gradient_flat)
        total = torch.sum(g, 1, keepdim=True)
        g.div_(total)
        weight = at_step(self.method.terms[0].weight, step)
        per_replica = total.log_().sub_(of_label).view(self.replicas, -1)
        torch.mul(per_replica.sum(1), weight / buffers.shape.batch, out=self.values)
        if g.device.type == "cpu":
            g.scatter_add_(1, at, buffers.minus_one)
        else:  # the same numbers; scatter kernels are not deterministic on a GPU
            g.sub_((torch.arange(g.shape[1], device=g.device).unsqueeze(1) == at).to(g.dtype))
        buffers.gradient_flat.mul_(weight / buffers.shape.batch)

    def _of_any(self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None) -> tuple[Memories, Tensor]:
        """By automatic differentiation of the loss."""
        with torch.enable_grad():
            logits = self._filled(buffers.by_replica(buffers.logits).mT).requires_grad_()
            peers, teacher = (None if x is None else self._filled(x) for x in (seen.peers, seen.teacher))
            out = Outputs(logits, self._filled(seen.labels), peers=peers, teacher=teacher, shared=seen.shared, plain=True)
            loss, memories = self.method.advance(out, step, memories)
            (gradient,) = torch.autograd.grad(loss, logits, torch.ones_like(loss))
        buffers.by_replica(buffers.gradient).copy_(gradient[: self.replicas].mT)
        self.values.copy_(loss.detach()[: self.replicas])
        return memories, loss.detach()[: self.replicas]

    def _filled(self, values: Tensor) -> Tensor:
        """With zeros after the replicas of the group."""
        made = values.new_zeros(self.padded, *values.shape[1:])
        made[: self.replicas] = values
        return made

    def joined(self, memories: list[State]) -> State | None:
        """Memory of a term for all replicas, from that of each."""
        if not memories[0]:
            return None
        return {name: self._filled(torch.stack([memory[name] for memory in memories])) for name in memories[0]}

    def _not_finite(self, values: Tensor) -> list[int]:
        finite = values.isfinite().reshape(self.replicas, -1).all(1)
        return [i for i, good in enumerate(finite.tolist()) if not good]

    def reason_not_finite(self, buffers: IOBuffers, seen: LossInputs, step: int, memories: Memories | None, place: int) -> str:
        """What is not finite in the loss of a replica, in words."""
        own = None if memories is None else memory_of(memories, place)
        before = self._before(place)
        out = _outputs_of(buffers.by_replica(buffers.logits), seen, place)
        return f"at step {step} {self.method.not_finite(out, step, own, before=before)}"

    def divergence_cause(self, memories: Memories | None, place: int) -> str:
        """The cause of logits of a replica that are not finite, as the end of a sentence."""
        return self.method.enlarged(self._before(place), None if memories is None else memory_of(memories, place))

    def _before(self, place: int) -> tuple[Outputs, int] | None:
        return None if self.last is None else (_outputs_of(self.last[0], self.last[1], place), self.last[2])


def _outputs_of(logits: Tensor, seen: LossInputs, place: int) -> Outputs:
    """Outputs of one replica."""
    peers, teacher = (None if x is None else x[place] for x in (seen.peers, seen.teacher))
    return Outputs(logits[place].mT, seen.labels[place], peers=peers, teacher=teacher, shared=seen.shared, plain=True)


def memory_of(memories: Memories, place: int) -> Memories:
    """Memories of one replica."""
    return tuple(None if m is None else {name: value[place] for name, value in m.items()} for m in memories)
