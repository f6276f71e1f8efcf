"""Activations with hand-written gradients, on buffers made once."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from traintwice.nets import SmeLU

aten = torch.ops.aten


class Activation(Protocol):
    """Forward and backward pass of an activation."""

    in_place: bool
    """f(a) may take the place of a: the backward pass needs f(a) alone."""

    def forward(self, a: Tensor, h: Tensor) -> None:
        """Write f(a) into h."""

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """Multiply a gradient d in place by f'(a)."""


class ReLU:
    """max(a, 0)."""

    in_place = True

    def forward(self, a: Tensor, h: Tensor) -> None:
        """In place where h is a."""
        torch.clamp_min(a, 0, out=h)

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """0 where f(a) is 0."""
        aten.threshold_backward.grad_input(d, h, 0, grad_input=d)


class Tanh:
    """tanh a."""

    in_place = True

    def forward(self, a: Tensor, h: Tensor) -> None:
        """In place where h is a."""
        torch.tanh(a, out=h)

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """1 − f(a)²."""
        aten.tanh_backward.grad_input(d, h, grad_input=d)


class GELU:
    """a Φ(a)."""

    in_place = False

    def forward(self, a: Tensor, h: Tensor) -> None:
        """The exact form."""
        aten.gelu.out(a, out=h)

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """Φ(a) + a φ(a)."""
        aten.gelu_backward.grad_input(d, a, grad_input=d)


class SiLU:
    """a σ(a)."""

    in_place = False

    def forward(self, a: Tensor, h: Tensor) -> None:
        """A times its logistic."""
        aten.silu.out(a, out=h)

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """σ(a) (1 + a (1 − σ(a)))."""
        aten.silu_backward.grad_input(d, a, grad_input=d)


class Smooth:
    """SmeLU of half-width b."""

    in_place = False

    def __init__(self, width: float) -> None:
        self.width = width
        self._slope = torch.empty(0)

    def forward(self, a: Tensor, h: Tensor) -> None:
        """(clamp(a, −b, b) + b)² / (4 b) + max(a − b, 0)."""
        b = self.width
        torch.clamp(a, -b, b, out=h).add_(b).square_().div_(4 * b).add_((a - b).clamp_min_(0))

    def backward(self, d: Tensor, a: Tensor, h: Tensor) -> None:
        """(clamp(a, −b, b) + b) / (2 b)."""
        b = self.width
        if self._slope.shape != a.shape or self._slope.dtype != a.dtype:
            self._slope = torch.empty_like(a)
        d.mul_(torch.clamp(a, -b, b, out=self._slope).add_(b).div_(2 * b))


def activation_of(module: nn.Module) -> Activation | None:
    """The hand-written form of a module; None where there is none."""
    if isinstance(module, SmeLU):
        return Smooth(module.width)
    made: dict[type[nn.Module], type[Activation]] = {nn.ReLU: ReLU, nn.Tanh: Tanh, nn.GELU: GELU, nn.SiLU: SiLU}
    return made[type(module)]() if type(module) in made else None
