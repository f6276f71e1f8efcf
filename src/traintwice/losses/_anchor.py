"""Distillation from an old model where the old model is right, and a reduced label loss where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._inputs import check_fraction, old_probs
from traintwice.losses._loss import Need, ScheduledLoss
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class Anchor(ScheduledLoss):
    r"""Cross entropy with anchored targets: the mean over the batch, summed over components.

        L = Σ_j mean_b −Σ_k t_bk log f_jbk,   t = λ·old + (1 − λ)·label where the old model is right, ε·label where it is wrong

    The new model keeps the right answers of the old model and has less weight on examples that the old model gets wrong.

    Args:
        share: λ in [0, 1] or a schedule, the share of the old model in the targets where it is right.
        epsilon: ε in [0, 1] or a schedule, the weight of the label where the old model is wrong; 0 leaves these examples out.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` -> ``*M``. Units: nats, >= 0.
    Source: the anchor (RCP) of Milani Fard et al. 2016. Ours: the old model is right where its largest probability is that of the label,
    ties to the lowest class; mean over the batch, sum over components.

    Example:
        >>> old = torch.tensor([[0.0, 1.0]])  # wrong
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]), teacher=old)
        >>> round(Anchor(epsilon=0.5)(out).item(), 4)
        0.0635
    """

    share: Weight = 0.5
    epsilon: Weight = 0.5

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    weights: ClassVar[tuple[str, ...]] = ("share", "epsilon")

    def __post_init__(self) -> None:
        check_fraction("Anchor.share", self.share)
        check_fraction("Anchor.epsilon", self.epsilon)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        share, epsilon = self.number("share"), self.number("epsilon")
        out.expect_classes("Anchor")
        old = old_probs("Anchor", out)
        of_old, of_label = (old * out.log_probs).sum(-1), out.of_label(out.log_probs)
        right = old.argmax(-1) == out.label_of_component
        return -out.mean(torch.where(right, share * of_old + (1 - share) * of_label, epsilon * of_label)).sum(-1)
