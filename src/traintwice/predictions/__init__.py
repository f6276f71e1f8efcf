"""Predictions of several replicas on the same examples: from arrays, or from files matched row by row."""

from traintwice.predictions.aligned import AlignedPredictions, Summary
from traintwice.predictions.layout import Layout
from traintwice.predictions.opening import open_predictions
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.reading import Reading, reading_of
from traintwice.predictions.rows import Rows, from_arrays, is_array, items_of, open_rows, replicas_of
from traintwice.predictions.writing import write_predictions

__all__ = [
    "AlignedPredictions",
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
