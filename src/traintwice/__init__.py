"""Train twice, predict the same: measure how much retrained models disagree, and train models that disagree less.

Importing this package is fast: every name is loaded on first use. `traintwice.metrics` has the single measures, `traintwice.losses` and
`traintwice.methods` the training objectives, and `traintwice.report` the reports.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from traintwice.errors import TraintwiceError, require
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice.compare import Diff, Measures, Plan
    from traintwice.compare._diff import diff
    from traintwice.compare._measure import measure
    from traintwice.compare._plan import plan
    from traintwice.compare._quantised import diff_tokens
    from traintwice.compare._recipes import compare_recipes
    from traintwice.engine import Execution
    from traintwice.gates import Budget, GateResult
    from traintwice.gates._gate import gate, gate_file
    from traintwice.gates._self_test import self_test
    from traintwice.predictions import Predictions, open_predictions, write_predictions
    from traintwice.recipes import Recipe
    from traintwice.replication import Replication, Run, check_same_seed, replicate
    from traintwice.study import Experiment, Results, Store, run

_COMPARE = (
    "Diff",
    "Measures",
    "Plan",
    "compare_recipes",
    "diff",
    "diff_tokens",
    "measure",
    "plan",
)
_PLACES = {
    **dict.fromkeys(_COMPARE, "traintwice.compare"),
    **dict.fromkeys(["Budget", "GateResult", "gate", "gate_file", "self_test"], "traintwice.gates"),
    **dict.fromkeys(["Predictions", "open_predictions", "write_predictions"], "traintwice.predictions"),
    **dict.fromkeys(["Replication", "Run", "check_same_seed", "replicate"], "traintwice.replication"),
}

_NEEDS_TORCH = {
    "Execution": "traintwice.engine",
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
    "Execution",
    "Experiment",
    "GateResult",
    "Measures",
    "Plan",
    "Predictions",
    "Recipe",
    "Replication",
    "Results",
    "Run",
    "Store",
    "TraintwiceError",
    "check_same_seed",
    "compare_recipes",
    "diff",
    "diff_tokens",
    "gate",
    "gate_file",
    "measure",
    "open_predictions",
    "plan",
    "replicate",
    "run",
    "self_test",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module 'traintwice' has no attribute {name!r}")
    require("torch", extra="torch", purpose=f"traintwice.{name}")
    return getattr(import_module(_NEEDS_TORCH[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
