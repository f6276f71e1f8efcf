"""Tables of estimates and sheets of lines, tables and notes, and their forms: terminal, Markdown, CSV, JSON, HTML."""

from traintwice.tables._sheet import Line, Sheet, sheet_of
from traintwice.tables._table import Column, Row, Table

__all__ = ["Column", "Line", "Row", "Sheet", "Table", "sheet_of"]
