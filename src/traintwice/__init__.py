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
    from traintwice._installed import __version__ as __version__
    from traintwice.compare import Diff, Measures, Plan, compare_recipes, diff, diff_tokens, history, measure, plan
    from traintwice.engine import Execution
    from traintwice.gates import Budget, GateResult, gate, gate_file, self_test
    from traintwice.predictions import Predictions, open_predictions, write_predictions
    from traintwice.recipes import Recipe
    from traintwice.replication import Replication, Run, check_same_seed, replicate
    from traintwice.served import Logged, Weights
    from traintwice.study import Chain, ChainResults, Experiment, Results, Store, Tuned, Tuning, chain, run, tune

_NAMES = {
    "_installed": "__version__",
    "compare": "Diff Measures Plan compare_recipes diff diff_tokens history measure plan",
    "engine": "Execution",
    "gates": "Budget GateResult gate gate_file self_test",
    "predictions": "Predictions open_predictions write_predictions",
    "recipes": "Recipe",
    "replication": "Replication Run check_same_seed replicate",
    "served": "Logged Weights",
    "study": "Chain ChainResults Experiment Results Store Tuned Tuning chain run tune",
}
"""Module to the names that are loaded from it on first use."""

_WITHOUT_TORCH = (
    "augmentation averaging bank compare data errors gates integrations logs metrics optimizers predictions presets progress "
    "progressive randomness replication report schedules sums tables types"
)
_WITH_TORCH = "components controls engine losses methods nets recipes specs study"

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
    _PLACES = {name: f"traintwice.{module}" for module, names in _NAMES.items() for name in names.split()}
    _PLACES |= {module: f"traintwice.{module}" for module in f"{_WITHOUT_TORCH} {_WITH_TORCH}".split()}
    _TORCH_PLACES = {f"traintwice.{module}" for module in _WITH_TORCH.split()}
    __getattr__, __dir__ = lazy(__name__, __all__, _PLACES, [name for name, place in _PLACES.items() if place in _TORCH_PLACES])
