"""Data sets as data: `load` gives arrays, split once and for all."""

from traintwice.data.dataset import Dataset, Source, Split
from traintwice.data.digits import Digits

ALL: tuple[type, ...] = (Digits,)
"""Every data set; the contract tests loop over it."""

__all__ = ["ALL", "Dataset", "Digits", "Source", "Split"]
