"""Numbers that change with the step: weights of loss terms, and multipliers of the learning rate that an optimiser's settings give.

A schedule in epochs is resolved to steps before its first call; `Recipe` does so before training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

from traintwice._names import lazy
from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = [
    "ALL",
    "Complement",
    "CosineDecay",
    "CyclicCosine",
    "Jump",
    "LinearDecay",
    "Ramp",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "Weight",
    "at_step",
    "resolve",
]

T = TypeVar("T")


@runtime_checkable
class Schedule(Protocol):
    """A function of the optimiser step, counted from 0."""

    def __call__(self, step: int) -> float:
        """The value at a step."""

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Schedule:
        """The same schedule in steps."""


Weight: TypeAlias = float | Schedule
"""A constant or a schedule."""


@typed
def at_step(weight: Weight, step: int) -> float:
    """The value of a weight, constant or scheduled, at a step."""
    return weight(step) if callable(weight) else float(weight)


@typed
def resolve(weight: Weight, steps_per_epoch: int, total_steps: int | None = None) -> Weight:
    """The same weight in steps."""
    return weight.resolve(steps_per_epoch, total_steps) if isinstance(weight, Schedule) else weight


class _OfLength:
    """A schedule with a length T in epochs or in steps."""

    epochs: float | None
    steps: int | None

    def __post_init__(self) -> None:
        lengths = [length for length in (self.epochs, self.steps) if length is not None]
        if len(lengths) != 1 or not lengths[0] > 0:
            raise BadSpec(
                f"{type(self).__name__}: got epochs={self.epochs}, steps={self.steps}; expected exactly one of the two, greater than 0"
            )

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Self:
        """The same schedule in steps."""
        return self if self.epochs is None else _changed(self, epochs=None, steps=max(round(self.epochs * steps_per_epoch), 1))


class _OverTraining:
    """A schedule over the T steps of a training."""

    steps: int | None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise BadSpec(f"{type(self).__name__}.steps: got {self.steps}, expected at least 1")

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Self:
        """The same schedule over the training's steps."""
        return _changed(self, steps=total_steps) if self.steps is None else self


def _changed(schedule: T, **settings: Any) -> T:
    plain: Any = schedule  # a dataclass
    changed: T = replace(plain, **settings)
    return changed


def _steps_of(schedule: object, steps: T | None) -> T:
    """The length, or the moments, of a schedule in steps."""
    if steps is None:
        raise BadSpec(f"{schedule!r} is in epochs; call resolve(steps_per_epoch) before the first step")
    return steps


@dataclass(frozen=True)
@typed
class Ramp(_OfLength):
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

    def __call__(self, step: int) -> float:
        return self.to * min(step / _steps_of(self, self.steps), 1.0)


@dataclass(frozen=True)
@typed
class Jump(_OfLength):
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

    def __call__(self, step: int) -> float:
        return self.to if step >= _steps_of(self, self.steps) else 0.0


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


@dataclass(frozen=True)
@typed
class LinearDecay(_OverTraining):
    """Linear decay from 1 at the first step to ``to`` one step after the last.

        value(t) = 1 + (to − 1) · t / T,   T = number of steps of the training

    Args:
        to: value one step after the last, in [0, 1].
        steps: T; None is the length of the training.
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
        super().__post_init__()

    def __call__(self, step: int) -> float:
        return 1.0 + (self.to - 1.0) * min(step / _steps_of(self, self.steps), 1.0)


@dataclass(frozen=True)
@typed
class CosineDecay(_OverTraining):
    """Half a cosine from 1 at the first step to 0 one step after the last.

        value(t) = (1 + cos(π t / T)) / 2,   T = number of steps of the training

    Args:
        steps: T; None is the length of the training.
    Example:
        >>> round(CosineDecay(steps=10)(5), 12)
        0.5
    """

    steps: int | None = None

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * min(step / _steps_of(self, self.steps), 1.0))) / 2


@dataclass(frozen=True)
@typed
class StepDecay:
    """A multiplication by a factor at each of several steps.

        value(t) = factor^(number of decays at steps <= t)

    Args:
        factor: > 0.
        epochs, steps: when to decay, ascending; exactly one of the two.
    Raises:
        BadSpec: both or none, numbers that do not ascend from above 0, or a factor that is not positive.
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
            raise BadSpec(
                f"StepDecay: got epochs={self.epochs}, steps={self.steps}; expected one of the two, ascending from above 0"
            )
        if not self.factor > 0:
            raise BadSpec(f"StepDecay.factor: got {self.factor}, expected a number greater than 0")

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> StepDecay:
        """The same decay in steps."""
        if self.epochs is None:
            return self
        return replace(self, epochs=None, steps=tuple(max(round(epoch * steps_per_epoch), 1) for epoch in self.epochs))

    def __call__(self, step: int) -> float:
        return float(self.factor ** sum(moment <= step for moment in _steps_of(self, self.steps)))


@dataclass(frozen=True)
@typed
class CyclicCosine(_OverTraining):
    """Several cosine decays in a row, each from 1 to nearly 0, for snapshot ensembles.

        value(t) = (1 + cos(π (t mod C) / C)) / 2,   C = ceil(T / cycles)

    Args:
        cycles: number of decays, >= 1; the last may be shorter than the others.
        steps: T; None is the length of the training.
    Raises:
        BadSpec: fewer than one cycle.
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
        super().__post_init__()

    @property
    def cycle_steps(self) -> int:
        """C, the steps of a cycle; a snapshot is taken at the last step of each cycle."""
        return math.ceil(_steps_of(self, self.steps) / self.cycles)

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * (step % self.cycle_steps) / self.cycle_steps)) / 2


@dataclass(frozen=True)
@typed
class WarmUp(_OfLength):
    """Linear warm-up from 1/T at the first step to 1, times another schedule.

        value(t) = min((t + 1) / T, 1) · then(t)

    Args:
        then: the other schedule; its steps count from the first step of the training, not from the end of the warm-up.
        epochs, steps: T, the length of the warm-up; exactly one of the two.
    Raises:
        BadSpec: both lengths or none, or a length that is not positive.
    Source:
        CH appendix A: 15 epochs (CIFAR), 5 epochs (ImageNet). Ours: from 1/T, so that no step has rate 0.
    Example:
        >>> [WarmUp(steps=4)(t) for t in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    then: Weight = 1.0
    epochs: float | None = None
    steps: int | None = None

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Self:
        """The same schedule in steps."""
        then = resolve(self.then, steps_per_epoch, total_steps)
        return _changed(super().resolve(steps_per_epoch, total_steps), then=then)

    def __call__(self, step: int) -> float:
        return min((step + 1) / _steps_of(self, self.steps), 1.0) * at_step(self.then, step)


ALL: tuple[type, ...] = (Ramp, Jump, Complement, LinearDecay, CosineDecay, StepDecay, CyclicCosine, WarmUp)
"""Every schedule; the contract tests loop over it."""


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
