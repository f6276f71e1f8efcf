"""Distillation with more weight where the old model is right, against negative flips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._inputs import check_temperature, kl_from, old_probs
from traintwice.losses._loss import Need, ScheduledLoss, ends
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class FocalDistillation(ScheduledLoss):
    r"""Distillation from an old model with more weight on examples that it gets right: mean over the batch, sum over components.

        L = Σ_j mean_b (base + boost·[old model right]) · T² · KL(old at T ‖ f_j at T)

    Args:
        base: weight of every example, >= 0, or a schedule.
        boost: additional weight where the old model is right, >= 0, or a schedule.
        temperature: T > 0.

    Shapes: logits ``*M J B K``, teacher ``*M B K`` -> ``*M``. Units: nats times T², >= 0; 0 where both models agree.
    Source: Yan et al. 2021 (positive-congruent training), focal distillation with KL, weights 1 and 5. Ours: the factor T², so that
    a weight has the same meaning at any temperature; the old model is right where its largest probability is that of the label, ties to
    the lowest class; the probabilities of several old models are averaged.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]]]), torch.tensor([0]), teacher=torch.tensor([[2.0, 0.0]]))
        >>> round(FocalDistillation()(out).item(), 4)  # six times KL
        1.9669
    """

    base: Weight = 1.0
    boost: Weight = 5.0
    temperature: float = 1.0

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    weights: ClassVar[tuple[str, ...]] = ("base", "boost")

    def __post_init__(self) -> None:
        check_temperature("FocalDistillation", self.temperature)
        if min((0.0, *ends(self.base), *ends(self.boost))) < 0:
            raise BadSpec(f"FocalDistillation: got base={self.base}, boost={self.boost}; expected both at least 0")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        out.expect_classes("FocalDistillation")
        student = out.log_probs_at(self.temperature)
        teacher = old_probs("FocalDistillation", out, self.temperature)
        right = old_probs("FocalDistillation", out).argmax(-1) == out.label_of_component
        weight = self.number("base") + self.number("boost") * right
        return self.temperature**2 * out.mean(weight * kl_from(teacher, student, out)).sum(-1)
