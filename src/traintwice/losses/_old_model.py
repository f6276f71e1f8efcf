"""Losses that learn from the old model, by its logged probabilities or as a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._distillation import TeacherLoss, check_fraction, check_temperature, kl_from
from traintwice.losses._loss import ScheduledLoss, ends
from traintwice.losses._outputs import Outputs, at_least_single
from traintwice.losses._prepare import not_zero
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class LoggedDistillation(TeacherLoss, ScheduledLoss):
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

    weights: ClassVar[tuple[str, ...]] = ("share",)

    def __post_init__(self) -> None:
        check_fraction("LoggedDistillation.share", self.share)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        share = self.number("share")
        of_old = (_old_probs(self, out) * out.log_probs).sum(-1)
        return -out.mean(share * of_old + (1 - share) * out.of_label(out.log_probs)).sum(-1)


@dataclass(frozen=True)
@typed
class Anchor(TeacherLoss, ScheduledLoss):
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

    weights: ClassVar[tuple[str, ...]] = ("share", "epsilon")

    def __post_init__(self) -> None:
        check_fraction("Anchor.share", self.share)
        check_fraction("Anchor.epsilon", self.epsilon)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        share, epsilon = self.number("share"), self.number("epsilon")
        out.expect_classes("Anchor")
        old = _old_probs(self, out)
        of_old, of_label = (old * out.log_probs).sum(-1), out.of_label(out.log_probs)
        right = old.argmax(-1) == out.label_of_component
        return -out.mean(torch.where(right, share * of_old + (1 - share) * of_label, epsilon * of_label)).sum(-1)


@dataclass(frozen=True)
@typed
class FocalDistillation(TeacherLoss, ScheduledLoss):
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

    weights: ClassVar[tuple[str, ...]] = ("base", "boost")

    def __post_init__(self) -> None:
        check_temperature(self)
        if min((0.0, *ends(self.base), *ends(self.boost))) < 0:
            raise BadSpec(f"FocalDistillation: got base={self.base}, boost={self.boost}; expected both at least 0")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        out.expect_classes("FocalDistillation")
        student = out.log_probs_at(self.temperature)
        teacher = _old_probs(self, out, self.temperature)
        right = _old_probs(self, out).argmax(-1) == out.label_of_component
        weight = self.number("base") + self.number("boost") * right
        return self.temperature**2 * out.mean(weight * kl_from(teacher, student, out)).sum(-1)


def _old_probs(loss: TeacherLoss, out: Outputs, temperature: float = 1.0) -> Tensor:
    """Probabilities of the old model at a temperature, ``*M 1 B K``: those logged, else those of the teacher."""
    if out.logged is None:
        if out.teacher is None:
            raise BadInput(
                f"Outputs.teacher: got none, and {type(loss).__name__} needs an old model: its logged probabilities as logged=, *M B K, or "
                "its logits as teacher="
            )
        return loss._teacher_probs(out, temperature)
    logged = at_least_single(out.logged.detach()).unsqueeze(-3)
    if temperature == 1:
        return logged
    powers = logged.pow(1 / temperature)
    return powers / not_zero(powers.sum(-1, keepdim=True))  # 0 for examples of weight 0
