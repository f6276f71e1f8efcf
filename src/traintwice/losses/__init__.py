"""Losses: frozen dataclasses called on `Outputs`, one number per replica."""

from traintwice.losses.agreement import Agreement
from traintwice.losses.cross_entropy import CrossEntropy
from traintwice.losses.decorrelation import Decorrelation
from traintwice.losses.entropy import Entropy
from traintwice.losses.outputs import Loss, Outputs

ALL: tuple[type, ...] = (CrossEntropy, Decorrelation, Agreement, Entropy)
"""Every loss; the contract tests loop over it."""

__all__ = ["ALL", "Agreement", "CrossEntropy", "Decorrelation", "Entropy", "Loss", "Outputs"]
