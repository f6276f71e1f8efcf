"""Random changes to training pictures, drawn for each example and epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from traintwice.errors import BadSpec


class Augmentation(Protocol):
    """The settings of an augmentation: a frozen dataclass."""

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Parameters of the change of each example in one epoch: whole numbers ``N D``, row n for example n."""

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """Pictures ``B rows columns channels``, changed by their parameters ``B D``."""


@dataclass(frozen=True)
class Shift:
    """A random shift of every picture, vertical and horizontal; new pixels are 0.

    Args:
        pixels: largest shift in each direction, >= 1; all shifts are equally likely.
    Raises:
        BadSpec: a shift below 1.
    Source:
        Ours, for small pictures without a usual augmentation.
    Example:
        >>> Shift(1).apply(torch.tensor([[[[1.0], [2.0]]]]), torch.tensor([[0, 1]])).flatten().tolist()
        [0.0, 1.0]
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise BadSpec(f"Shift.pixels: got {self.pixels}, expected at least 1")

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Shifts down and to the right."""
        return rng.integers(-self.pixels, self.pixels + 1, size=(examples, 2))

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """The shifted pictures."""
        return _moved(pictures, drawn, self.pixels)


@dataclass(frozen=True)
class CropFlip:
    """A random crop of the picture padded with zeros, and a horizontal flip with probability 1/2.

    Args:
        padding: width of the padding, >= 1; all crops are equally likely.
    Raises:
        BadSpec: a padding below 1.
    Source:
        He et al. 2016, section 4.2: a padding of 4 pixels on CIFAR-10.
    Example:
        >>> CropFlip(1).apply(torch.tensor([[[[1.0], [2.0]]]]), torch.tensor([[0, 0, 1]])).flatten().tolist()
        [2.0, 1.0]
    """

    padding: int = 4

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise BadSpec(f"CropFlip.padding: got {self.padding}, expected at least 1")

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Shifts down and to the right, and whether to flip."""
        low, high = [-self.padding, -self.padding, 0], [self.padding + 1, self.padding + 1, 2]
        return rng.integers(low, high, size=(examples, 3))

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """The cropped pictures."""
        moved = _moved(pictures, drawn, self.padding)
        mirrored = drawn[:, 2].nonzero().squeeze(1)
        moved[mirrored] = moved[mirrored].flip(2)
        return moved


ALL: tuple[type, ...] = (Shift, CropFlip)
"""Every augmentation; the contract tests loop over it."""


def _moved(pictures: Tensor, drawn: Tensor, border: int) -> Tensor:
    """``out[b, y, x] = pictures[b, y − down_b, x − right_b]``, 0 outside the picture; channels first in memory."""
    count, rows, columns, _ = pictures.shape
    framed = torch.nn.functional.pad(pictures.movedim(3, 1), (border, border, border, border))
    windows = framed.unfold(2, rows, 1).unfold(3, columns, 1).movedim(1, 3)  # examples, down, right, channels, rows, columns
    return windows[torch.arange(count, device=pictures.device), border - drawn[:, 0], border - drawn[:, 1]].movedim(1, 3)
