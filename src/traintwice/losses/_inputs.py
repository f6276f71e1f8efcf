"""What several losses read of `Outputs`: a named signal of the components, and the classes that are not masked."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses._loss import Need
from traintwice.losses._outputs import Outputs, at_least_single

Average: TypeAlias = Literal["prob", "logit"]
"""How several models are averaged: the mean of their probabilities, or the softmax of the mean of their logits."""

Center: TypeAlias = Literal["none", "class"]
"""Whether to subtract from each component's signal its mean over classes, which softmax ignores."""

OUTPUTS = ("logits", "probabilities")
"""Signals of every network. Other names are those of sub-networks."""


class SignalLoss:
    """Base of losses that push components apart by a signal: their logits, probabilities, or outputs of a sub-network."""

    signal: str
    center: Center

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.signal:
            raise BadSpec(f"{name}.signal: got '', expected 'logits', 'probabilities' or the name of a sub-network's output")
        if self.center == "class" and self.signal not in OUTPUTS:
            raise BadSpec(f"{name}.center: got 'class' for the signal {self.signal!r}, whose entries are not classes; set 'none'")

    @property
    def needs(self) -> frozenset[Need]:
        """The outputs of the named sub-network, if any."""
        return frozenset() if self.signal in OUTPUTS else frozenset({"signals"})

    def signal_of(self, out: Outputs) -> Tensor:
        """The signal that the loss reads, ``*M J B D``, in at least float32.

        Raises:
            BadInput: the signal is missing.
        """
        if self.signal == "logits":
            values = at_least_single(out.logits)
        elif self.signal == "probabilities":
            values = out.probs if out.task == "classes" else out.probs.chunk(2, dim=-1)[1]
        elif out.signals is not None and self.signal in out.signals:
            values = at_least_single(out.signals[self.signal])
        else:
            present = ", ".join(map(repr, out.signals or ())) or "none"
            raise BadInput(
                f"Outputs.signals: a loss reads {self.signal!r}, got {present}; pass signals={{{self.signal!r}: tensor of *M J B D}}"
            )
        if self.center != "class":
            return values
        centred = values - mean_over_classes(out, values).unsqueeze(-1)
        return centred if out.masked is None else centred.masked_fill(out.masked, 0.0)

    @property
    def _signal_in_words(self) -> str:
        """The signal for a message."""
        return f"the {self.signal}" if self.signal in OUTPUTS else f"the outputs of {self.signal!r}"

    def _gauge_cautions(self) -> tuple[str, ...]:
        """The warning about what softmax ignores of logits, where it applies."""
        if self.signal != "logits" or self.center != "none":
            return ()
        return (
            f"{type(self).__name__}: softmax ignores a number added to all logits of a component, so this term on logits can fall with no "
            "change of any probability; center='class' prevents this (a network of a single logit needs no centering)",
        )


def allowed_classes(out: Outputs) -> int | Tensor:
    """Number of classes that are not masked: K, or ``*M J B``."""
    return out.logits.shape[-1] if out.masked is None else (~out.masked).sum(-1)


def mean_over_classes(out: Outputs, values: Tensor) -> Tensor:
    """Mean over the classes that are not masked, whose values are 0 where they are."""
    return values.mean(-1) if out.masked is None else values.sum(-1) / allowed_classes(out)
