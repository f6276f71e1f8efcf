"""The tables and figures of both papers, each run by one name."""

from traintwice.papers.ad_tables import TABLES as AD_TABLES
from traintwice.papers.artefact import SCALES, Artefact, Part, PartResults, Scale, scale_of
from traintwice.papers.churn_figures import FIGURES as CHURN_FIGURES
from traintwice.papers.churn_tables import TABLES as CHURN_TABLES
from traintwice.papers.reproducing import Reproduced, reproduce

ARTEFACTS: dict[str, Artefact] = {artefact.name: artefact for artefact in (*AD_TABLES, *CHURN_TABLES, *CHURN_FIGURES)}
"""Name on the command line to table or figure."""

__all__ = ["ARTEFACTS", "SCALES", "Artefact", "Part", "PartResults", "Reproduced", "Scale", "reproduce", "scale_of"]
