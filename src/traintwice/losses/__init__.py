"""Losses: frozen dataclasses called on `Outputs`, one number per replica."""

from traintwice.losses.agreement import Agreement, PeerCrossEntropy
from traintwice.losses.anchor import Anchor
from traintwice.losses.cross_entropy import CrossEntropy
from traintwice.losses.cross_entropy_difference import CrossEntropyDifference
from traintwice.losses.decorrelation import Decorrelation, RunningDecorrelation
from traintwice.losses.difference import Difference
from traintwice.losses.distillation import Distillation
from traintwice.losses.ensemble import EnsembleCrossEntropy
from traintwice.losses.entropy import Entropy
from traintwice.losses.focal import FocalDistillation
from traintwice.losses.gate import GateCrossEntropy
from traintwice.losses.gram_schmidt import GramSchmidt
from traintwice.losses.label_smoothing import LabelSmoothing
from traintwice.losses.logged import LoggedDistillation
from traintwice.losses.logit_l2 import LogitL2
from traintwice.losses.loss import Loss, LossWithMemory, Memory, Need
from traintwice.losses.only import Only
from traintwice.losses.outputs import Outputs
from traintwice.losses.uniform import SymmetricKLToUniform

ALL: tuple[type, ...] = (
    CrossEntropy,
    LabelSmoothing,
    LogitL2,
    Entropy,
    SymmetricKLToUniform,
    Agreement,
    PeerCrossEntropy,
    Decorrelation,
    RunningDecorrelation,
    GramSchmidt,
    Difference,
    CrossEntropyDifference,
    Distillation,
    LoggedDistillation,
    Anchor,
    FocalDistillation,
    EnsembleCrossEntropy,
    GateCrossEntropy,
    Only,
)
"""Every loss; the contract tests loop over it."""

__all__ = [
    "ALL",
    "Agreement",
    "Anchor",
    "CrossEntropy",
    "CrossEntropyDifference",
    "Decorrelation",
    "Difference",
    "Distillation",
    "EnsembleCrossEntropy",
    "Entropy",
    "FocalDistillation",
    "GateCrossEntropy",
    "GramSchmidt",
    "LabelSmoothing",
    "LoggedDistillation",
    "LogitL2",
    "Loss",
    "LossWithMemory",
    "Memory",
    "Need",
    "Only",
    "Outputs",
    "PeerCrossEntropy",
    "RunningDecorrelation",
    "SymmetricKLToUniform",
]
