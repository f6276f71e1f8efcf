"""The training loss of each replica of a training, as means over equal parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from traintwice.engine._state import State

LEAST_POINTS = 20
"""A curve has a point for each epoch, and several where there are fewer epochs than this."""


def points_of(epochs: int, steps: int) -> int:
    """Points of a curve; at most one for each step.

    >>> points_of(40, 4000), points_of(8, 800), points_of(1, 6)
    (40, 24, 6)
    """
    return min(steps, epochs * -(-LEAST_POINTS // epochs))


class Curve:
    """Means of the loss of R replicas over equal parts of the training, in float64. It reads losses and changes nothing.

    Args:
        epochs, steps: of the training.
        replicas: R.
        device: of the losses.
    """

    def __init__(self, epochs: int, steps: int, replicas: int, device: torch.device) -> None:
        self.points, self.steps = points_of(epochs, steps), steps
        self.sums = torch.zeros(self.points, replicas, dtype=torch.float64, device=device)
        self._parts = self.sums.unbind()
        self.counts = torch.zeros(self.points, dtype=torch.int64)
        self._counts = self.counts.numpy()

    def add(self, step: int, losses: Tensor) -> None:
        """Add the losses ``R`` of a step."""
        at = step * self.points // self.steps
        self._parts[at].add_(losses)
        self._counts[at] += 1

    def of(self, place: int) -> np.ndarray:
        """The points of a replica; NaN where no step had examples to train on."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sums[:, place].cpu().numpy() / self._counts)

    def state(self, place: int) -> State:
        """What a replica carries from one step to the next."""
        return {"sums": self.sums[:, place].cpu().clone(), "counts": self.counts.clone()}

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from the states of all replicas, in order."""
        self.sums.copy_(torch.stack([state["sums"] for state in states], 1))
        self.counts.copy_(states[0]["counts"])
