"""The weights that predict: an average over the training, or several snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = ["EMA", "SWA", "Averaging", "Snapshots", "StartInterpolation"]


class Averaging(Protocol):
    """The settings of an averaging of weights: a frozen dataclass."""

    @property
    def models(self) -> int:
        """Number of sets of weights to serve."""
        return 1


@dataclass(frozen=True)
@typed
class EMA(Averaging):
    """Exponential moving average of the weights, updated after every step.

        w̄_t = d_t·w̄_{t−1} + (1 − d_t)·w_t,   d_t = min(decay, t / (t + 10)) with t counted from 1

    Args:
        decay: in (0, 1); None is 1 − 4 / steps, an average over about a quarter of the training.
    Raises:
        BadSpec: a decay outside (0, 1).
    Source:
        Morales-Brotons et al. 2024. Ours: a smaller decay at early steps (as is common), so that the initial weights have no
        influence; batch statistics are computed anew with the averaged weights.
    """

    decay: float | None = None

    def __post_init__(self) -> None:
        if self.decay is not None and not 0 < self.decay < 1:
            raise BadSpec(f"EMA.decay: got {self.decay}, expected a number between 0 and 1")


@dataclass(frozen=True)
@typed
class SWA(Averaging):
    """Mean of the weights at the end of each epoch in the last part of the training.

    Args:
        start: fraction of the epochs after which averaging begins, in [0, 1).
    Raises:
        BadSpec: a start outside [0, 1).
    Source:
        Izmailov et al. 2018. Ours: batch statistics are computed anew with the averaged weights.
    """

    start: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise BadSpec(f"SWA.start: got {self.start}, expected a fraction from 0 to below 1")


@dataclass(frozen=True)
@typed
class Snapshots(Averaging):
    """Weights at evenly spaced steps of one training, the last at its end; their outputs are averaged at inference.

    Args:
        count: number of snapshots, >= 2. Together with `CyclicCosine` this is the snapshot ensemble.
    Raises:
        BadSpec: fewer than two.
    Source:
        Huang et al. 2017 (snapshot ensembles). Ours: a snapshot counts as another component of the ensemble.
    """

    count: int = 3

    def __post_init__(self) -> None:
        if self.count < 2:
            raise BadSpec(f"Snapshots.count: got {self.count}, expected at least 2")

    @property
    def models(self) -> int:
        """The number of snapshots."""
        return self.count


@dataclass(frozen=True)
@typed
class StartInterpolation(Averaging):
    """Weights between those of the model that the training started from and those at its end.

        w = α·w_old + (1 − α)·w_new

    Args:
        old: α in (0, 1), the share of the old weights.
    Raises:
        BadSpec: a share outside (0, 1). A recipe with it needs `Recipe.start`.
    Source:
        Schumann et al. 2023 (BCWI, backward compatible weight interpolation). Ours: batch statistics are computed anew.
    """

    old: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.old < 1:
            raise BadSpec(f"StartInterpolation.old: got {self.old}, expected a number between 0 and 1")


ALL: tuple[type, ...] = (EMA, SWA, Snapshots, StartInterpolation)
"""Every averaging; the contract tests loop over it."""
