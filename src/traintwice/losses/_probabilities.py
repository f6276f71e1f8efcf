"""Probabilities of logits: of classes, masked or not, or of several labels."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from traintwice.errors import BadInput

Task: TypeAlias = Literal["classes", "multi-label", "numbers"]
"""What the outputs of a network are: logits of classes, one logit for each of several labels, or the numbers of a regression."""


def at_least_single(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 are unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def log_probs_of(logits: Tensor, task: Task, masked: Tensor | None = None) -> Tensor:
    """Log probabilities ``... K`` in at least float32: of classes (0 for masked ones), or ``... 2K`` of 0 and 1 for each label."""
    logits = at_least_single(logits)
    if task == "numbers":
        raise BadInput(
            "Outputs: the numbers of a regression have no probabilities; Agreement (skl, l1), Difference, Decorrelation, GramSchmidt, "
            "LogitL2 and Distillation take numbers"
        )
    if task == "multi-label":
        return torch.cat([nn.functional.logsigmoid(-logits), nn.functional.logsigmoid(logits)], dim=-1)
    if masked is None:
        return torch.log_softmax(logits, dim=-1)
    return torch.log_softmax(logits.masked_fill(masked, -torch.inf), dim=-1).masked_fill(masked, 0.0)


def probs_of(logits: Tensor, task: Task) -> Tensor:
    """Probabilities of classes, or of 0 and 1 for each label; of logits without masked classes."""
    return torch.softmax(logits, dim=-1) if task == "classes" else log_probs_of(logits, task).exp()
