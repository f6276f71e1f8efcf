"""Distillation: a student learns the softened predictions of trained models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._inputs import Average, check_average, check_temperature, kl_from, mean_of_teachers, teacher_probs
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs
from traintwice.losses._probabilities import at_least_single


@dataclass(frozen=True)
@typed
class Distillation:
    r"""KL divergence from the student to the teacher at a temperature: mean over the batch, sum over components.

        L = Σ_j mean_b T² · KL(g_b ‖ softmax(z_jb / T)),   g = teacher at temperature T

    Args:
        temperature: T > 0.
        average: how several teachers are averaged: mean of their probabilities at T ("prob") or of their logits ("logit").

    Shapes: logits ``*M J B K``, teacher ``*M B K`` or ``*M T B K`` -> ``*M``. Units: nats times T², >= 0; 0 where student and
    teacher agree.
    Source: Hinton et al. 2015; w of (1 − w)·CE + w·T²·KL blends it with the cross entropy. Ours: the mean over the batch, sum over
    components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]]]), torch.tensor([0]), teacher=torch.tensor([[2.0, 0.0]]))
        >>> round(Distillation(temperature=2.0)(out).item(), 4)
        0.4438
    """

    temperature: float = 2.0
    average: Average = "prob"

    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    reads_shared: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_temperature("Distillation", self.temperature)
        check_average("Distillation", self.average)

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        if out.task == "numbers":
            return out.mean((at_least_single(out.logits) - mean_of_teachers("Distillation", out)).square().sum(-1) / 2).sum(-1)
        student = out.log_probs_at(self.temperature)
        teacher = teacher_probs("Distillation", out, self.temperature, self.average)
        return self.temperature**2 * out.mean(kl_from(teacher, student, out)).sum(-1)
