"""Studies: plan the missing replicas, train them, gather the results."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.study._chain import Chain, ChainPlan, prepare_chain, train_chain
from traintwice.study._chain_results import ChainResults, chain, gather_chain
from traintwice.study._determinism import Audit, audit
from traintwice.study._experiment import Experiment
from traintwice.study._export import add_to_bank
from traintwice.study._findings import Finding, Verdict, component_table, curve_table, source_shares, verdict
from traintwice.study._plan import Plan, plan
from traintwice.study._progressive import Drift, ProgressiveFindings, progressive_findings, relative_change
from traintwice.study._replicas import Damage
from traintwice.study._results import MATCHED, MEASURES, Results, gather
from traintwice.study._rows import Caution, RowResult, cautions
from traintwice.study._runner import prepare, run, train_missing
from traintwice.study._search import Range, Search, Tuning, least_change
from traintwice.study._store import Every, Store
from traintwice.study._tune import Trial, Tuned, final, recorded, search, tune, tuned
from traintwice.study._workers import Finished

__all__ = [
    "MATCHED",
    "MEASURES",
    "Audit",
    "Caution",
    "Chain",
    "ChainPlan",
    "ChainResults",
    "Damage",
    "Drift",
    "Every",
    "Experiment",
    "Finding",
    "Finished",
    "Plan",
    "ProgressiveFindings",
    "Range",
    "Results",
    "RowResult",
    "Search",
    "Store",
    "Trial",
    "Tuned",
    "Tuning",
    "Verdict",
    "add_to_bank",
    "audit",
    "cautions",
    "chain",
    "component_table",
    "curve_table",
    "final",
    "gather",
    "gather_chain",
    "least_change",
    "plan",
    "prepare",
    "prepare_chain",
    "progressive_findings",
    "recorded",
    "relative_change",
    "run",
    "search",
    "source_shares",
    "train_chain",
    "train_missing",
    "tune",
    "tuned",
    "verdict",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
