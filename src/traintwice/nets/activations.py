"""Activations, by the name they carry in a network's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Activation = Literal["relu", "gelu", "silu", "tanh", "smelu"]


class SmeLU(nn.Module):
    r"""Smooth rectifier: two straight lines joined by a parabola of half-width b.

        0 for x <= −b,   (x + b)² / (4 b) for −b < x < b,   x for x >= b

    Args:
        width: b, > 0; towards 0 it becomes ReLU.
    Source:
        Lin & Shamir 2022 (SmeLU): smooth activations make trainings more alike at no cost to serve.
    Example:
        >>> import torch
        >>> SmeLU(1.0)(torch.tensor([-2.0, 0.0, 2.0])).tolist()
        [0.0, 0.25, 2.0]
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Applied to every entry."""
        inside = (x.clamp(-self.width, self.width) + self.width).square() / (4 * self.width)
        return inside + (x - self.width).clamp_min(0)

    def extra_repr(self) -> str:
        """Its half-width."""
        return f"width={self.width}"


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "smelu": SmeLU,
}
"""Name to maker; "smelu" is SmeLU with b = 1."""
