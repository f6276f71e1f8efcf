"""Losses with weights of their own inside, which may follow a schedule as the weight of a term may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

from traintwice.errors import BadSpec
from traintwice.schedules import Jump, Ramp, Schedule, Weight, at_step, resolve


class Mixed:
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
