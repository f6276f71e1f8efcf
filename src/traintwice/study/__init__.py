"""Studies: train what is missing, gather, measure."""

from traintwice.study.cautions import Caution, cautions
from traintwice.study.checkpoint import Every
from traintwice.study.component_table import component_table
from traintwice.study.determinism import Audit, audit
from traintwice.study.experiment import Experiment
from traintwice.study.plan import Plan, plan
from traintwice.study.progressive_findings import Drift, StreamFindings, relative_change, stream_findings
from traintwice.study.results import MATCHED, MEASURES, Results, RowResult, gather
from traintwice.study.runner import Finished, prepare, run, train_missing
from traintwice.study.sources import source_shares
from traintwice.study.store import Damage, Store
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
    "Results",
    "RowResult",
    "Store",
    "StreamFindings",
    "Verdict",
    "audit",
    "cautions",
    "component_table",
    "gather",
    "plan",
    "prepare",
    "relative_change",
    "run",
    "source_shares",
    "stream_findings",
    "train_missing",
    "verdict",
]
