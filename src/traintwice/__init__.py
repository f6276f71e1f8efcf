"""Train twice, predict the same: measure how much retrained models disagree, and train models that disagree less.

Importing this package loads neither torch nor DuckDB; names that need them load them when they are first used. `traintwice.metrics` has
the single measures, `traintwice.losses` and `traintwice.methods` what to minimise, `traintwice.report` the report.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from traintwice.compare import Budget, Diff, GateResult, Measures, compare_recipes, diff, gate, measure, plan, write_rows
from traintwice.errors import TraintwiceError, require
from traintwice.predictions import Predictions
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice.recipes import Recipe
    from traintwice.study import Experiment, Results, Store, run

_NEEDS_TORCH = {
    "Experiment": "traintwice.study",
    "Recipe": "traintwice.recipes",
    "Results": "traintwice.study",
    "Store": "traintwice.study",
    "run": "traintwice.study",
}

__all__ = [
    "Budget",
    "Diff",
    "Estimate",
    "Experiment",
    "GateResult",
    "Measures",
    "Predictions",
    "Recipe",
    "Results",
    "Store",
    "TraintwiceError",
    "compare_recipes",
    "diff",
    "gate",
    "measure",
    "plan",
    "run",
    "write_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module 'traintwice' has no attribute {name!r}")
    require("torch", extra="torch", purpose=f"traintwice.{name}")
    return getattr(import_module(_NEEDS_TORCH[name]), name)
