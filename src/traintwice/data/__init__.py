"""Data sets as data: `load` gives arrays, split once and for all."""

from traintwice.data.dataset import Dataset, Scaling, Source, Split, Streamed
from traintwice.data.digits import Digits

ALL: tuple[type, ...] = (Digits,)
"""Every data set; the contract tests loop over it."""

__all__ = ["ALL", "Dataset", "Digits", "Scaling", "Source", "Split", "Streamed"]
