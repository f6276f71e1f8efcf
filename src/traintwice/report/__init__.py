"""Results for people: sentences, tables, charts and one HTML page."""

from traintwice.report.words import sentences
from traintwice.report.write import plain, write

__all__ = ["plain", "sentences", "write"]
