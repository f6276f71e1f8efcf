"""The forward pass of many networks of one structure at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from traintwice.nets import Dropout, enter_dropout, masks_given


def forward(
    network: nn.Module, parameters: Mapping[str, Tensor], kept: Mapping[str, Tensor], x: Tensor, masks: Sequence[Tensor]
) -> Tensor:
    """Logits ``S B K`` of S networks.

    Args:
        network: of their structure, in training mode; its own numbers are not read.
        parameters, kept: ``S ...`` by name. Statistics that a layer keeps are changed in place.
        x: ``S B ...``.
        masks: ``S ...`` of every dropout layer, in the order of their calls.
    Raises:
        RuntimeError: the network does something that cannot be mapped, such as to ask for a number of one example.
    """

    def one(own: dict[str, Tensor], beside: dict[str, Tensor], shown: Tensor, drawn: tuple[Tensor, ...]) -> Any:
        with masks_given(network, drawn):
            return functional_call(network, (own, beside), (shown,))

    # Masks come from streams of their own: a network that draws from PyTorch's generator is refused.
    logits: Tensor = vmap(one, randomness="error")(dict(parameters), dict(kept), x, tuple(masks))
    return logits


Drop = tuple[float, tuple[int, ...]]
"""Rate and shape of a mask."""


@torch.no_grad()
def drops_of(network: nn.Module, x: Tensor) -> list[Drop]:
    """Every mask that a network draws for a mini-batch, in order; it is run once."""
    found: list[Drop] = []
    hooks = [
        module.register_forward_hook(lambda layer, _, y: found.append((layer.rate, tuple(y.shape))))
        for module in network.modules()
        if isinstance(module, Dropout)
    ]
    if hooks:
        enter_dropout(network, np.random.default_rng(0))
        network(x)
    for hook in hooks:
        hook.remove()
    return found


def drawn(drops: Sequence[Drop], streams: Sequence[np.random.Generator], dtype: torch.dtype) -> list[Tensor]:
    """Masks ``S ...``, each network's from a stream of its own, as `traintwice.nets.Dropout` would draw them."""
    made = []
    for rate, shape in drops:
        noise = torch.empty(len(streams), *shape)
        for own, stream in zip(noise.numpy(), streams, strict=True):
            stream.random(dtype=np.float32, out=own)
        made.append((noise >= rate).to(dtype) / (1 - rate))
    return made
