"""Whether a network can be vectorised: it is tried."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.engine.vectorised.forward import drawn, drops_of, forward
from traintwice.engine.vectorised.layout import kept_of
from traintwice.nets import Network, enter_dropout

EXAMPLES = 3
"""In the mini-batch of a trial."""


@dataclass(frozen=True)
class Tried:
    """What a trial showed.

    Attributes:
        obstacle: why the network cannot be vectorised, in words; None where it can.
        parameters: numbers that are trained.
        activations: numbers that its layers give for one example.
    """

    obstacle: str | None
    parameters: int
    activations: int


def tried(network: Network, shape: tuple[int, ...], classes: int) -> Tried:
    """Run two networks by themselves and both at once, forward and backward, and compare what comes out; once for each structure.

    Args:
        network: its settings.
        shape: of an input.
        classes: K.
    """
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
    except Exception as error:  # whatever a user's module raises when it is given something other than a plain tensor
        first = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
        return Tried(f"{name} cannot be mapped over many networks: {first}", parameters, activations)
    for at, (one, own) in enumerate(zip(alone, both, strict=True)):
        enter_dropout(one, np.random.default_rng(at))
        for what, value in _of_one(one, x[at]).items():
            if what not in own:
                return Tried(f"{name}: {what} is given in one way by itself and in another among many", parameters, activations)
            if not torch.allclose(own[what].double(), value.double(), rtol=1e-3, atol=1e-4, equal_nan=True):
                return Tried(f"{name}: {what} is another among many networks than by itself", parameters, activations)
    unused = [what for what, value in both[0].items() if what.startswith("gradient of ") and value.isnan().all()]
    if unused:
        return Tried(
            f"{name}: parameter {unused[0].removeprefix('gradient of ')} takes no part in its outputs", parameters, activations
        )
    return Tried(None, parameters, activations)


def _of_one(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Logits, gradients of their squares, and buffers after the pass."""
    logits = network(x)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = _gradients(logits, trained)
    return {"logits": logits.detach(), **found, **kept_of(network)}


def _both(networks: list[nn.Module], x: Tensor) -> list[dict[str, Tensor]]:
    """The same of networks at once, each by itself."""
    drops = drops_of(copy.deepcopy(networks[0]), x[0])
    masks = drawn(drops, [np.random.default_rng(at) for at in range(len(networks))], x.dtype)
    of_all = [{name: p.detach() for name, p in n.named_parameters() if p.requires_grad} for n in networks]
    stack = {name: torch.stack([own[name] for own in of_all]).requires_grad_() for name in of_all[0]}
    kept = [kept_of(n) for n in networks]
    beside = {name: torch.stack([own[name] for own in kept]) for name in kept[0]}
    logits = forward(networks[0], stack, beside, x, masks)
    found = {"logits": logits.detach(), **_gradients(logits, stack), **beside}
    return [{name: value[at] for name, value in found.items()} for at in range(len(networks))]


def _gradients(logits: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By name; NaN of a parameter that takes no part."""
    taken = torch.autograd.grad(logits.square().sum(), list(parameters.values()), allow_unused=True)
    return {
        f"gradient of {name}": torch.full_like(p, torch.nan) if g is None else g
        for (name, p), g in zip(parameters.items(), taken, strict=True)
    }


@torch.no_grad()
def _activations(network: nn.Module, x: Tensor) -> int:
    """Numbers that the innermost layers give for one example."""
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
