"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice.data.dataset import Dataset, split
from traintwice.errors import require


@dataclass(frozen=True)
class Digits:
    """1,797 handwritten digits of 8 × 8 pixels, values in [0, 1].

    Args:
        train, validation, test: how many examples go to each split; together at most 1,797.
        split_seed: of the shuffle that deals them.
    Raises:
        MissingExtra: scikit-learn is not installed. BadInput: more examples than there are.
    Source:
        scikit-learn's ``load_digits`` (the test set of the UCI optical recognition of handwritten digits data).
    Example:
        >>> d = Digits().load()
        >>> len(d.train), len(d.validation), len(d.test), d.shape, d.classes
        (797, 200, 800, (64,), 10)
    """

    train: int = 797
    validation: int = 200
    test: int = 800
    split_seed: int = 0

    def load(self) -> Dataset:
        """Read and split the data."""
        require("sklearn", extra="demo", purpose="the digits data set")
        from sklearn.datasets import load_digits

        bunch = load_digits()
        inputs = (bunch.data / 16).astype(np.float32)
        labels = bunch.target.astype(np.int64)
        train, validation, test = split(inputs, labels, (self.train, self.validation, self.test), seed=self.split_seed)
        return Dataset("digits", 10, train, validation, test, pixels=(8, 8), class_names=tuple("0123456789"))
