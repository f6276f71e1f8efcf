"""Studies: plan the missing replicas, train them, gather the results."""

from traintwice.study.checkpoint import Every
from traintwice.study.determinism import Audit, audit
from traintwice.study.experiment import Experiment
from traintwice.study.plan import Plan, plan
from traintwice.study.progressive import Drift, ProgressiveFindings, progressive_findings, relative_change
from traintwice.study.replica_files import Damage
from traintwice.study.results import MATCHED, MEASURES, Results, gather
from traintwice.study.rows import Caution, RowResult, cautions
from traintwice.study.runner import Finished, prepare, run, train_missing
from traintwice.study.store import Store
from traintwice.study.tables import component_table, source_shares
from traintwice.study.verdict import Finding, Verdict, verdict

__all__ = [
    "MATCHED",
    "MEASURES",
    "Audit",
    "Caution",
    "Damage",
    "Drift",
    "Every",
    "Experiment",
    "Finding",
    "Finished",
    "Plan",
    "ProgressiveFindings",
    "Results",
    "RowResult",
    "Store",
    "Verdict",
    "audit",
    "cautions",
    "component_table",
    "gather",
    "plan",
    "prepare",
    "progressive_findings",
    "relative_change",
    "run",
    "source_shares",
    "train_missing",
    "verdict",
]
