"""Data sets as data: `load` gives arrays, split once and for all."""

from traintwice.data.columns import Columns, TableShape
from traintwice.data.criteo import Criteo
from traintwice.data.dataset import Dataset, Scaling, Source, Split, Streamed
from traintwice.data.digits import Digits
from traintwice.data.flights import Flights

ALL: tuple[type, ...] = (Digits, Flights, Criteo)
"""Every data set; the contract tests loop over it."""

__all__ = ["ALL", "Columns", "Criteo", "Dataset", "Digits", "Flights", "Scaling", "Source", "Split", "Streamed", "TableShape"]
