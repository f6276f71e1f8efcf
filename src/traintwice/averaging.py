"""Which weights are kept: the last, an average over the training, or several snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from traintwice.errors import BadSpec


class Averaging(Protocol):
    """How the weights that predict are made from those of the training; frozen dataclasses."""

    @property
    def models(self) -> int:
        """How many sets of weights must be served."""


@dataclass(frozen=True)
class EMA:
    """Exponential moving average of the weights, taken after every step.

        w̄_t = d_t·w̄_{t−1} + (1 − d_t)·w_t,   d_t = min(decay, t / (t + 10)) with t counted from 1

    Args:
        decay: in (0, 1); left out, the average spans about a quarter of the training: 1 − 4 / steps.
    Raises:
        BadSpec: a decay outside (0, 1).
    Source:
        Morales-Brotons et al. 2024. Ours: the early steps weigh less (as in common practice), so that the initial weights are forgotten;
        batch statistics are computed anew with the averaged weights.
    """

    decay: float | None = None

    def __post_init__(self) -> None:
        if self.decay is not None and not 0 < self.decay < 1:
            raise BadSpec(f"EMA.decay: got {self.decay}, expected a number between 0 and 1")

    @property
    def models(self) -> int:
        """1."""
        return 1


@dataclass(frozen=True)
class SWA:
    """Plain average of the weights at the end of every epoch of the last part of the training.

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

    @property
    def models(self) -> int:
        """1."""
        return 1


@dataclass(frozen=True)
class Snapshots:
    """Weights at evenly spaced moments of one training, the last at its end; their outputs are averaged at inference.

    Args:
        count: how many, >= 2. With a schedule that returns to a high rate after each (`CyclicCosine`) it is the snapshot ensemble.
    Raises:
        BadSpec: fewer than two.
    Source:
        Huang et al. 2017 (snapshot ensembles). Ours: a snapshot counts as one more component of the ensemble that is kept.
    """

    count: int = 3

    def __post_init__(self) -> None:
        if self.count < 2:
            raise BadSpec(f"Snapshots.count: got {self.count}, expected at least 2")

    @property
    def models(self) -> int:
        """Their number."""
        return self.count


ALL: tuple[type, ...] = (EMA, SWA, Snapshots)
"""Every way of averaging."""
