"""The cause of a loss or of logits that are not finite: the term of the method that drove them away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from traintwice.losses import Outputs
from traintwice.schedules import at_step

if TYPE_CHECKING:
    from traintwice.methods._method import Memories, Method


def non_finite_cause(
    method: Method, out: Outputs, step: int, memories: Memories | None = None, before: tuple[Outputs, int] | None = None
) -> str:
    """The cause of a loss that is not finite, in words: see `Method.not_finite`."""
    pushes = {} if before is None else _pushes(method, *before, memories)
    for j in range(out.components):
        if not bool(out.logits[..., j, :, :].isfinite().all()):
            return f"the logits of component {j} are not finite{_reason(method, {i: push[j] for i, push in pushes.items()})}"
    values = {i: _alone(method, i, out, step, memories) for i in _active(method, step)}
    weights = {i: at_step(method.terms[i].weight, step) for i in values}
    non_finite = [i for i in values if not bool((weights[i] * values[i]).isfinite().all())]
    if not non_finite:
        parts = " and ".join(f"{(weights[i] * value).sum().item():.3g}" for i, value in values.items())
        return f"the sum of {parts}, the weighted terms, is not finite"
    i = max(non_finite, key=lambda i: sum(pushes.get(i, ())))
    loss, value = method.terms[i].loss, values[i].sum().item()
    if not bool(values[i].isfinite().all()):
        return f"the term {loss!r} is {value}"
    return f"the term {loss!r} is {value:.3g}, and not finite times its weight {weights[i]:g}"


def divergence_cause(method: Method, before: tuple[Outputs, int] | None, memories: Memories | None = None) -> str:
    """The term that enlarged the logits most after the last finite step, in words: see `Method.enlarged`."""
    pushes = {} if before is None else _pushes(method, *before, memories)
    return _reason(method, {i: max(push) for i, push in pushes.items()})


def _active(method: Method, step: int) -> list[int]:
    """Numbers of the terms with a weight at a step."""
    return [i for i, term in enumerate(method.terms) if at_step(term.weight, step) != 0.0]


def _alone(method: Method, i: int, out: Outputs, step: int, memories: Memories | None) -> Tensor:
    """The value of a term without its weight."""
    alone = replace(method, terms=(replace(method.terms[i], weight=1.0),), keep="first")
    return alone.advance(out, step, None if memories is None else (memories[i],))[0]


@torch.enable_grad()
def _pushes(method: Method, out: Outputs, step: int, memories: Memories | None) -> dict[int, list[float]]:
    """How much a gradient step of each weighted term enlarges the outputs of each component: −⟨∂(weight · loss)/∂z_j, z_j⟩."""
    pushes = {}
    for i in _active(method, step):
        logits = out.logits.detach().requires_grad_()
        signals = {name: values.detach().requires_grad_() for name, values in (out.signals or {}).items()}
        leaves = (logits, *signals.values())
        freed = replace(out, logits=logits, signals=signals)
        value = at_step(method.terms[i].weight, step) * _alone(method, i, freed, step, memories).sum()
        gradients = torch.autograd.grad(value + 0.0 * logits.sum(), leaves, allow_unused=True)
        products = [-g * z.detach() for g, z in zip(gradients, leaves, strict=True) if g is not None]
        of_components = torch.stack([product.movedim(-3, 0).flatten(1).sum(1) for product in products]).sum(0)
        pushes[i] = of_components.nan_to_num(nan=torch.inf).tolist()
    return pushes


def _reason(method: Method, pushes: dict[int, float]) -> str:
    """The cause for the logits of a component, as the end of a sentence; empty where it is unknown."""
    if not pushes:
        return ""
    i = max(pushes, key=lambda i: pushes[i])
    if len(pushes) == 1 or not pushes[i] > 0:
        return "; the steps may be too large: lower the learning rate, or clip the gradients"
    return f"; at the last finite step {method.terms[i].loss!r} enlarged them most: lower its weight or the learning rate"
