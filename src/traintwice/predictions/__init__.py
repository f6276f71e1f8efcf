"""Predictions of several replicas on the same examples: from arrays, or from files matched row by row."""

from traintwice.predictions.aligned import AlignedPredictions
from traintwice.predictions.draws import DrawBlock
from traintwice.predictions.in_memory import from_arrays
from traintwice.predictions.layout import Layout, Summary
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.reading import Reading, reading_of
from traintwice.predictions.rows import Rows, is_array, items_of, open_predictions, open_rows, replicas_of
from traintwice.predictions.writing import write_predictions

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
