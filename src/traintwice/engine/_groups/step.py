"""Parts of a group's step: optimiser, clipping and ascent of all networks at once, and CUDA graphs of the passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from traintwice.engine._groups.logits import LossInputs
from traintwice.optimizers import SGD, Optimizer
from traintwice.recipes import Recipe


class StackOptimizer:
    """An optimiser on a stack.

    On a CPU it uses PyTorch's fused form, in which whole vectors round equally at every place; on a GPU the form of few kernels.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
        on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.built = optimizer.build(parameters)
        for group in self.built.param_groups:
            group["fused"], group["foreach"] = on_cpu, not on_cpu
        self.rates = [group["lr"] for group in self.built.param_groups]

    def __call__(self, factor: float) -> None:
        """Take a step, with learning rates times a factor."""
        for group, rate in zip(self.built.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.built.step()


def fused_sgd_of(recipe: Recipe) -> SGD | None:
    """Plain SGD, if the product that computes a gradient may update the weights at once; None if anything else reads the gradients."""
    optimizer = recipe.optimizer_of(0)
    reads_gradients = recipe.clip_norm is not None or recipe.sharpness
    return optimizer if isinstance(optimizer, SGD) and not optimizer.momentum and not reads_gradients else None


@torch.no_grad()
def clip(gradients: Sequence[Tensor], norm: float) -> None:
    """Scale the gradient of every network by min(1, norm / (‖g‖ + 1e-6)), in place."""
    factor = (norm / (norms(gradients) + 1e-6)).clamp_max_(1.0)
    for gradient in gradients:
        gradient.mul_(factor)


@torch.no_grad()
def ascent(gradients: Sequence[Tensor], size: float) -> list[Tensor]:
    """Moves of a size along the gradient of every network."""
    factor = size / (norms(gradients) + 1e-12)
    return [gradient * factor for gradient in gradients]


def norms(gradients: Sequence[Tensor]) -> Tensor:
    """Norm of the gradient of every network, ``S 1``."""
    parts = torch.stack([torch.linalg.vector_norm(gradient, dim=1) for gradient in gradients], dim=1)
    length: Tensor = torch.linalg.vector_norm(parts, dim=1, keepdim=True)
    return length


@dataclass
class _Graph:
    """Inputs, graph and result of a pass for one size of mini-batch; they keep their memory."""

    seen: LossInputs
    graph: torch.cuda.CUDAGraph | None = None
    values: Tensor | None = None


class CapturedPass:
    """Warms up on the first call for a size of mini-batch, captures a CUDA graph on the second, then replays it."""

    def __init__(self) -> None:
        self._graphs: dict[int, _Graph] = {}

    def __call__(self, batch: int, seen: LossInputs, work: Callable[[LossInputs], Tensor]) -> Tensor:
        """Result of a pass that changes all memory in place."""
        found = self._graphs.get(batch)
        if found is None:
            teacher = None if seen.teacher is None else seen.teacher.clone()
            found = self._graphs[batch] = _Graph(replace(seen, labels=seen.labels.clone(), teacher=teacher))
            return _on_another_stream(work, found.seen)
        found.seen.labels.copy_(seen.labels)
        if found.seen.teacher is not None and seen.teacher is not None:
            found.seen.teacher.copy_(seen.teacher)
        if found.graph is None or found.values is None:
            found.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(found.graph):
                found.values = work(found.seen)
        found.graph.replay()
        return found.values


def _on_another_stream(work: Callable[[LossInputs], Tensor], seen: LossInputs) -> Tensor:
    """Run a pass on a CUDA stream of its own, as a warm-up must be."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        values = work(seen)
    torch.cuda.current_stream().wait_stream(side)
    return values
