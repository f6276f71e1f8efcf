"""Numbers that change with the step: weights of loss terms, and multipliers of the learning rate.

A schedule given in epochs must be resolved to steps before it is asked for a value; `Recipe` does so before training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

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
class Ramp:
    """A straight line from 0 at step 0 to ``to``, constant from there on.

        value(t) = min(t / T, 1) · to

    Args:
        to: final value.
        epochs, steps: T, the length of the ramp; exactly one of them.
    Raises:
        BadSpec: both or neither length given, or one that is not positive.
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
        _one_length("Ramp", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Ramp:
        """The same ramp in steps."""
        return self if self.epochs is None else Ramp(self.to, steps=max(round(self.epochs * steps_per_epoch), 1))

    def __call__(self, step: int) -> float:
        return self.to * min(step / _steps(self, self.steps), 1.0)


@dataclass(frozen=True)
class Jump:
    """0 before a moment, ``to`` from it on.

        value(t) = to · [t >= T]

    Args:
        to: value after the moment.
        epochs, steps: T; exactly one of them.
    Raises:
        BadSpec: both or neither moment given, or one that is not positive.
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
        _one_length("Jump", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Jump:
        """The same jump in steps."""
        return self if self.epochs is None else Jump(self.to, steps=max(round(self.epochs * steps_per_epoch), 1))

    def __call__(self, step: int) -> float:
        return self.to if step >= _steps(self, self.steps) else 0.0


@dataclass(frozen=True)
class Complement:
    """One minus a weight, so that a blend (1 − α)·a + α·b stays exact while α is ramped.

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


@dataclass(frozen=True)
class LinearDecay:
    """A straight line from 1 at the first step to ``to`` after the last, for the learning rate.

        value(t) = 1 + (to − 1) · t / T,   T = number of steps of the training

    Args:
        to: value that would be reached one step after the last.
        steps: T; left out, it is the length of the training.
    Raises:
        BadSpec: ``to`` outside [0, 1].
    Example:
        >>> LinearDecay(steps=10)(5)
        0.5
    """

    to: float = 0.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.to <= 1:
            raise BadSpec(f"LinearDecay: got to={self.to}, expected a number from 0 to 1")
        _at_least_one("LinearDecay", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> LinearDecay:
        """The same decay over the training's steps."""
        return replace(self, steps=total_steps) if self.steps is None else self

    def __call__(self, step: int) -> float:
        return 1.0 + (self.to - 1.0) * min(step / _steps(self, self.steps), 1.0)


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from 1 at the first step to 0 after the last, for the learning rate.

        value(t) = (1 + cos(π t / T)) / 2,   T = number of steps of the training

    Args:
        steps: T; left out, it is the length of the training.
    Example:
        >>> round(CosineDecay(steps=10)(5), 12)
        0.5
    """

    steps: int | None = None

    def __post_init__(self) -> None:
        _at_least_one("CosineDecay", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> CosineDecay:
        """The same decay over the training's steps."""
        return CosineDecay(total_steps) if self.steps is None else self

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * min(step / _steps(self, self.steps), 1.0))) / 2


@dataclass(frozen=True)
class StepDecay:
    """Multiplied by a factor at each of several moments, for the learning rate.

        value(t) = factor^(number of moments <= t)

    Args:
        factor: > 0.
        epochs, steps: the moments, rising; exactly one of the two.
    Raises:
        BadSpec: both or neither given, moments that do not rise from above 0, or a factor that is not positive.
    Source:
        CH appendix A: ÷ 10 at epochs 200, 300, 400 of 450 (CIFAR), at 30, 60, 80 of 90 (ImageNet).
    Example:
        >>> decay = StepDecay(steps=(2, 4))
        >>> [round(decay(t), 4) for t in range(5)]
        [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    factor: float = 0.1
    epochs: tuple[float, ...] | None = None
    steps: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = [moments for moments in (self.epochs, self.steps) if moments is not None]
        if len(given) != 1 or not given[0] or any(b <= a for a, b in zip((0, *given[0]), given[0], strict=False)):
            raise BadSpec(f"StepDecay: got epochs={self.epochs}, steps={self.steps}; expected one of them, rising from above 0")
        if not self.factor > 0:
            raise BadSpec(f"StepDecay.factor: got {self.factor}, expected a number greater than 0")

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> StepDecay:
        """The same decay in steps."""
        if self.epochs is None:
            return self
        return replace(self, epochs=None, steps=tuple(max(round(epoch * steps_per_epoch), 1) for epoch in self.epochs))

    def __call__(self, step: int) -> float:
        if self.steps is None:
            raise _unresolved(self)
        return float(self.factor ** sum(moment <= step for moment in self.steps))


@dataclass(frozen=True)
class CyclicCosine:
    """Several cosine decays one after the other, each from 1 to nearly 0, for snapshot ensembles.

        value(t) = (1 + cos(π (t mod C) / C)) / 2,   C = ceil(T / cycles)

    Args:
        cycles: how many, >= 1; the last may be shorter where they do not divide the training.
        steps: T; left out, it is the length of the training.
    Raises:
        BadSpec: no cycle.
    Source:
        Huang et al. 2017 (snapshot ensembles).
    Example:
        >>> [round(CyclicCosine(2, steps=4)(t), 12) for t in range(4)]
        [1.0, 0.5, 1.0, 0.5]
    """

    cycles: int = 5
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.cycles < 1:
            raise BadSpec(f"CyclicCosine.cycles: got {self.cycles}, expected at least 1")
        _at_least_one("CyclicCosine", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> CyclicCosine:
        """The same cycles over the training's steps."""
        return replace(self, steps=total_steps) if self.steps is None else self

    @property
    def cycle_steps(self) -> int:
        """C, the steps of a cycle; the last step of each is where a snapshot is taken."""
        return math.ceil(_steps(self, self.steps) / self.cycles)

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * (step % self.cycle_steps) / self.cycle_steps)) / 2


@dataclass(frozen=True)
class WarmUp:
    """A straight line from 1/T at the first step to 1, times another schedule, for the learning rate.

        value(t) = min((t + 1) / T, 1) · then(t)

    Args:
        then: what it multiplies; its own moments count from the first step of the training, not from the end of the warm-up.
        epochs, steps: T, the length of the warm-up; exactly one of them.
    Raises:
        BadSpec: both or neither length given, or one that is not positive.
    Source:
        CH appendix A: 15 epochs (CIFAR), 5 epochs (ImageNet). Ours: from 1/T, so that no step is wasted at rate 0.
    Example:
        >>> [WarmUp(steps=4)(t) for t in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    then: Weight = 1.0
    epochs: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        _one_length("WarmUp", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> WarmUp:
        """The same warm-up in steps."""
        steps = self.steps if self.epochs is None else max(round(self.epochs * steps_per_epoch), 1)
        return WarmUp(resolve(self.then, steps_per_epoch, total_steps), steps=steps)

    def __call__(self, step: int) -> float:
        return min((step + 1) / _steps(self, self.steps), 1.0) * at_step(self.then, step)


ALL: tuple[type, ...] = (Ramp, Jump, Complement, LinearDecay, CosineDecay, StepDecay, CyclicCosine, WarmUp)
"""Every schedule."""


def at_step(weight: Weight, step: int) -> float:
    """The value of a weight, constant or scheduled, at a step."""
    return weight(step) if callable(weight) else float(weight)


def resolve(weight: Weight, steps_per_epoch: int, total_steps: int | None = None) -> Weight:
    """The same weight with epochs turned into steps."""
    return weight.resolve(steps_per_epoch, total_steps) if isinstance(weight, Schedule) else weight


def _one_length(name: str, *, epochs: float | None, steps: int | None) -> None:
    given = [length for length in (epochs, steps) if length is not None]
    if len(given) != 1 or not given[0] > 0:
        raise BadSpec(f"{name}: got epochs={epochs}, steps={steps}; expected exactly one of them, greater than 0")


def _at_least_one(name: str, steps: int | None) -> None:
    if steps is not None and steps < 1:
        raise BadSpec(f"{name}.steps: got {steps}, expected at least 1")


def _steps(schedule: object, steps: int | None) -> int:
    if steps is None:
        raise _unresolved(schedule)
    return steps


def _unresolved(schedule: object) -> BadSpec:
    return BadSpec(f"{schedule!r} is given in epochs; call resolve(steps_per_epoch) before asking for a step")
