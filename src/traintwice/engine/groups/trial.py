"""Trial of a network under the vectorised engine."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.engine.groups.vectorised import drawn, drops_of, forward, kept_of
from traintwice.nets import Network, enter_dropout

EXAMPLES = 3
"""Examples of a trial."""


@dataclass(frozen=True)
class Tried:
    """Result of a trial.

    Attributes:
        obstacle: why the network cannot be vectorised; None if it can.
        parameters: trained numbers.
        activations: outputs of all layers for one example.
    """

    obstacle: str | None
    parameters: int
    activations: int


def tried(network: Network, shape: tuple[int, ...], classes: int) -> Tried:
    """Run two networks alone and together, forward and backward, and compare the results; once for each structure."""
    return _tried(network, shape, classes)  # type: ignore[arg-type]  # networks are frozen dataclasses


@lru_cache(maxsize=64)
def _tried(network: Network, shape: tuple[int, ...], classes: int) -> Tried:
    alone = [network.build(shape, classes, np.random.default_rng(seed)).train() for seed in range(2)]
    name = network.describe(shape, classes)
    parameters = sum(p.numel() for p in alone[0].parameters() if p.requires_grad)
    x = torch.rand(2, EXAMPLES, *shape, generator=torch.Generator().manual_seed(0))  # below 1: the first code of a category
    x = x.to(next((p.dtype for p in alone[0].parameters()), x.dtype))
    sparse = [m for m in alone[0].modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) and m.sparse]
    if sparse:
        return Tried(f"{name} has sparse gradients", parameters, 0)
    activations = _activations(copy.deepcopy(alone[0]), x[0])
    together = [copy.deepcopy(one) for one in alone]
    try:
        both = _both(together, x)
    except Exception as error:  # whatever a user's module raises for a mapped tensor
        first = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
        return Tried(f"{name} cannot be mapped over many networks: {first}", parameters, activations)
    for at, (one, own) in enumerate(zip(alone, both, strict=True)):
        enter_dropout(one, np.random.default_rng(at))
        for what, value in _of_one(one, x[at]).items():
            if what not in own:
                return Tried(f"{name}: {what} exists alone and not among many networks", parameters, activations)
            if not torch.allclose(own[what].double(), value.double(), rtol=1e-3, atol=1e-4, equal_nan=True):
                return Tried(f"{name}: {what} differs between a network alone and the same among many", parameters, activations)
    unused = [what for what, value in both[0].items() if what.startswith("gradient of ") and value.isnan().all()]
    if unused:
        return Tried(
            f"{name}: parameter {unused[0].removeprefix('gradient of ')} takes no part in its outputs", parameters, activations
        )
    return Tried(None, parameters, activations)


def _of_one(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Logits, gradients of their squares, and buffers after the pass, of a network alone."""
    logits = network(x)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = _gradients(logits, trained)
    return {"logits": logits.detach(), **found, **kept_of(network)}


def _both(networks: list[nn.Module], x: Tensor) -> list[dict[str, Tensor]]:
    """The same of networks that run together."""
    drops = drops_of(copy.deepcopy(networks[0]), x[0])
    masks = drawn(drops, [np.random.default_rng(at) for at in range(len(networks))], x.dtype)
    of_all = [{name: p.detach() for name, p in n.named_parameters() if p.requires_grad} for n in networks]
    stack = {name: torch.stack([own[name] for own in of_all]).requires_grad_() for name in of_all[0]}
    kept = [kept_of(n) for n in networks]
    buffers = {name: torch.stack([own[name] for own in kept]) for name in kept[0]}
    logits = forward(networks[0], stack, buffers, x, masks)
    found = {"logits": logits.detach(), **_gradients(logits, stack), **buffers}
    return [{name: value[at] for name, value in found.items()} for at in range(len(networks))]


def _gradients(logits: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients by name; NaN for an unused parameter."""
    taken = torch.autograd.grad(logits.square().sum(), list(parameters.values()), allow_unused=True)
    return {
        f"gradient of {name}": torch.full_like(p, torch.nan) if g is None else g
        for (name, p), g in zip(parameters.items(), taken, strict=True)
    }


@torch.no_grad()
def _activations(network: nn.Module, x: Tensor) -> int:
    """Outputs of the innermost layers for one example."""
    counted = 0

    def count(_layer: nn.Module, _inputs: object, output: object) -> None:
        nonlocal counted
        counted += output.numel() if isinstance(output, Tensor) else 0

    enter_dropout(network, np.random.default_rng(0))
    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    network(x)
    return counted // len(x)
