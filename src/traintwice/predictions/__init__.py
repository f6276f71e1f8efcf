"""Predictions of several replicas on the same examples, and what can be derived from them."""

from traintwice.predictions.predictions import Predictions

__all__ = ["Predictions"]
