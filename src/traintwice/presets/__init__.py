"""Ready experiments, one function each; `traintwice run NAME` runs one."""

from __future__ import annotations

from collections.abc import Callable

from traintwice.presets.ablation_digits import ablation_digits
from traintwice.presets.digits import digits
from traintwice.presets.flights import flights
from traintwice.presets.methods_digits import methods_digits
from traintwice.study import Experiment

PRESETS: dict[str, Callable[[], Experiment]] = {
    "digits": digits,
    "flights": flights,
    "methods-digits": methods_digits,
    "ablation-digits": ablation_digits,
}
"""Name on the command line to function."""

__all__ = ["PRESETS", "ablation_digits", "digits", "flights", "methods_digits"]
