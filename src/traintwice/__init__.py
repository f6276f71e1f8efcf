"""Train twice, predict the same: measure how much retrained models disagree, and train models that disagree less.

Importing this package is fast: every name is loaded on first use. `traintwice.metrics` has the single measures, `traintwice.losses` and
`traintwice.methods` the training objectives, and `traintwice.report` the reports.
"""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.errors import TraintwiceError
from traintwice.types import Estimate

if TYPE_CHECKING:
    from traintwice import (  # noqa: F401
        bank,
        compare,
        data,
        gates,
        integrations,
        logs,
        losses,
        methods,
        metrics,
        nets,
        predictions,
        presets,
        report,
        sums,
        tables,
    )
    from traintwice._versions import __version__ as __version__
    from traintwice.compare import Diff, Measures, Plan
    from traintwice.compare._diff import diff
    from traintwice.compare._ledger import history
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
    from traintwice.served import Logged, Weights
    from traintwice.study import Chain, ChainResults, Experiment, Results, Store, Tuned, Tuning, chain, run, tune

_COMPARE = (
    "Diff",
    "Measures",
    "Plan",
    "compare_recipes",
    "diff",
    "diff_tokens",
    "history",
    "measure",
    "plan",
)
_PLACES = {
    **dict.fromkeys(_COMPARE, "traintwice.compare"),
    **dict.fromkeys(["Budget", "GateResult", "gate", "gate_file", "self_test"], "traintwice.gates"),
    **dict.fromkeys(["Predictions", "open_predictions", "write_predictions"], "traintwice.predictions"),
    **dict.fromkeys(["Replication", "Run", "check_same_seed", "replicate"], "traintwice.replication"),
    **dict.fromkeys(["Logged", "Weights"], "traintwice.served"),
}

_ROOMS: tuple[str, ...] = (
    "augmentation",
    "averaging",
    "bank",
    "compare",
    "data",
    "errors",
    "gates",
    "integrations",
    "logs",
    "metrics",
    "optimizers",
)
_ROOMS += (
    "predictions",
    "presets",
    "progress",
    "progressive",
    "randomness",
    "replication",
    "report",
    "schedules",
    "sums",
    "tables",
    "types",
)
_ROOMS_WITH_TORCH = ("components", "controls", "engine", "losses", "methods", "nets", "recipes", "specs", "study")

_NEEDS_TORCH = {
    "Chain": "traintwice.study",
    "ChainResults": "traintwice.study",
    "Execution": "traintwice.engine",
    "Experiment": "traintwice.study",
    "Recipe": "traintwice.recipes",
    "Results": "traintwice.study",
    "Store": "traintwice.study",
    "Tuned": "traintwice.study",
    "Tuning": "traintwice.study",
    "chain": "traintwice.study",
    "run": "traintwice.study",
    "tune": "traintwice.study",
}

__all__ = [
    "Budget",
    "Chain",
    "ChainResults",
    "Diff",
    "Estimate",
    "Execution",
    "Experiment",
    "GateResult",
    "Logged",
    "Measures",
    "Plan",
    "Predictions",
    "Recipe",
    "Replication",
    "Results",
    "Run",
    "Store",
    "TraintwiceError",
    "Tuned",
    "Tuning",
    "Weights",
    "chain",
    "check_same_seed",
    "compare_recipes",
    "diff",
    "diff_tokens",
    "gate",
    "gate_file",
    "history",
    "measure",
    "open_predictions",
    "plan",
    "replicate",
    "run",
    "self_test",
    "tune",
    "write_predictions",
]

if not TYPE_CHECKING:
    _PLACES |= _NEEDS_TORCH | {"__version__": "traintwice._versions"}
    _PLACES |= {room: f"traintwice.{room}" for room in (*_ROOMS, *_ROOMS_WITH_TORCH)}
    __getattr__, __dir__ = lazy(__name__, __all__, _PLACES, (*_NEEDS_TORCH, *_ROOMS_WITH_TORCH))
