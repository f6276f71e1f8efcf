"""Which output of the components a loss between them reads."""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor

from traintwice.errors import BadInput, BadSpec
from traintwice.losses.outputs import Outputs, at_least_single
from traintwice.losses.protocol import Need

Center: TypeAlias = Literal["none", "class"]
"""Whether to take from each component's signal its mean over classes, to which softmax is blind."""

OUTPUTS = ("logits", "probabilities")
"""Signals that every network has. Any other name is that of a sub-network's output."""

GAUGE = (
    "softmax is blind to a number added to all logits of a component, so this term on logits can be met with no change of any "
    "probability; center='class' removes that freedom, which a network of a single logit does not have"
)


def check_signal(loss: str, signal: str, center: str) -> None:
    """Raise `BadSpec` where the options of a loss contradict each other."""
    if not signal:
        raise BadSpec(f"{loss}.signal: got '', expected 'logits', 'probabilities' or the name of a sub-network's output")
    if center not in ("none", "class"):
        raise BadSpec(f"{loss}.center: got {center!r}, expected one of 'none', 'class'")
    if center == "class" and signal not in OUTPUTS:
        raise BadSpec(f"{loss}.center: got 'class' for the signal {signal!r}, whose entries are not classes; leave it 'none'")


def in_words(signal: str) -> str:
    """How a sentence calls a signal.

    >>> in_words("logits"), in_words("0")
    ('the logits', "the outputs of '0'")
    """
    return f"the {signal}" if signal in OUTPUTS else f"the outputs of {signal!r}"


def needs_of(signal: str) -> frozenset[Need]:
    """What has to be supplied for a signal."""
    return frozenset() if signal in OUTPUTS else frozenset({"signals"})


def read_signal(out: Outputs, signal: str, center: str) -> Tensor:
    """A signal in at least float32, ``*M J B D``.

    Raises:
        BadInput: no such signal was given.
    """
    if signal == "logits":
        values = at_least_single(out.logits)
    elif signal == "probabilities":
        values = out.probs
    elif out.signals is not None and signal in out.signals:
        values = at_least_single(out.signals[signal])
    else:
        given = ", ".join(map(repr, out.signals or ())) or "none"
        raise BadInput(
            f"Outputs.signals: a loss reads {signal!r} and {given} was given; pass signals={{{signal!r}: tensor of *M J B D}}"
        )
    return values - values.mean(-1, keepdim=True) if center == "class" else values
