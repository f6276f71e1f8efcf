"""Intervals, paired comparisons and the one-call measurement of any predictions."""

from traintwice.compare.intervals import example_variance, interval, replica_variance
from traintwice.compare.measure import Measures, measure
from traintwice.compare.paired import Difference, compare_with_baseline, holm, paired, replicas_to_settle
from traintwice.compare.temperature import at_temperature, fit_temperature

__all__ = [
    "Difference",
    "Measures",
    "at_temperature",
    "compare_with_baseline",
    "example_variance",
    "fit_temperature",
    "holm",
    "interval",
    "measure",
    "paired",
    "replica_variance",
    "replicas_to_settle",
]
