"""Losses: frozen dataclasses called on `Outputs`, one number per replica."""

from typing import TYPE_CHECKING

import torch

from traintwice import _typed
from traintwice._names import lazy
from traintwice.losses._decorrelation import Decorrelation, GramSchmidt, RunningDecorrelation
from traintwice.losses._difference import CrossEntropyDifference, Difference
from traintwice.losses._distillation import Agreement, Distillation, LogitDifference, NeighbourSmoothing, PeerCrossEntropy
from traintwice.losses._labels import (
    CrossEntropy,
    EnsembleCrossEntropy,
    Entropy,
    GateCrossEntropy,
    LabelSmoothing,
    LogitL2,
    OwnCrossEntropy,
    SymmetricKLToUniform,
)
from traintwice.losses._loss import ImportedLoss, Loss, LossWithMemory, Memory, Need, Only
from traintwice.losses._old_model import Anchor, FocalDistillation, LoggedDistillation
from traintwice.losses._outputs import Outputs

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
