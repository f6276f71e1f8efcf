"""The tables and figures of both papers by name."""

from traintwice_reproduction.tables.ad_tables import TABLES as AD_TABLES
from traintwice_reproduction.tables.artefact import SCALES, Artefact, Part, PartResults, Scale, scale_of
from traintwice_reproduction.tables.churn_figures import FIGURES as CHURN_FIGURES
from traintwice_reproduction.tables.churn_tables import TABLES as CHURN_TABLES
from traintwice_reproduction.tables.reproducing import Reproduced, reproduce

ARTEFACTS: dict[str, Artefact] = {artefact.name: artefact for artefact in (*AD_TABLES, *CHURN_TABLES, *CHURN_FIGURES)}
"""Name on the command line to table or figure."""

__all__ = ["ARTEFACTS", "SCALES", "Artefact", "Part", "PartResults", "Reproduced", "Scale", "reproduce", "scale_of"]
