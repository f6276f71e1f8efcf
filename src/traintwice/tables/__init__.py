"""Tables of estimates, sheets of numbers in words, and their forms: terminal, Markdown, CSV, JSON, HTML, JUnit."""

from traintwice.tables.beside import BesideTable, Pair
from traintwice.tables.diff import diff_sheet
from traintwice.tables.gate import gate_sheet, junit
from traintwice.tables.measures import measures_sheet
from traintwice.tables.plan import plan_sheet
from traintwice.tables.recipes import recipes_sheet
from traintwice.tables.sheet import Line, Sheet
from traintwice.tables.table import Column, Row, Table

__all__ = [
    "BesideTable",
    "Column",
    "Line",
    "Pair",
    "Row",
    "Sheet",
    "Table",
    "diff_sheet",
    "gate_sheet",
    "junit",
    "measures_sheet",
    "plan_sheet",
    "recipes_sheet",
]
