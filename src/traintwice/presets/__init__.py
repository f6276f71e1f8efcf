"""Ready experiments, one function each; `traintwice run NAME` runs one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from traintwice.presets.ablation import ablation_digits, ablation_fashion
from traintwice.presets.claims import RIVAL_STAGES, STAGES, claims_ad, claims_churn, rivals
from traintwice.presets.digits import digits
from traintwice.presets.flights import flights, rivals_flights
from traintwice.presets.methods_digits import methods_digits
from traintwice.study import Experiment

PRESETS: dict[str, Callable[[], Experiment]] = {
    "digits": digits,
    "flights": flights,
    "methods-digits": methods_digits,
    "ablation-digits": ablation_digits,
    "ablation-fashion": ablation_fashion,
    **{f"claims.ad-{stage}": partial(claims_ad, stage) for stage in STAGES},
    **{f"claims.churn-{stage}": partial(claims_churn, stage) for stage in STAGES},
    **{f"rivals-{stage}": partial(rivals, stage) for stage in RIVAL_STAGES},
    "rivals-flights": rivals_flights,
}
"""Name on the command line to function."""

__all__ = ["PRESETS", "ablation_digits", "ablation_fashion", "digits", "flights", "methods_digits", "rivals_flights"]
