"""The report of one old model against one new model; it needs Altair and no torch."""

from traintwice.report.diff.writing import diff_page, write_diff

__all__ = ["diff_page", "write_diff"]
