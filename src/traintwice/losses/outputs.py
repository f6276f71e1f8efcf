"""What a loss sees: the logits of all components on one mini-batch, and the labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from traintwice.errors import BadInput


@dataclass(frozen=True)
class Outputs:
    """The outputs of the components of one replica (or of several at once) on one mini-batch.

    Args:
        logits: ``*M J B K``; leading axes pass through every loss and nothing mixes them. A network of one logit (binary)
            gives ``K = 1`` and is read as logits (0, z).
        labels: classes ``*M B``, shared by the components, or ``*M J B`` where each component has its own examples.
    Raises:
        BadInput: shapes that do not fit together.
    Example:
        >>> out = Outputs(torch.zeros(2, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> out.components, out.probs.shape
        (2, torch.Size([2, 4, 3]))
    """

    logits: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.logits.ndim < 3:
            raise BadInput(
                f"Outputs: got logits of shape {tuple(self.logits.shape)}, expected (..., components, batch, classes); a single "
                "network's logits become logits.unsqueeze(0)"
            )
        *leading, components, batch, _ = self.logits.shape
        if tuple(self.labels.shape) not in ((*leading, batch), (*leading, components, batch)):
            raise BadInput(
                f"Outputs: got labels of shape {tuple(self.labels.shape)} for logits {tuple(self.logits.shape)}, expected "
                f"{(*leading, batch)} or {(*leading, components, batch)}"
            )
        if self.logits.shape[-1] == 1:
            object.__setattr__(self, "logits", torch.cat([torch.zeros_like(self.logits), self.logits], dim=-1))

    @property
    def components(self) -> int:
        """J."""
        return self.logits.shape[-3]

    @cached_property
    def log_probs(self) -> Tensor:
        """Log-softmax of the logits in at least float32, ``*M J B K``."""
        logits = self.logits
        return torch.log_softmax(logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits, dim=-1)

    @cached_property
    def probs(self) -> Tensor:
        """Softmax of the logits, ``*M J B K``."""
        return self.log_probs.exp()

    @cached_property
    def label_of_component(self) -> Tensor:
        """Labels ``*M J B``."""
        if self.labels.ndim == self.logits.ndim - 1:
            return self.labels
        return self.labels.unsqueeze(-2).expand(self.logits.shape[:-1])


class Loss(Protocol):
    """A frozen dataclass called on `Outputs`; returns one number per replica, shape ``*M``. Replicas never mix."""

    def __call__(self, out: Outputs) -> Tensor:
        """The loss, ``*M``."""


def pairs(components: int) -> list[tuple[int, int]]:
    """All i < j.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(i, j) for i in range(components) for j in range(i + 1, components)]
