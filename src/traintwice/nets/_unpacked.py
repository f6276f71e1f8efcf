"""Networks whose inputs come as the bytes of one row, or whose output is the one logit of a binary network, as the engine takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import PackedShape
from traintwice.data._dataset import Part
from traintwice.nets._network import SeededDraws


class Unpacked(nn.Module):
    """A network that gets the parts of packed rows: by name, by position, or the only one. Other numbers have the type of the rows."""

    def __init__(self, network: nn.Module, shape: PackedShape) -> None:
        super().__init__()
        self.network, self.parts = network, shape.parts

    def forward(self, rows: Tensor) -> Any:
        """The network's output on rows ``B bytes``, each byte a number of any type."""
        found = unpacked(rows, self.parts)
        found = [values.to(rows.dtype) if values.is_floating_point() else values for values in found]
        if self.parts[0].name is None:
            return self.network(*found)
        return self.network(**{str(part.name): values for part, values in zip(self.parts, found, strict=True)})


def unpacked(rows: Tensor, parts: Sequence[Part]) -> list[Tensor]:
    """The inputs of packed rows ``B bytes``, each in its own type."""
    content, start, found = rows.to(torch.uint8), 0, []
    for part in parts:
        own = content[:, start : start + part.bytes].clone(memory_format=torch.contiguous_format)
        dtype = torch.from_numpy(np.empty(0, dtype=part.dtype)).dtype
        found.append(own.view(dtype).view(len(rows), *part.shape))
        start += part.bytes
    return found


def without_unpacking(network: nn.Module) -> nn.Module:
    """A network that takes its inputs themselves in the place of packed rows; others are unchanged."""
    if isinstance(network, Unpacked):
        return network.network
    if isinstance(network, OneLogit | SeededDraws):
        network.network = without_unpacking(network.network)
    return network


class OneLogit(nn.Module):
    """A binary network of one logit z, as logits (0, z)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """Logits ``B 2``, from the network's ``B 1``."""
        z = self.network(*inputs, **named)
        return torch.cat([torch.zeros_like(z), z], dim=1)
