"""Comparisons of models and of recipes, plans, and the one-call measurement of any predictions."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.compare._changed_rows import instability
from traintwice.compare._diff import diff
from traintwice.compare._estimates import (
    Difference,
    Gap,
    compare_with_baseline,
    example_variance,
    interval,
    paired,
    replica_variance,
)
from traintwice.compare._ledger import History, Launch, history
from traintwice.compare._measure import Measures, Multiplicity, measure
from traintwice.compare._parts import (
    Answer,
    Band,
    ChangedRow,
    Decisions,
    Flow,
    FlowCell,
    Joint,
    Movement,
    NoiseFloor,
    Review,
    Slice,
    SliceTest,
    SwapSet,
)
from traintwice.compare._plan import Plan, PlanRow, VarianceParts, plan
from traintwice.compare._quantised import TokenDiff, TokenMeasure, diff_tokens, summarise_tokens
from traintwice.compare._recipes import (
    Against,
    RecipeAgainst,
    RecipeComparison,
    RecipeMeasure,
    compare_recipes,
    compare_with_served,
)
from traintwice.compare._results import Calibration, Diff, Measured, Quality, TemperatureMatched
from traintwice.compare._serving import (
    PredictionUpdate,
    SelectiveAgreement,
    SelectiveEnsemble,
    selective_agreement,
    selective_ensemble,
    update_predictions,
)
from traintwice.compare._soft_measures import at_temperature, fit_temperature
from traintwice.statistics._inference import benjamini_hochberg, holm

__all__ = [
    "Against",
    "Answer",
    "Band",
    "Calibration",
    "ChangedRow",
    "Decisions",
    "Diff",
    "Difference",
    "Flow",
    "FlowCell",
    "Gap",
    "History",
    "Joint",
    "Launch",
    "Measured",
    "Measures",
    "Movement",
    "Multiplicity",
    "NoiseFloor",
    "Plan",
    "PlanRow",
    "PredictionUpdate",
    "Quality",
    "RecipeAgainst",
    "RecipeComparison",
    "RecipeMeasure",
    "Review",
    "SelectiveAgreement",
    "SelectiveEnsemble",
    "Slice",
    "SliceTest",
    "SwapSet",
    "TemperatureMatched",
    "TokenDiff",
    "TokenMeasure",
    "VarianceParts",
    "at_temperature",
    "benjamini_hochberg",
    "compare_recipes",
    "compare_with_baseline",
    "compare_with_served",
    "diff",
    "diff_tokens",
    "example_variance",
    "fit_temperature",
    "history",
    "holm",
    "instability",
    "interval",
    "measure",
    "paired",
    "plan",
    "replica_variance",
    "selective_agreement",
    "selective_ensemble",
    "summarise_tokens",
    "update_predictions",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
