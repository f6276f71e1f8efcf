"""What every network gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from torch import nn


class Network(Protocol):
    """A network's settings; frozen dataclasses that build a module."""

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """A module from inputs ``B *shape`` to logits ``B classes``, its weights drawn from ``rng`` alone."""

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """A few words for the title of a table."""

    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """Multiplications of one forward pass of one example: the unit of the cost columns."""


@runtime_checkable
class SharedNetwork(Protocol):
    """A network whose components share parts."""

    def build_together(self, shape: tuple[int, ...], classes: int, rngs: Sequence[np.random.Generator]) -> list[nn.Module]:
        """One module for each component; shared parts are the same objects."""

    def shared_multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Multiplications of the shared part."""
