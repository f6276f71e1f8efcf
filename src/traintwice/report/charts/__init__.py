"""The charts of a report, one file each; they need Altair."""

from traintwice.report.charts.accuracy_churn import accuracy_churn
from traintwice.report.charts.confidence import by_confidence, churn_by_confidence
from traintwice.report.charts.matrix import churn_matrix
from traintwice.report.style import Figure

__all__ = ["Figure", "accuracy_churn", "by_confidence", "churn_by_confidence", "churn_matrix"]
