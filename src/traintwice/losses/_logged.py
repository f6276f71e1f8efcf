"""Distillation from the logged predictions of the deployed model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._inputs import check_fraction, old_probs
from traintwice.losses._loss import Need, ScheduledLoss
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class LoggedDistillation(ScheduledLoss):
    r"""Cross entropy with targets between the old model's predictions and the labels: mean over the batch, sum over components.

        L = Σ_j mean_b −Σ_k t_bk log f_jbk,   t = λ·old + (1 − λ)·label

    Args:
        share: λ in [0, 1] or a schedule, the share of the old model in the targets.

    Shapes: logits ``*M J B K``, logged ``*M B K`` (else the teacher) -> ``*M``. Units: nats, at least the entropy of t.
    Source: Jiang et al. 2022 (churn reduction via distillation): training under a bound on churn against the old model leads to these
    targets. Ours: mean over the batch, sum over components.

    Example:
        >>> import torch
        >>> old = torch.tensor([[0.5, 0.5]])
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]), logged=old)
        >>> round(LoggedDistillation(0.5)(out).item(), 4)
        0.6269
    """

    share: Weight = 0.5

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    weights: ClassVar[tuple[str, ...]] = ("share",)

    def __post_init__(self) -> None:
        check_fraction("LoggedDistillation.share", self.share)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        share = self.number("share")
        of_old = (old_probs("LoggedDistillation", out) * out.log_probs).sum(-1)
        return -out.mean(share * of_old + (1 - share) * out.of_label(out.log_probs)).sum(-1)
