"""Intervals, comparisons of models and of recipes, budgets, plans, and the one-call measurement of any predictions."""

from traintwice.compare.compare_recipes import compare_recipes
from traintwice.compare.diagnostics import unbiased_replica_variance, unbiased_variance
from traintwice.compare.diff import diff
from traintwice.compare.gate import gate, gate_file
from traintwice.compare.gate_file import read_gate
from traintwice.compare.gate_types import Budget, Check, GateFile, GateResult
from traintwice.compare.instability import instability
from traintwice.compare.intervals import example_variance, interval, replica_variance
from traintwice.compare.measure import Measures, measure
from traintwice.compare.paired import Difference, compare_with_baseline, holm, paired, replicas_to_settle
from traintwice.compare.plan import plan
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
from traintwice.compare.rows_out import write_rows
from traintwice.compare.slices import benjamini_hochberg
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
    "benjamini_hochberg",
    "compare_recipes",
    "compare_with_baseline",
    "diff",
    "example_variance",
    "fit_temperature",
    "gate",
    "gate_file",
    "holm",
    "instability",
    "interval",
    "measure",
    "paired",
    "plan",
    "read_gate",
    "replica_variance",
    "replicas_to_settle",
    "unbiased_replica_variance",
    "unbiased_variance",
    "write_rows",
]
