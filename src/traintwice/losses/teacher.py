"""What the losses that learn from a trained model share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses.mixed import ends
from traintwice.losses.outputs import Outputs, at_least_single
from traintwice.schedules import Weight

Average: TypeAlias = Literal["prob", "logit"]
"""How several models become one: the mean of their probabilities, or the softmax of the mean of their logits."""


def check_average(loss: str, average: str) -> None:
    """Raise `BadSpec` for an unknown average."""
    if average not in ("prob", "logit"):
        raise BadSpec(f"{loss}.average: got {average!r}, expected one of 'prob', 'logit'")


def check_fraction(name: str, weight: Weight) -> None:
    """Raise `BadSpec` for a weight outside [0, 1]."""
    if not all(0 <= value <= 1 for value in ends(weight)):
        raise BadSpec(f"{name}: got {weight}, expected a number from 0 to 1, or a schedule of such")


def check_temperature(loss: str, temperature: float) -> None:
    """Raise `BadSpec` for a temperature that is not positive."""
    if not temperature > 0:
        raise BadSpec(f"{loss}.temperature: got {temperature}, expected a number greater than 0")


def teacher_probs(loss: str, out: Outputs, temperature: float = 1.0, average: Average = "prob") -> Tensor:
    """Probabilities of the teacher at a temperature, ``*M 1 B K``; a constant.

    Raises:
        BadInput: no teacher was given.
    """
    if out.teacher is None:
        raise BadInput(f"Outputs.teacher: none given, and {loss} needs its logits, *M B K (probabilities p as log p)")
    logits = at_least_single(out.teacher.detach()) / temperature
    if logits.ndim < out.logits.ndim:
        return torch.softmax(logits, dim=-1).unsqueeze(-3)
    if average == "logit":
        return torch.softmax(logits.mean(-3, keepdim=True), dim=-1)
    return torch.softmax(logits, dim=-1).mean(-3, keepdim=True)


def kl_from(teacher: Tensor, log_student: Tensor) -> Tensor:
    """KL(teacher ‖ student) for each example; classes to which the teacher gives 0 add 0."""
    entropies: Tensor = torch.special.entr(teacher)
    return -(entropies + teacher * log_student).sum(-1)
