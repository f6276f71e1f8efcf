"""What a loss is, losses whose own weights follow a schedule, a loss of some of the components, and a loss of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from torch import Tensor

from traintwice._typed import typed
from traintwice._user_code import UserFunction
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Jump, Ramp, Schedule, Weight, at_step, resolve

Need: TypeAlias = Literal["peers", "teacher", "gate", "signals"]
"""Fields of `Outputs` other than logits and labels that a loss reads, and that a trainer has to supply."""

Memory: TypeAlias = dict[str, Tensor]
"""State of a loss between steps: named tensors with leading axes ``*M`` and no gradient."""


class Loss(Protocol):
    """A frozen dataclass called on `Outputs`; returns one number per replica, shape ``*M``. Replicas never mix.

    Optional attributes and methods:

    - ``needs``: frozenset of `Need`, what a trainer has to supply;
    - ``per_batch = True``: the loss of a batch differs from the mean of the losses of its parts, so gradient accumulation minimises
      another loss;
    - ``couples = True``: the loss is 0 for one component; for several it reads the examples that all components see;
    - ``reads_shared = True``: the loss reads the examples that all components see, and does not couple components;
    - ``resolve(steps_per_epoch, total_steps)``, ``at(step)``: the loss with its schedules in steps, and the loss at a step
      (`ScheduledLoss`);
    - ``cautions(components, classes)``: warnings for the user, one sentence each.
    """

    def __call__(self, out: Outputs) -> Tensor:
        """The loss, ``*M``."""


@runtime_checkable
class LossWithMemory(Protocol):
    """A loss with a memory between steps. The caller keeps the memory, stacks it over replicas and saves it."""

    def init(self, shape: tuple[int, ...]) -> Memory:
        """The memory before the first step, for a signal of shape ``*M J B D``."""

    def signal_of(self, out: Outputs) -> Tensor:
        """The signal that the loss reads, ``*M J B D``."""

    def __call__(self, out: Outputs, memory: Memory) -> tuple[Tensor, Memory]:
        """The loss, ``*M``, and the memory for the next step."""


class ScheduledLoss:
    """Base of losses whose own weights are numbers or schedules.

    A method calls the loss at a step, `at`. A loss that is called alone needs numbers.
    """

    weights: ClassVar[tuple[str, ...]]
    """Names of the settings that may be schedules."""

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Self:
        """The same loss with its schedules in steps."""
        return self._with({name: resolve(getattr(self, name), steps_per_epoch, total_steps) for name in self.weights})

    def at(self, step: int) -> Self:
        """The loss at an optimiser step: every weight a number.

        Raises:
            BadSpec: a schedule is still in epochs, or its value is outside the range of the setting.
        """
        return self._with({name: at_step(getattr(self, name), step) for name in self.weights})

    def _with(self, weights: dict[str, Weight]) -> Self:
        plain: Any = self  # a dataclass
        changed: Self = replace(plain, **weights)
        return changed

    def number(self, name: str) -> float:
        """The value of a weight.

        Raises:
            BadSpec: the weight is a schedule.
        """
        weight: Weight = getattr(self, name)
        if isinstance(weight, Schedule):
            raise BadSpec(
                f"{type(self).__name__}.{name}: got {weight!r}, and a loss alone has no step; call it in a method, or as "
                "loss.at(step)"
            )
        return weight


def ends(weight: Weight) -> tuple[float, ...]:
    """Values of a weight to check before training: a number, or the ends of a ramp or jump; empty for other schedules."""
    if isinstance(weight, Ramp | Jump):
        return (0.0, weight.to)
    return () if isinstance(weight, Schedule) else (weight,)


def resolved(loss: Any, steps_per_epoch: int, total_steps: int | None = None) -> Any:
    """Any loss with its schedules in steps."""
    return loss.resolve(steps_per_epoch, total_steps) if hasattr(loss, "resolve") else loss


def at(loss: Any, step: int) -> Any:
    """Any loss at a step."""
    return loss.at(step) if hasattr(loss, "at") else loss


@dataclass(frozen=True)
@typed
class Only:
    r"""A loss of some of the components, so that components may have different losses.

        L = loss(outputs of these components)

    Args:
        loss: any loss without memory.
        components: their numbers, counted from 0, at least one.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: those of the loss.
    Source: AD section 2 ("the training label loss can be the same or different for each of the ensemble components").

    Example:
        >>> import torch
        >>> from traintwice.losses import CrossEntropy
        >>> out = Outputs(torch.zeros(2, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> round(Only(CrossEntropy(), (0,))(out).item(), 4)  # log 3, of one component
        1.0986
    """

    loss: Loss
    components: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.components or min(self.components) < 0 or len(set(self.components)) < len(self.components):
            raise BadSpec(f"Only.components: got {self.components}, expected at least one number from 0, none twice")
        if hasattr(self.loss, "init"):
            raise BadSpec(f"Only.loss: got {self.loss!r}, which has a memory; expected a loss without one")

    @property
    def needs(self) -> frozenset[Need]:
        return getattr(self.loss, "needs", frozenset())

    @property
    def per_batch(self) -> bool:
        return getattr(self.loss, "per_batch", False)

    @property
    def couples(self) -> bool:
        return getattr(self.loss, "couples", False)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> Only:
        """The same with the schedules of the inner loss in steps."""
        return replace(self, loss=resolved(self.loss, steps_per_epoch, total_steps))

    def at(self, step: int) -> Only:
        """The same with the inner loss at a step."""
        return replace(self, loss=at(self.loss, step))

    def __call__(self, out: Outputs) -> Tensor:
        return self.loss(out.select(self.components))

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        inner = getattr(self.loss, "cautions", None)
        return inner(len(self.components), classes) if inner is not None else ()


@dataclass(frozen=True)
@typed
class ImportedLoss(UserFunction):
    r"""A loss that your function computes: ``loss(out, **settings)``.

        L = loss(outputs), one number per replica

    Args:
        maker: "package.module:function". Worker processes must be able to import it: from an installed package, or a folder on PYTHONPATH.
        settings: keyword arguments of the function, of types that TOML has.
        reads: what it reads in addition to logits and labels: "teacher", "gate".
        couples: whether it reads several components together; it then gets the examples that all of them see.

    Shapes: logits ``*M J B K`` -> ``*M``: the function keeps the leading axes, with which several replicas train at once, and takes means
    over the batch by ``out.mean``. Units: those of the function.
    Raises:
        BadSpec: ``maker`` of another form, settings of other types, or a function that cannot be imported. BadInput: the function returns
            another shape.
    Source:
        Ours. The code of the function is recorded with each replica, as that of `traintwice.nets.Factory`.

    Example:
        >>> import torch
        >>> loss = ImportedLoss("traintwice.losses:Outputs.mean", {"dim": -2})  # any function of Outputs
        >>> loss.settings
        {'dim': -2}
    """

    maker: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[Literal["teacher", "gate"], ...] = ()
    couples: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not set(self.reads) <= {"teacher", "gate"}:
            raise BadSpec(f"ImportedLoss.reads: got {list(self.reads)}, expected some of 'teacher' and 'gate'")

    __hash__ = UserFunction.__hash__

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset(self.reads)

    def __call__(self, out: Outputs) -> Tensor:
        for name in self.reads:
            if getattr(out, name) is None:
                raise BadInput(f"Outputs.{name}: got none, and {self.maker} reads it")
        found = self.function(out.coupled if self.couples else out)
        leading = tuple(out.logits.shape[:-3])
        shape = tuple(found.shape) if isinstance(found, Tensor) else None
        if shape != leading:
            raise BadInput(
                f"{self.maker}: returned {type(found).__name__ if shape is None else f'shape {shape}'}, expected a tensor of shape "
                f"{leading}: one number per replica, for logits {tuple(out.logits.shape)}"
            )
        return found  # type: ignore[no-any-return]
