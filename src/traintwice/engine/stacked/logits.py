"""The gradient of a method's loss by the logits of all components of all replicas of a group."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from traintwice.engine.stacked.edges import Edges
from traintwice.engine.stacked.layout import rounded_up
from traintwice.engine.state import State
from traintwice.losses import CrossEntropy, Outputs
from traintwice.methods import Memories, Method
from traintwice.schedules import at_step

REPLICAS = 32
"""Losses are called with a multiple of so many replicas, those beyond the group being zeros: every array that they make then fills whole
vectors (see `traintwice.engine.stacked.layout.LANES`), whatever its other sizes."""


@dataclass(frozen=True)
class Seen:
    """What the losses read beside the logits, as in `traintwice.losses.Outputs`, for the R replicas of a group."""

    labels: Tensor
    peers: Tensor | None = None
    teacher: Tensor | None = None
    shared: slice | None = None


class Gradients:
    """Calls a method's loss, one number per replica, on the logits of a group.

    Args:
        method: with its schedules in steps.
        replicas: R.
        classes: K.
    """

    def __init__(self, method: Method, replicas: int, classes: int) -> None:
        self.method, self.replicas = method, replicas
        self.padded = rounded_up(replicas, REPLICAS)
        self.last: tuple[Tensor, Seen, int] | None = None  # logits of the last finite step, for what is said when the next is not
        self.plain = len(method.terms) == 1 and type(method.terms[0].loss) is CrossEntropy and classes > 1

    def write(self, passes: Edges, seen: Seen, step: int, memories: Memories | None) -> tuple[Memories | None, Tensor]:
        """Write the gradient of the sum of the replicas' losses into ``passes.gradient``.

        Args:
            passes: their logits are read.
            seen: what else.
            step: counted from 0.
            memories: what the terms remember of earlier steps.
        Returns:
            What they remember after this one, and numbers of each replica that are finite where its loss is, for `not_finite`.
        """
        if self.plain:
            self._of_cross_entropy(passes, seen.labels, step)
            return None, passes.logits
        return self._of_any(passes, seen, step, memories)

    def not_finite(self, passes: Edges, seen: Seen, step: int, values: Tensor) -> list[int]:
        """The replicas whose loss is not finite, by their places in the group, from what `write` gave."""
        bad = [] if self.plain and math.isfinite(values.sum().item()) else self._not_finite(values)
        if not bad:
            self.last = (passes.by_replica(passes.logits).clone(), seen, step)
        return bad

    def _of_cross_entropy(self, passes: Edges, labels: Tensor, step: int) -> None:
        """Weight / B · (softmax(z) − onehot(y)) for every component."""
        z, g = passes.logits, passes.gradient
        torch.sub(z, torch.amax(z, 1, keepdim=True), out=g)
        torch.exp(passes.gradient_flat, out=passes.gradient_flat)
        g.div_(torch.sum(g, 1, keepdim=True))
        if labels.ndim == 2 and passes.components > 1:
            labels = labels.unsqueeze(1).expand(-1, passes.components, -1)
        at = labels.reshape(passes.size, 1, passes.batch)
        if g.device.type == "cpu":
            g.scatter_add_(1, at, passes.minus_one)
        else:  # the same numbers; kernels that scatter are not deterministic there
            g.sub_((torch.arange(g.shape[1], device=g.device).unsqueeze(1) == at).to(g.dtype))
        passes.gradient_flat.mul_(at_step(self.method.terms[0].weight, step) / passes.batch)

    def _of_any(self, passes: Edges, seen: Seen, step: int, memories: Memories | None) -> tuple[Memories, Tensor]:
        """By automatic differentiation of the loss, from the logits on."""
        with torch.enable_grad():
            logits = self._filled(passes.by_replica(passes.logits).mT).requires_grad_()
            peers, teacher = (None if x is None else self._filled(x) for x in (seen.peers, seen.teacher))
            out = Outputs(logits, self._filled(seen.labels), peers=peers, teacher=teacher, shared=seen.shared)
            loss, memories = self.method.advance(out, step, memories)
            (gradient,) = torch.autograd.grad(loss, logits, torch.ones_like(loss))
        passes.by_replica(passes.gradient).copy_(gradient[: self.replicas].mT)
        return memories, loss.detach()[: self.replicas]

    def _filled(self, values: Tensor) -> Tensor:
        """With zeros for the replicas beyond the group."""
        made = values.new_zeros(self.padded, *values.shape[1:])
        made[: self.replicas] = values
        return made

    def joined(self, memories: list[State]) -> State | None:
        """What a term remembers of all replicas, from what it remembers of each."""
        if not memories[0]:
            return None
        return {name: self._filled(torch.stack([memory[name] for memory in memories])) for name in memories[0]}

    def _not_finite(self, values: Tensor) -> list[int]:
        finite = values.isfinite().reshape(self.replicas, -1).all(1)
        return [i for i, good in enumerate(finite.tolist()) if not good]

    def blame(self, passes: Edges, seen: Seen, step: int, memories: Memories | None, place: int) -> str:
        """What is not finite in the loss of one replica, in words."""
        own = None if memories is None else memory_of(memories, place)
        before = self._before(place)
        out = _outputs_of(passes.by_replica(passes.logits), seen, place)
        return f"at step {step} {self.method.not_finite(out, step, own, before=before)}"

    def enlarged(self, memories: Memories | None, place: int) -> str:
        """What drove the logits of one replica away after the last finite step, in words."""
        return self.method.enlarged(self._before(place), None if memories is None else memory_of(memories, place))

    def _before(self, place: int) -> tuple[Outputs, int] | None:
        return None if self.last is None else (_outputs_of(self.last[0], self.last[1], place), self.last[2])


def _outputs_of(logits: Tensor, seen: Seen, place: int) -> Outputs:
    """What the losses read of one replica."""
    peers, teacher = (None if x is None else x[place] for x in (seen.peers, seen.teacher))
    return Outputs(logits[place].mT, seen.labels[place], peers=peers, teacher=teacher, shared=seen.shared)


def memory_of(memories: Memories, place: int) -> Memories:
    """What the terms remember of one replica."""
    return tuple(None if m is None else {name: value[place] for name, value in m.items()} for m in memories)
