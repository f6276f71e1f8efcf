"""The charts of a report, one file each; they need Altair."""

from traintwice.report.charts.accuracy_churn import accuracy_churn
from traintwice.report.charts.confidence import by_confidence, churn_by_confidence
from traintwice.report.charts.crowd import accuracy_churn_of_many
from traintwice.report.charts.drift import drift
from traintwice.report.charts.forest import forest
from traintwice.report.charts.matrix import churn_matrix
from traintwice.report.style import Figure

__all__ = [
    "Figure",
    "accuracy_churn",
    "accuracy_churn_of_many",
    "by_confidence",
    "churn_by_confidence",
    "churn_matrix",
    "drift",
    "forest",
]
