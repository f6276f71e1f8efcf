"""The handwritten digits of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from traintwice._typed import typed
from traintwice.data._dataset import Dataset
from traintwice.data._splits import split
from traintwice.errors import BadInput, require


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
        require("sklearn", extra="demo", purpose="the digits data set")
        table = np.loadtxt(_file(), delimiter=",")
        inputs = (table[:, :-1] / 16).astype(np.float32)
        if self.pictures:
            inputs = inputs.reshape(-1, 8, 8)
        labels = table[:, -1].astype(np.int64)
        train, validation, test = split(inputs, labels, (self.train, self.validation, self.test), seed=self.split_seed)
        return Dataset("digits", 10, train, validation, test, pixels=(8, 8), class_names=tuple("0123456789"))


def _file() -> Path:
    """The file in scikit-learn. (The import of its loader would take a second in every process.)"""
    found = find_spec("sklearn")
    places = (found.submodule_search_locations if found is not None else None) or []
    files = [Path(place) / "datasets" / "data" / "digits.csv.gz" for place in places]
    for file in files:
        if file.is_file():
            return file
    raise BadInput(f"digits: {', '.join(map(str, files))} is missing; install a released version of scikit-learn")
