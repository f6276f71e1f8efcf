"""Tables of estimates, and their forms: terminal, Markdown, CSV, JSON, HTML."""

from traintwice.tables.table import Column, Row, Table

__all__ = ["Column", "Row", "Table"]
