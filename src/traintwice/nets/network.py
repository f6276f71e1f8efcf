"""What every network gives."""

from __future__ import annotations

from typing import Protocol

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
