"""A loss that reads some of the components."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._loss import Loss, Need, at, resolved
from traintwice.losses._outputs import Outputs


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
        """The needs of the inner loss."""
        return getattr(self.loss, "needs", frozenset())

    @property
    def per_batch(self) -> bool:
        """As of the inner loss."""
        return getattr(self.loss, "per_batch", False)

    @property
    def couples(self) -> bool:
        """As of the inner loss."""
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
        """Warnings of the inner loss."""
        inner = getattr(self.loss, "cautions", None)
        return inner(len(self.components), classes) if inner is not None else ()
