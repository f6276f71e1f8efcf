"""Studies that this package adds to `traintwice run`: entry point `traintwice.studies`."""

from __future__ import annotations

from functools import partial

from traintwice.presets._studies import Maker
from traintwice_reproduction.studies.ablation import ablation_digits, ablation_fashion
from traintwice_reproduction.studies.ad_mnist import ad_mnist
from traintwice_reproduction.studies.claims import STAGES, claims_ad, claims_churn
from traintwice_reproduction.studies.evidence import EVIDENCE
from traintwice_reproduction.studies.methods_digits import methods_digits
from traintwice_reproduction.studies.rivals import RIVAL_STAGES, rivals, rivals_flights
from traintwice_reproduction.tables import ARTEFACTS
from traintwice_reproduction.tables.command import TableStudy

STUDIES: dict[str, Maker] = {
    "methods-digits": methods_digits,
    "ablation-digits": ablation_digits,
    "ablation-fashion": ablation_fashion,
    "ad-mnist": ad_mnist,
    **{f"claims.ad-{stage}": partial(claims_ad, stage) for stage in STAGES},
    **{f"claims.churn-{stage}": partial(claims_churn, stage) for stage in STAGES},
    **{f"rivals-{stage}": partial(rivals, stage) for stage in RIVAL_STAGES},
    "rivals-flights": rivals_flights,
    **{f"evidence.{name}": make for name, make in EVIDENCE.items()},
    **{name: TableStudy(artefact) for name, artefact in ARTEFACTS.items()},
}
"""Name on the command line to function or composite study."""

__all__ = [
    "STUDIES",
    "ablation_digits",
    "ablation_fashion",
    "ad_mnist",
    "claims_ad",
    "claims_churn",
    "methods_digits",
    "rivals",
    "rivals_flights",
]
