"""What goes into many networks at each step and what comes out of them, in buffers that are made once for each size of batch."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from traintwice.engine.stacked.layout import LANES, rounded_up

FILLED = 16
"""Inputs of an example are filled up with zeros to a multiple of so many numbers, so that those of every replica begin where vectors do."""


class Edges:
    """Inputs, logits and their gradient of S = R·J networks, for mini-batches of one size.

    Args:
        shown: numbers of an input.
        given: numbers that a network gives for it.
        replicas, components: R and J.
        batch: B.
        apart: components see inputs of their own.
        dtype, device: of everything.

    Attributes:
        rows: inputs one below the other, ``R·B shown`` or, apart, ``S·B shown``, filled up to whole vectors; to be written before a
            forward pass.
        logits: ``S K B``, written by a forward pass; class by class, which is quick to normalise.
        gradient: of the loss by the logits, ``S K B``, to be written before a backward pass.
        minus_one: −1 for every example of every network, ``S 1 B``.
    """

    def __init__(
        self,
        shown: int,
        given: int,
        *,
        replicas: int,
        components: int,
        batch: int,
        apart: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.replicas, self.components, self.batch, self.apart = replicas, components, batch, apart
        self.size = replicas * components
        seen = self.size if apart else replicas
        self.rows = torch.zeros(seen * batch, rounded_up(shown, FILLED), dtype=dtype, device=device)
        self.inputs = self.rows.view(seen, batch, -1)[:, :, :shown]
        self.logits_flat, self.logits = padded(self.size, given, batch, dtype=dtype, device=device)
        self.gradient_flat, self.gradient = padded(self.size, given, batch, dtype=dtype, device=device)
        self.minus_one = torch.full((), -1.0, dtype=dtype, device=device).expand(self.size, 1, batch)

    def by_replica(self, stack: Tensor) -> Tensor:
        """``R J ...`` of ``R·J ...``."""
        return stack.view(self.replicas, self.components, *stack.shape[1:])


def padded(rows: int, *shape: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """A buffer ``rows L`` with L rounded up to whole vectors, and its view ``rows *shape``."""
    count = prod(shape)
    flat = torch.zeros(rows, rounded_up(count, LANES), dtype=dtype, device=device)
    return flat, flat[:, :count].view(rows, *shape)
