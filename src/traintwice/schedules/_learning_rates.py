"""Schedules of the learning rate: multipliers of the rate that the optimiser's settings give."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.schedules._weights import Weight, at_step, check_length, check_steps, in_steps, resolve, unresolved


@dataclass(frozen=True)
@typed
class LinearDecay:
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
        check_steps("LinearDecay", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> LinearDecay:
        """The same decay over the training's steps."""
        return replace(self, steps=total_steps) if self.steps is None else self

    def __call__(self, step: int) -> float:
        return 1.0 + (self.to - 1.0) * min(step / in_steps(self, self.steps), 1.0)


@dataclass(frozen=True)
@typed
class CosineDecay:
    """Half a cosine from 1 at the first step to 0 one step after the last.

        value(t) = (1 + cos(π t / T)) / 2,   T = number of steps of the training

    Args:
        steps: T; None is the length of the training.
    Example:
        >>> round(CosineDecay(steps=10)(5), 12)
        0.5
    """

    steps: int | None = None

    def __post_init__(self) -> None:
        check_steps("CosineDecay", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> CosineDecay:
        """The same decay over the training's steps."""
        return CosineDecay(total_steps) if self.steps is None else self

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * min(step / in_steps(self, self.steps), 1.0))) / 2


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
        if self.steps is None:
            raise unresolved(self)
        return float(self.factor ** sum(moment <= step for moment in self.steps))


@dataclass(frozen=True)
@typed
class CyclicCosine:
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
        check_steps("CyclicCosine", self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> CyclicCosine:
        """The same cycles over the training's steps."""
        return replace(self, steps=total_steps) if self.steps is None else self

    @property
    def cycle_steps(self) -> int:
        """C, the steps of a cycle; a snapshot is taken at the last step of each cycle."""
        return math.ceil(in_steps(self, self.steps) / self.cycles)

    def __call__(self, step: int) -> float:
        return (1.0 + math.cos(math.pi * (step % self.cycle_steps) / self.cycle_steps)) / 2


@dataclass(frozen=True)
@typed
class WarmUp:
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

    def __post_init__(self) -> None:
        check_length("WarmUp", epochs=self.epochs, steps=self.steps)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> WarmUp:
        """The same warm-up in steps."""
        steps = self.steps if self.epochs is None else max(round(self.epochs * steps_per_epoch), 1)
        return WarmUp(resolve(self.then, steps_per_epoch, total_steps), steps=steps)

    def __call__(self, step: int) -> float:
        return min((step + 1) / in_steps(self, self.steps), 1.0) * at_step(self.then, step)
