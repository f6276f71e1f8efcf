"""Numbers that change with the step: weights of loss terms, and multipliers of the learning rate."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.schedules._learning_rates import CosineDecay, CyclicCosine, LinearDecay, StepDecay, WarmUp
from traintwice.schedules._weights import Complement, Jump, Ramp, Schedule, Weight, at_step, resolve

ALL: tuple[type, ...] = (Ramp, Jump, Complement, LinearDecay, CosineDecay, StepDecay, CyclicCosine, WarmUp)
"""Every schedule; the contract tests loop over it."""

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


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
