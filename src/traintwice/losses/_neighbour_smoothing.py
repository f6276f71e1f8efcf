"""Cross entropy with labels smoothed towards the labels of near examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._inputs import check_fraction, mean_over_classes, teacher_probs
from traintwice.losses._loss import Need, ScheduledLoss
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class NeighbourSmoothing(ScheduledLoss):
    r"""Cross entropy with locally adaptive label smoothing: mean over the batch, sum over components.

        L = Σ_j mean_b −Σ_k t_bk log f_jbk,   t = (1 − a)·label + a·[(1 − u)·η + u/K]

    η_bk is the share of class k among the labels of the example's nearest training examples, by the Euclidean distance of the teacher's
    logits. The trainer computes it once and passes log η in the place of the teacher's logits.

    Args:
        smoothing: a in [0, 1], or a schedule; 0 is the plain cross entropy.
        uniform: u in [0, 1], the uniform part of the smoothing; 1 is label smoothing.
        neighbours: number of nearest examples, at least 1; the example itself is one of them.
    Raises:
        BadSpec: a setting outside its range.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` (log η, -inf where η is 0) -> ``*M``. Units: nats, at least the entropy of t.
    Source: Bahri & Jiang 2021 (locally adaptive label smoothing); their a and b are a and u here. Ours: the mean over the batch, sum over
    components.

    Example:
        >>> import torch
        >>> shares = torch.tensor([[0.5, 0.5]])
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]), teacher=shares.log())
        >>> round(NeighbourSmoothing(0.2, uniform=0.0)(out).item(), 4)
        0.3269
    """

    smoothing: Weight = 0.2
    uniform: float = 0.1
    neighbours: int = 10

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    weights: ClassVar[tuple[str, ...]] = ("smoothing",)

    def __post_init__(self) -> None:
        check_fraction("NeighbourSmoothing.smoothing", self.smoothing)
        check_fraction("NeighbourSmoothing.uniform", self.uniform)
        if self.neighbours < 1:
            raise BadSpec(f"NeighbourSmoothing.neighbours: got {self.neighbours}, expected at least 1")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        smoothing = self.number("smoothing")
        near = (teacher_probs("NeighbourSmoothing", out) * out.log_probs).sum(-1)
        smooth = (1 - self.uniform) * near + self.uniform * mean_over_classes(out, out.log_probs)
        return -out.mean((1 - smoothing) * out.of_label(out.log_probs) + smoothing * smooth).sum(-1)
