"""What is counted in a simulation, and the target it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Target:
    """The range in which a share belongs.

    Attributes:
        low, high: of the share of intervals that contain the truth, of false claims, ...
        upper: the largest share of truths above the interval; None where there is no interval.
    """

    low: float = 0.0
    high: float = 1.0
    upper: float | None = None

    def __str__(self) -> str:
        if self.upper is not None:
            return f"{100 * self.low:g}–{100 * self.high:g} %, above at most {100 * self.upper:g} %"
        if self.low > 0:
            return f"{100 * self.low:.0f}–{100 * min(self.high, 1.0):.0f} %"
        return f"at most {100 * self.high:g} %" if self.high < 1 else "–"


COVERAGE = Target(0.93, 0.99, 0.04)
TWO_MODELS = COVERAGE
NONE = Target()


@dataclass(frozen=True)
class Cell:
    """One number of the table.

    Attributes:
        part: of the table.
        world, setting, question: what was simulated and counted.
        trials: how often.
        share: of the trials.
        below, above: shares of the trials in which the truth is below, or above, the interval; None where there is none.
        target: see `Target`.
    """

    part: str
    world: str
    setting: str
    question: str
    trials: int
    share: float
    below: float | None = None
    above: float | None = None
    target: Target = NONE

    @property
    def verdict(self) -> str:
        """ "met", or "low", "high" or "above" where the share misses its target by more than chance explains (2 standard errors)."""
        if not self.trials:
            return "met"

        def error(share: float) -> float:
            return 2 * math.sqrt(max(share * (1 - share), 0.0) / self.trials)

        t = self.target
        if self.share < t.low - error(t.low):
            return "low"
        if t.upper is not None and self.above is not None and self.above > t.upper + error(t.upper):
            return "above"
        return "high" if self.share > t.high + error(t.high) else "met"

    def __str__(self) -> str:
        shown = "–" if not self.trials else f"{100 * self.share:.1f}"
        if self.above is not None and self.below is not None and self.trials:
            shown += f" ({100 * self.below:.1f} / {100 * self.above:.1f})"
        return shown if self.verdict == "met" else f"**{shown}**"


class Misses:
    """Counts of intervals below and above their truth, by question; intervals that do not exist are left out."""

    def __init__(self, truth: dict[str, float]) -> None:
        self.truth = truth
        self._counts = {name: np.zeros(3, dtype=int) for name in truth}

    def add(self, name: str, low: float, high: float) -> None:
        """Count one interval."""
        if not (math.isnan(low) or math.isnan(high)):
            true = self.truth[name]
            self._counts[name] += [1, true < low, true > high]

    def cells(self, part: str, world: str, setting: str, target: Target) -> Iterator[Cell]:
        """One cell for each question."""
        for name, (trials, below, above) in self._counts.items():
            n = max(int(trials), 1)
            yield Cell(part, world, setting, name, int(trials), 1 - (below + above) / n, below / n, above / n, target)
