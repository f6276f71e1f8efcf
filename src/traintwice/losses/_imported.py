"""A loss of the user's, named by its import path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from traintwice._typed import typed
from traintwice._user_code import UserFunction
from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs


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
        """As ``reads``."""
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
