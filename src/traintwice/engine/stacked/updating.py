"""Updates of all parameters of all networks at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from traintwice.engine.stacked.layout import Blocks
from traintwice.optimizers import SGD, Optimizer
from traintwice.recipes import Recipe


class Stack(nn.Module):
    """The parameters of S networks, ``S length`` for each parameter of one.

    It is a module, so that what follows the parameters of a module follows those of all networks.
    """

    def __init__(self, layout: Blocks, networks: int, dtype: torch.dtype) -> None:
        super().__init__()
        blocks = [torch.zeros(networks, block.length, dtype=dtype) for block in layout.blocks()]
        self.blocks = nn.ParameterList(nn.Parameter(block, requires_grad=False) for block in blocks)


class Update:
    """An optimiser of `traintwice.optimizers` on a stack: on a CPU its one-pass form, in which whole vectors round alike wherever they lie;
    on a GPU, where no number rounds by its place, the form of few kernels that every optimiser has.

    Args:
        optimizer: its settings.
        parameters, gradients: block by block.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.gradients: list[Tensor] = list(gradients)
        on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.built = optimizer.build(parameters)
        for group in self.built.param_groups:
            group["fused"], group["foreach"] = on_cpu, not on_cpu
        self.rates = [group["lr"] for group in self.built.param_groups]
        self.plain = optimizer if on_cpu and isinstance(optimizer, SGD) and not optimizer.momentum else None

    def __call__(self, factor: float) -> None:
        """One step, with learning rates times a factor."""
        if self.plain is not None:  # what `step` ends in; what lies between takes as long as a small product
            torch._fused_sgd_(
                self.parameters,
                self.gradients,
                [],
                weight_decay=self.plain.weight_decay,
                momentum=0.0,
                lr=self.plain.lr * factor,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
            return
        for group, rate in zip(self.built.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.built.step()


def descent_of(recipe: Recipe) -> SGD | None:
    """The optimiser of a recipe whose weights may take their step inside the product that makes their gradient; None for other recipes."""
    optimizer = recipe.optimizer_of(0)
    reads_gradients = recipe.clip_norm is not None or recipe.sharpness
    return optimizer if isinstance(optimizer, SGD) and not optimizer.momentum and not reads_gradients else None


@torch.no_grad()
def clip(gradients: Sequence[Tensor], norm: float) -> None:
    """Scale the gradient of every network down to a norm, in place; min(1, norm / (‖g‖ + 1e-6)) as PyTorch does."""
    factor = (norm / (norms(gradients) + 1e-6)).clamp_max_(1.0)
    for gradient in gradients:
        gradient.mul_(factor)


@torch.no_grad()
def ascent(gradients: Sequence[Tensor], size: float) -> list[Tensor]:
    """Moves of a given size along the gradient of every network."""
    factor = size / (norms(gradients) + 1e-12)
    return [gradient * factor for gradient in gradients]


def norms(gradients: Sequence[Tensor]) -> Tensor:
    """Of the gradient of every network, ``S 1``."""
    parts = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients], dim=1)
    length: Tensor = torch.linalg.vector_norm(parts, dim=1, keepdim=True)
    return length
