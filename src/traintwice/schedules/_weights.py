"""Schedules: functions of the optimiser step, and the weights of loss terms that follow them.

A schedule in epochs is resolved to steps before its first call; `Recipe` does so before training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from traintwice._typed import typed
from traintwice.errors import BadSpec


@runtime_checkable
class Schedule(Protocol):
    """A function of the optimiser step, counted from 0."""

    def __call__(self, step: int) -> float:
        """The value at a step."""

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Schedule:
        """The same schedule in steps."""


Weight: TypeAlias = float | Schedule
"""A constant or a schedule."""


@dataclass(frozen=True)
@typed
class Ramp:
    """Linear ramp from 0 at step 0 to ``to``, constant afterwards.

        value(t) = min(t / T, 1) · to

    Args:
        to: final value.
        epochs, steps: T, the length of the ramp; exactly one of the two.
    Raises:
        BadSpec: both lengths or none, or a length that is not positive.
    Source:
        CH section 3.2 (linear ramp of β), min(c·t, w) with c = w/T.
    Example:
        >>> Ramp(2.0, steps=4)(1)
        0.5
    """

    to: float
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        check_length("Ramp", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Ramp:
        """The same ramp in steps."""
        return self if self.epochs is None else Ramp(self.to, steps=max(round(self.epochs * steps_per_epoch), 1))

    def __call__(self, step: int) -> float:
        return self.to * min(step / in_steps(self, self.steps), 1.0)


@dataclass(frozen=True)
@typed
class Jump:
    """Step function: 0 before step T, ``to`` from step T on.

        value(t) = to · [t >= T]

    Args:
        to: value from step T on.
        epochs, steps: T; exactly one of the two.
    Raises:
        BadSpec: both or none, or a T that is not positive.
    Source:
        CH section 3.2 (step ramp of β).
    Example:
        >>> Jump(2.0, steps=4)(3), Jump(2.0, steps=4)(4)
        (0.0, 2.0)
    """

    to: float
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        check_length("Jump", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Jump:
        """The same jump in steps."""
        return self if self.epochs is None else Jump(self.to, steps=max(round(self.epochs * steps_per_epoch), 1))

    def __call__(self, step: int) -> float:
        return self.to if step >= in_steps(self, self.steps) else 0.0


@dataclass(frozen=True)
@typed
class Complement:
    """One minus a weight, for a blend (1 − α)·a + α·b whose α follows a schedule.

    Example:
        >>> Complement(Ramp(0.5, steps=2))(1)
        0.75
    """

    of: Weight

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Complement:
        """One minus the resolved weight."""
        return Complement(resolve(self.of, steps_per_epoch, total_steps))

    def __call__(self, step: int) -> float:
        return 1.0 - at_step(self.of, step)


@typed
def at_step(weight: Weight, step: int) -> float:
    """The value of a weight, constant or scheduled, at a step."""
    return weight(step) if callable(weight) else float(weight)


@typed
def resolve(weight: Weight, steps_per_epoch: int, total_steps: int | None = None) -> Weight:
    """The same weight in steps."""
    return weight.resolve(steps_per_epoch, total_steps) if isinstance(weight, Schedule) else weight


def check_length(name: str, *, epochs: float | None, steps: int | None) -> None:
    """Raise `BadSpec` unless exactly one length is set and is positive."""
    lengths = [length for length in (epochs, steps) if length is not None]
    if len(lengths) != 1 or not lengths[0] > 0:
        raise BadSpec(f"{name}: got epochs={epochs}, steps={steps}; expected exactly one of the two, greater than 0")


def check_steps(name: str, steps: int | None) -> None:
    """Raise `BadSpec` for a length below one step."""
    if steps is not None and steps < 1:
        raise BadSpec(f"{name}.steps: got {steps}, expected at least 1")


def in_steps(schedule: object, steps: int | None) -> int:
    """The length of a schedule in steps.

    Raises:
        BadSpec: the schedule is still in epochs.
    """
    if steps is None:
        raise unresolved(schedule)
    return steps


def unresolved(schedule: object) -> BadSpec:
    """The error for a call of a schedule in epochs."""
    return BadSpec(f"{schedule!r} is in epochs; call resolve(steps_per_epoch) before the first step")
