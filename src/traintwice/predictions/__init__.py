"""Predictions of several replicas on the same examples: from arrays, or from files matched row by row."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.predictions._aligned import AlignedPredictions
from traintwice.predictions._array_files import write_predictions
from traintwice.predictions._in_memory import from_arrays
from traintwice.predictions._inputs import is_array, items_of, replicas_of
from traintwice.predictions._layout import Layout, Summary
from traintwice.predictions._opening import Rows, open_predictions, open_rows
from traintwice.predictions._predictions import DrawBlock, Predictions
from traintwice.predictions._reading import Reading, reading_of

__all__ = [
    "AlignedPredictions",
    "DrawBlock",
    "Layout",
    "Predictions",
    "Reading",
    "Rows",
    "Summary",
    "from_arrays",
    "is_array",
    "items_of",
    "open_predictions",
    "open_rows",
    "reading_of",
    "replicas_of",
    "write_predictions",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
