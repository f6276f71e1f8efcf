"""Inhibition of logit differences: a student keeps the highest logits of a reference model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._inputs import top_k_cautions
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs
from traintwice.losses._probabilities import at_least_single


@dataclass(frozen=True)
@typed
class LogitDifference:
    r"""Difference between the logits of a network and of a reference, for the reference's highest classes: mean over the batch, sum over
    components.

        L = Σ_j mean_b Σ_{k in top(r_b)} max(|z_jbk − r_bk| − ξ, 0)^p,   r = mean of the teachers' logits

    Args:
        top_k: number of classes with the highest logits of the reference; None is all classes.
        margin: ξ >= 0, difference that costs nothing.
        power: p >= 1.
    Raises:
        BadSpec: a setting outside its range, or a ``top_k`` that is not below the number of classes. BadInput: no teacher.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` or ``*M T B K`` -> ``*M``. Units: logits to the power p, >= 0; 0 where all differences
    are within the margin. Logits are compared as they are: a number added to all logits of an example counts, although softmax ignores it.
    Source: Zhao et al. 2022 (ELODI), logit difference inhibition; the reference is the mean of the logits of a homogeneous ensemble. Ours:
    p = 2, no margin, all classes by default; the mean over the batch, sum over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[3.0, 0.0, 0.0]]]), torch.tensor([0]), teacher=torch.tensor([[2.0, 1.0, -1.0]]))
        >>> LogitDifference()(out).item(), LogitDifference(top_k=1)(out).item()
        (3.0, 1.0)
    """

    top_k: int | None = None
    margin: float = 0.0
    power: float = 2.0

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k < 1:
            raise BadSpec(f"LogitDifference.top_k: got {self.top_k}, expected at least 1, or None for all classes")
        if not self.margin >= 0:
            raise BadSpec(f"LogitDifference.margin: got {self.margin}, expected a number of at least 0")
        if not self.power >= 1:
            raise BadSpec(f"LogitDifference.power: got {self.power}, expected a number of at least 1")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if out.teacher is None:
            raise BadInput("Outputs.teacher: got none, and LogitDifference needs the logits of a teacher, *M B K or *M T B K")
        reference, logits = at_least_single(out.teacher.detach()), at_least_single(out.logits)
        reference = reference.mean(-3, keepdim=True) if reference.ndim == logits.ndim else reference.unsqueeze(-3)
        classes = logits.shape[-1]
        if self.top_k is not None and self.top_k >= classes:
            raise BadSpec(
                f"LogitDifference.top_k: got {self.top_k} for {classes} classes, expected fewer; leave top_k out to read all classes"
            )
        if out.masked is not None:
            reference = torch.where(out.masked, logits.detach(), reference)
        beyond = ((logits - reference).abs() - self.margin).clamp(min=0) ** self.power
        if self.top_k is not None:
            highest = reference.topk(self.top_k, dim=-1).indices
            beyond = beyond.gather(-1, highest.expand(*beyond.shape[:-1], self.top_k))
        return out.mean(beyond.sum(-1)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        return top_k_cautions("LogitDifference", self.top_k, classes)
