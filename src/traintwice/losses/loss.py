"""What a loss is, and losses whose own weights follow a schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs
from traintwice.schedules import Jump, Ramp, Schedule, Weight, at_step, resolve

Need: TypeAlias = Literal["peers", "teacher", "gate", "signals"]
"""What a loss reads of `Outputs` beside logits and labels, and a trainer therefore has to supply."""

Memory: TypeAlias = dict[str, Tensor]
"""State of a loss between steps: named tensors, leading axes ``*M``, no gradient."""


class Loss(Protocol):
    """A frozen dataclass called on `Outputs`; returns one number per replica, shape ``*M``. Replicas never mix.

    A loss may also have, and most have none of these:

    - ``needs``: frozenset of `Need`, what a trainer has to supply;
    - ``per_batch = True``: its value on a batch is not the mean of its values on parts of the batch, so that gradient accumulation
      minimises something else;
    - ``couples = True``: with one component there is nothing to do, and with several it reads the examples that all of them see;
    - ``reads_shared = True``: it does not couple, and reads the examples that all components see;
    - ``resolve(steps_per_epoch, total_steps)`` and ``at(step)``: the same loss with its own schedules in steps, and as it is at a step, for
      weights inside it (`traintwice.losses.loss`);
    - ``cautions(components, classes)``: sentences about what it does that its user may not expect.
    """

    def __call__(self, out: Outputs) -> Tensor:
        """The loss, ``*M``."""


@runtime_checkable
class LossWithMemory(Protocol):
    """A loss that carries something from step to step. The caller keeps it, stacks it over replicas and saves it."""

    def init(self, shape: tuple[int, ...]) -> Memory:
        """The memory before the first step, for a signal of shape ``*M J B D``."""

    def signal_of(self, out: Outputs) -> Tensor:
        """The signal it reads, ``*M J B D``."""

    def __call__(self, out: Outputs, memory: Memory) -> tuple[Tensor, Memory]:
        """The loss, ``*M``, and the memory for the next step."""


class ScheduledLoss:
    """A loss that mixes or weighs its parts by settings that are numbers or schedules.

    A method calls such a loss as it is at a step, `at`. Called alone it needs numbers.
    """

    weights: ClassVar[tuple[str, ...]]
    """Names of those settings."""

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Self:
        """The same loss with its schedules in steps."""
        return self._with({name: resolve(getattr(self, name), steps_per_epoch, total_steps) for name in self.weights})

    def at(self, step: int) -> Self:
        """The loss at an optimiser step: every weight a number.

        Raises:
            BadSpec: a schedule is still in epochs, or gives a number that the loss does not take.
        """
        return self._with({name: at_step(getattr(self, name), step) for name in self.weights})

    def _with(self, weights: dict[str, Weight]) -> Self:
        plain: Any = self  # a dataclass
        changed: Self = replace(plain, **weights)
        return changed

    def number(self, name: str) -> float:
        """A weight that is a number.

        Raises:
            BadSpec: it is a schedule.
        """
        weight: Weight = getattr(self, name)
        if isinstance(weight, Schedule):
            raise BadSpec(
                f"{type(self).__name__}.{name}: is {weight!r}, and a loss alone knows no step; call it in a method, or as "
                "loss.at(step)"
            )
        return weight


def ends(weight: Weight) -> tuple[float, ...]:
    """What can be checked of a weight before training: a number, or the ends of a ramp or jump. Others are checked at every step."""
    if isinstance(weight, Ramp | Jump):
        return (0.0, weight.to)
    return () if isinstance(weight, Schedule) else (weight,)


def resolved(loss: Any, steps_per_epoch: int, total_steps: int | None = None) -> Any:
    """Any loss with its schedules in steps."""
    return loss.resolve(steps_per_epoch, total_steps) if hasattr(loss, "resolve") else loss


def at(loss: Any, step: int) -> Any:
    """Any loss as it is at a step."""
    return loss.at(step) if hasattr(loss, "at") else loss
