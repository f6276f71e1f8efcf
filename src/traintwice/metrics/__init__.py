"""Measures of quality and of disagreement, each a function of predictions; see `Metric` for what they share."""

from traintwice.metrics.churn import churn, churn_correct, churn_incorrect, churn_to_error
from traintwice.metrics.definition import Definition, Measurement
from traintwice.metrics.functions import Metric, mean_metric, ratio_metric, whole_metric
from traintwice.metrics.means import MeanOf, RatioOf
from traintwice.metrics.pairwise import pairwise_l1
from traintwice.metrics.prediction_difference import delta_1, delta_2, delta_label, prediction_difference
from traintwice.metrics.quality import accuracy, error, log_loss
from traintwice.metrics.streaming import Accumulator, Summary
from traintwice.metrics.surrogate_churn import surrogate_churn

ALL: tuple[Metric, ...] = (
    accuracy,
    error,
    log_loss,
    churn,
    churn_to_error,
    churn_correct,
    churn_incorrect,
    surrogate_churn,
    pairwise_l1,
    delta_1,
    delta_2,
    delta_label,
    prediction_difference,
)
"""Every metric, in the order in which tables show them; the contract tests loop over it."""

__all__ = [
    "ALL",
    "Accumulator",
    "Definition",
    "MeanOf",
    "Measurement",
    "Metric",
    "RatioOf",
    "Summary",
    "accuracy",
    "churn",
    "churn_correct",
    "churn_incorrect",
    "churn_to_error",
    "delta_1",
    "delta_2",
    "delta_label",
    "error",
    "log_loss",
    "mean_metric",
    "pairwise_l1",
    "prediction_difference",
    "ratio_metric",
    "surrogate_churn",
    "whole_metric",
]
