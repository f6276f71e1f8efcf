"""Updates of all parameters of all networks at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from traintwice.engine.state import State, copied
from traintwice.optimizers import Optimizer


class Rows(nn.Module):
    """The parameters of S networks, a row of whole vectors each.

    It is a module with one parameter, so that what follows the parameters of a module follows those of all networks.
    """

    def __init__(self, networks: int, length: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.flat = nn.Parameter(torch.zeros(networks, length, dtype=dtype), requires_grad=False)


class Update:
    """An optimiser of `traintwice.optimizers` on rows: its one-pass form, in which whole vectors round alike wherever they lie.

    Args:
        optimizer: its settings.
        rows: the parameters.
        gradient: of the same shape.
    """

    def __init__(self, optimizer: Optimizer, rows: Rows, gradient: Tensor) -> None:
        rows.flat.grad = gradient
        self.parameter = rows.flat
        self.built = optimizer.build([rows.flat])
        for group in self.built.param_groups:
            group["fused"], group["foreach"] = True, False
        self.rates = [group["lr"] for group in self.built.param_groups]

    def __call__(self, factor: float) -> None:
        """One step, with learning rates times a factor."""
        for group, rate in zip(self.built.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.built.step()

    def state(self, rows: slice) -> State:
        """What it remembers of some rows; a count of steps is the same for all."""
        known: Mapping[str, Tensor | None] = self.built.state.get(self.parameter, {})
        return {name: copied(value[rows] if value.ndim else value) for name, value in known.items() if value is not None}

    def restore(self, states: list[State]) -> None:
        """Go on from what was remembered of all rows, in order."""
        if states and states[0]:
            joined = {name: torch.cat([s[name] for s in states]) if v.ndim else v.clone() for name, v in states[0].items()}
            self.built.state[self.parameter] = joined


@torch.no_grad()
def clip(gradient: Tensor, norm: float) -> None:
    """Scale every row down to a norm, in place; min(1, norm / (‖g‖ + 1e-6)) as PyTorch does."""
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    gradient.mul_((norm / (length + 1e-6)).clamp_max_(1.0))


@torch.no_grad()
def ascent(gradient: Tensor, size: float) -> Tensor:
    """Moves of a given size along the gradient of every row."""
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient * (size / (length + 1e-12))
