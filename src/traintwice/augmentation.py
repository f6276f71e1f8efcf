"""Random changes to training pictures, drawn for an example and an epoch: never for a place in a mini-batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from traintwice.errors import BadSpec


class Augmentation(Protocol):
    """What is done to the pictures of a training set; frozen dataclasses."""

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """What happens to each example in one epoch: whole numbers ``N D``, row n for example n."""

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """Pictures ``B rows columns channels`` changed as their rows ``B D`` say."""


@dataclass(frozen=True)
class Shift:
    """Every picture moved by up to so many pixels down and to the right, or up and to the left; what comes in is 0.

    Args:
        pixels: largest move, >= 1; each move is equally likely.
    Raises:
        BadSpec: a move below 1.
    Source:
        Ours: the augmentation of small pictures that have no natural one.
    Example:
        >>> Shift(1).apply(torch.tensor([[[[1.0], [2.0]]]]), torch.tensor([[0, 1]])).flatten().tolist()
        [0.0, 1.0]
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise BadSpec(f"Shift.pixels: got {self.pixels}, expected at least 1")

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Moves down and to the right."""
        return rng.integers(-self.pixels, self.pixels + 1, size=(examples, 2))

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """The moved pictures."""
        return _moved(pictures, drawn, self.pixels)


@dataclass(frozen=True)
class CropFlip:
    """A crop of the picture with a border of zeros, as large as the picture, and every other one mirrored left to right.

    Args:
        padding: width of the border, >= 1; each crop is equally likely.
    Raises:
        BadSpec: a border below 1.
    Source:
        He et al. 2016, section 4.2: a border of 4 pixels on CIFAR-10.
    Example:
        >>> CropFlip(1).apply(torch.tensor([[[[1.0], [2.0]]]]), torch.tensor([[0, 0, 1]])).flatten().tolist()
        [2.0, 1.0]
    """

    padding: int = 4

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise BadSpec(f"CropFlip.padding: got {self.padding}, expected at least 1")

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Moves down and to the right, and whether it is mirrored."""
        low, high = [-self.padding, -self.padding, 0], [self.padding + 1, self.padding + 1, 2]
        return rng.integers(low, high, size=(examples, 3))

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """The crops."""
        moved = _moved(pictures, drawn, self.padding)
        mirrored = drawn[:, 2].nonzero().squeeze(1)
        moved[mirrored] = moved[mirrored].flip(2)
        return moved


ALL: tuple[type, ...] = (Shift, CropFlip)
"""Every augmentation; the contract tests loop over it."""


def _moved(pictures: Tensor, drawn: Tensor, border: int) -> Tensor:
    """``out[b, y, x] = pictures[b, y − down_b, x − right_b]``, 0 where that lies outside; channels first in memory."""
    count, rows, columns, _ = pictures.shape
    framed = torch.nn.functional.pad(pictures.movedim(3, 1), (border, border, border, border))
    windows = framed.unfold(2, rows, 1).unfold(3, columns, 1).movedim(1, 3)  # examples, down, right, channels, rows, columns
    return windows[torch.arange(count, device=pictures.device), border - drawn[:, 0], border - drawn[:, 1]].movedim(1, 3)
