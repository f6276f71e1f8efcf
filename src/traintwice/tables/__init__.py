"""Tables of estimates and sheets of lines, tables and notes, and their forms: terminal, Markdown, CSV, JSON, HTML."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.compare._shown import columns_of
from traintwice.tables._sheet import Column, Line, Row, Sheet, Table, sheet_of

__all__ = ["Column", "Line", "Row", "Sheet", "Table", "columns_of", "sheet_of"]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
