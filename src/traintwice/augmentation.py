"""Random changes to training pictures, drawn for each example and epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = ["Augmentation", "CropFlip", "ResizedCropFlip", "Shift"]


class Augmentation(Protocol):
    """The settings of an augmentation: a frozen dataclass."""

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Parameters of the change of each example in one epoch: whole numbers ``N D``, row n for example n."""

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """Pictures ``B rows columns channels``, changed by their parameters ``B D``."""


@dataclass(frozen=True)
@typed
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
@typed
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


@dataclass(frozen=True)
@typed
class ResizedCropFlip:
    """A random crop of random area and shape, enlarged to the size of the picture, and a horizontal flip with probability 1/2.

    Args:
        least: smallest area of a crop as a share of the picture's, in (0, 1]; the area is uniform from there to 1, the logarithm of its
            ratio of width to height uniform from 3/4 to 4/3, each side at most the picture's, each place equally likely.
    Raises:
        BadSpec: a share outside (0, 1].
    Source:
        Szegedy et al. 2015, section 6. Ours: sides are cut to the picture's instead of drawn again, and crops are enlarged bilinearly from
        the picture as the data set gives it.
    Example:
        >>> whole = torch.tensor([[65535, 32768, 0, 0, 0]])
        >>> ResizedCropFlip().apply(torch.tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]]), whole).flatten().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """

    least: float = 0.08

    def __post_init__(self) -> None:
        if not 0 < self.least <= 1:
            raise BadSpec(f"ResizedCropFlip.least: got {self.least}, expected a number above 0 and at most 1")

    def draw(self, rng: np.random.Generator, examples: int) -> np.ndarray:
        """Area, shape and place in 65,536 steps, and the flip."""
        return rng.integers(0, [STEPS, STEPS + 1, STEPS, STEPS, 2], size=(examples, 5))

    def apply(self, pictures: Tensor, drawn: Tensor) -> Tensor:
        """The enlarged crops."""
        share = drawn[:, :4].to(torch.float64) / STEPS
        last = (STEPS - 1) / STEPS  # of the draws of area and place
        area = self.least + (1 - self.least) * share[:, 0] / last
        shape = torch.exp((2 * share[:, 1] - 1) * np.log(4 / 3)).sqrt()
        height, width = ((area.sqrt() * factor).clamp(max=1.0) for factor in (1 / shape, shape))
        down, right = ((2 * share[:, i] / last - 1) * (1 - side) for i, side in ((2, height), (3, width)))
        change = torch.zeros(len(pictures), 2, 3, dtype=torch.float64, device=pictures.device)
        change[:, 0, 0], change[:, 0, 2] = torch.where(drawn[:, 4] == 1, -width, width), right
        change[:, 1, 1], change[:, 1, 2] = height, down
        first = pictures.movedim(3, 1)
        grid = torch.nn.functional.affine_grid(change, list(first.shape), align_corners=False).to(pictures.dtype)
        crops = torch.nn.functional.grid_sample(first, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return crops.movedim(1, 3)


STEPS = 65536
"""Values of each draw of `ResizedCropFlip`."""

ALL: tuple[type, ...] = (Shift, CropFlip, ResizedCropFlip)
"""Every augmentation; the contract tests loop over it."""


def _moved(pictures: Tensor, drawn: Tensor, border: int) -> Tensor:
    """``out[b, y, x] = pictures[b, y − down_b, x − right_b]``, 0 outside the picture; channels first in memory."""
    count, rows, columns, _ = pictures.shape
    framed = torch.nn.functional.pad(pictures.movedim(3, 1), (border, border, border, border))
    windows = framed.unfold(2, rows, 1).unfold(3, columns, 1).movedim(1, 3)  # examples, down, right, channels, rows, columns
    return windows[torch.arange(count, device=pictures.device), border - drawn[:, 0], border - drawn[:, 1]].movedim(1, 3)
