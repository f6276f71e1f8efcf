"""Results for people: sentences, tables, charts and one HTML page."""

from traintwice.report.words import sentences

__all__ = ["sentences"]
