"""Predictions of several replicas on the same examples: from arrays, or from files matched row by row."""

from traintwice.predictions.aligned import AlignedPredictions, Summary
from traintwice.predictions.fetching import Block
from traintwice.predictions.layout import Layout
from traintwice.predictions.opening import open_predictions
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.writing import write_predictions

__all__ = ["AlignedPredictions", "Block", "Layout", "Predictions", "Summary", "open_predictions", "write_predictions"]
