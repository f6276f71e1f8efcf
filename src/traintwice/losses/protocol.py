"""What a loss is, and what it may say about itself."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from traintwice.losses.outputs import Outputs

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
      weights inside it (`traintwice.losses.mixed`);
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
