"""Studies by name: the ready experiments of this package, and those that other installed packages add."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.presets._studies import CompositeStudy, RunOptions, StudyOfExperiments, digits, flights

if TYPE_CHECKING:
    from traintwice.study import Experiment

PRESETS: dict[str, Callable[[], Experiment]] = {"digits": digits, "flights": flights}
"""Name on the command line to function."""

__all__ = ["PRESETS", "CompositeStudy", "RunOptions", "StudyOfExperiments", "digits", "flights"]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
