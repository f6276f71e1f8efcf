"""Losses: frozen dataclasses called on `Outputs`, one number per replica."""

from typing import TYPE_CHECKING

import torch

from traintwice import _typed
from traintwice._names import lazy
from traintwice.losses._agreement import Agreement, PeerCrossEntropy
from traintwice.losses._anchor import Anchor
from traintwice.losses._cross_entropy import CrossEntropy
from traintwice.losses._cross_entropy_difference import CrossEntropyDifference
from traintwice.losses._decorrelation import Decorrelation, RunningDecorrelation
from traintwice.losses._difference import Difference
from traintwice.losses._distillation import Distillation
from traintwice.losses._ensemble import EnsembleCrossEntropy
from traintwice.losses._entropy import Entropy
from traintwice.losses._focal import FocalDistillation
from traintwice.losses._gate import GateCrossEntropy
from traintwice.losses._gram_schmidt import GramSchmidt
from traintwice.losses._imported import ImportedLoss
from traintwice.losses._label_smoothing import LabelSmoothing
from traintwice.losses._logged import LoggedDistillation
from traintwice.losses._logit_difference import LogitDifference
from traintwice.losses._logit_l2 import LogitL2
from traintwice.losses._loss import Loss, LossWithMemory, Memory, Need
from traintwice.losses._neighbour_smoothing import NeighbourSmoothing
from traintwice.losses._only import Only
from traintwice.losses._outputs import Outputs
from traintwice.losses._own_cross_entropy import OwnCrossEntropy
from traintwice.losses._uniform import SymmetricKLToUniform

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
    LogitDifference,
    NeighbourSmoothing,
    OwnCrossEntropy,
    Anchor,
    FocalDistillation,
    EnsembleCrossEntropy,
    GateCrossEntropy,
    Only,
    ImportedLoss,
)
"""Every loss; the contract tests loop over it."""

_typed.skips = torch.compiler.is_compiling

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
    "ImportedLoss",
    "LabelSmoothing",
    "LoggedDistillation",
    "LogitDifference",
    "LogitL2",
    "Loss",
    "LossWithMemory",
    "Memory",
    "Need",
    "NeighbourSmoothing",
    "Only",
    "Outputs",
    "OwnCrossEntropy",
    "PeerCrossEntropy",
    "RunningDecorrelation",
    "SymmetricKLToUniform",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
