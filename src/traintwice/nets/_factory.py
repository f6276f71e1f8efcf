"""A network from a user's function, named by its import path, and what makes its module one that the engine takes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traintwice._typed import typed
from traintwice._user_code import UserFunction
from traintwice.data import PackedShape
from traintwice.data._dataset import Part
from traintwice.errors import BadSpec
from traintwice.nets._network import SeededDraws, enter_dropout
from traintwice.nets._pictures import count_multiply_adds


@dataclass(frozen=True)
@typed
class Factory(UserFunction):
    """A module that your function makes: ``make(shape, classes, **settings)``, from inputs ``B *shape`` to logits ``B classes``.

    For two classes it may have one logit z (``B 1``), which is read as logits (0, z).

    The function initialises its layers as usual. While it runs, PyTorch's global generator is seeded from the replica's stream, and its
    state is restored afterwards. Weights so differ between replicas, and are the same each time a replica is built. A module that draws in
    training, such as one with `torch.nn.Dropout`, is seeded in the same way at every step (`SeededDraws`).

    Of data with several inputs ``shape`` is a mapping of their names to shapes, or a tuple of shapes, and the module gets them by name or
    by position (see `traintwice.data.Loader`).

    Args:
        maker: "package.module:function". Worker processes must be able to import it: from an installed package, or a folder on
            PYTHONPATH.
        settings: keyword arguments of the function, of types that TOML has.
        known_multiply_adds: of one forward pass of one example; None counts those of linear layers and convolutions.
    Raises:
        BadSpec: ``maker`` of another form, or settings of other types. When built: the function cannot be imported, returns another
            type than a module, or its module gives logits of another shape.
    Source:
        Ours. The digest of a replica covers ``maker`` and ``settings``. The code of the function, and of the modules of its project that
        it imports, is recorded with each replica; a study refuses to mix replicas of different code.
    Example:
        >>> Factory("torch.nn:Identity").maker
        'torch.nn:Identity'
    """

    maker: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    known_multiply_adds: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.known_multiply_adds is not None and self.known_multiply_adds < 1:
            raise BadSpec(f"Factory.known_multiply_adds: got {self.known_multiply_adds}, expected at least 1")

    __hash__ = UserFunction.__hash__

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module that the function makes, with weights from ``rng``."""
        known = shape.shapes if isinstance(shape, PackedShape) else shape
        make = self.function_of(known, classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            network = make(known, classes)
            if not isinstance(network, nn.Module):
                raise BadSpec(f"{self.maker}: made {type(network).__name__}, expected a torch.nn.Module")
            if any(map(nn.parameter.is_lazy, network.parameters())):
                raise BadSpec(
                    f"{self.maker}: has lazy layers, expected layers with all sizes; the function gets the shape of an example"
                )
            if isinstance(shape, PackedShape):
                network = Unpacked(network, shape)
            draws, outputs = self._tried(network, shape, classes)
            if outputs == 1 < classes:
                network = OneLogit(network)
            return SeededDraws(network) if draws else network

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """Name of the function.

        >>> Factory("mine.nets:wide_resnet").describe((3, 32, 32), 10)
        'wide_resnet'
        """
        return self.maker.partition(":")[2]

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """``known_multiply_adds``, or the count on the layers.

        Raises:
            BadSpec: ``known_multiply_adds`` is None and the module has no layer to count.
        """
        if self.known_multiply_adds is not None:
            return self.known_multiply_adds
        counted = count_multiply_adds(self.build(shape, classes, np.random.default_rng(0)), shape)
        if counted == 0:
            raise BadSpec(f"{self.maker}: has no linear layer or convolution to count; give known_multiply_adds")
        return counted

    @torch.no_grad()
    def _tried(self, network: nn.Module, shape: tuple[int, ...], classes: int) -> tuple[bool, int]:
        """Run a copy on two examples in training mode; returns whether it drew from PyTorch's generator, and the number of its logits."""
        before = torch.get_rng_state()
        dtype = next((p.dtype for p in network.parameters()), torch.float32)
        trial = copy.deepcopy(network).train()
        enter_dropout(trial, np.random.default_rng(0))
        logits = trial(torch.zeros(2, *shape, dtype=dtype))
        found = tuple(getattr(logits, "shape", ()))
        if found != (2, classes) and not (found == (2, 1) and classes == 2):
            raise BadSpec(
                f"{self.maker}: returned {found or type(logits).__name__} for two examples, expected logits {(2, classes)}"
                + (" or (2, 1)" if classes == 2 else "")
            )
        return not torch.equal(before, torch.get_rng_state()), found[1]


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
