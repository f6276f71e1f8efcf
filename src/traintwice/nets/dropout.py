"""Dropout whose masks come from an explicit stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.errors import BadSpec


class Dropout(nn.Module):
    """Sets each entry to 0 with probability ``rate`` in training and divides the others by 1 − rate; does nothing in evaluation.

    Args:
        rate: in [0, 1).
    Source:
        Srivastava et al. 2014. Ours: masks come from a stream that the trainer enters anew at every step, so that they depend neither
        on a global generator nor on what else is trained.
    Example:
        >>> layer = Dropout(0.5)
        >>> enter_dropout(layer, np.random.default_rng(0))
        True
        >>> sorted(set(layer(torch.ones(64)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.stream: np.random.Generator | None = None
        self.masks: Iterator[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Applied to every entry."""
        if not self.training:
            return x
        if self.masks is not None:
            return x * next(self.masks).to(x.dtype)
        if self.stream is None:
            raise BadSpec(
                "Dropout: no stream of random numbers; call traintwice.nets.enter_dropout(network, rng) before every step"
            )
        kept = torch.from_numpy(self.stream.random(tuple(x.shape), dtype=np.float32) >= self.rate)
        return x * (kept.to(x) / (1 - self.rate))

    def extra_repr(self) -> str:
        """Its rate."""
        return f"rate={self.rate}"


def enter_dropout(network: nn.Module, rng: np.random.Generator) -> bool:
    """Let the dropout layers of a network draw from ``rng``, one after the other; returns whether there are any."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.stream = rng
    return bool(layers)


@contextmanager
def masks_given(network: nn.Module, masks: Iterable[Tensor]) -> Iterator[None]:
    """Within the block, the dropout layers of a network take masks drawn before, 0 or 1 / (1 − rate), in the order of their calls."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    taken = iter(masks)
    for layer in layers:
        layer.masks = taken
    try:
        yield
    finally:
        for layer in layers:
            layer.masks = None
