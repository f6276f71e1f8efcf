"""Intervals, paired comparisons and the one-call measurement of any predictions."""

from traintwice.compare.gate_types import Budget, Check, GateFile, GateResult
from traintwice.compare.intervals import example_variance, interval, replica_variance
from traintwice.compare.measure import Measures, measure
from traintwice.compare.paired import Difference, compare_with_baseline, holm, paired, replicas_to_settle
from traintwice.compare.plan_types import Components, Plan, PlanRow
from traintwice.compare.recipe_types import RecipeComparison, RecipeMeasure
from traintwice.compare.results import (
    Band,
    Decisions,
    Diff,
    Flow,
    FlowCell,
    Measured,
    MovedRow,
    NoiseFloor,
    Quality,
    Review,
    Slice,
    SwapSet,
    TemperatureMatched,
)
from traintwice.compare.temperature import at_temperature, fit_temperature

__all__ = [
    "Band",
    "Budget",
    "Check",
    "Components",
    "Decisions",
    "Diff",
    "Difference",
    "Flow",
    "FlowCell",
    "GateFile",
    "GateResult",
    "Measured",
    "Measures",
    "MovedRow",
    "NoiseFloor",
    "Plan",
    "PlanRow",
    "Quality",
    "RecipeComparison",
    "RecipeMeasure",
    "Review",
    "Slice",
    "SwapSet",
    "TemperatureMatched",
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
