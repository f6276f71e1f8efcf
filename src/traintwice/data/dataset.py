"""A data set: three splits, in memory or read when asked for, and a digest that says which data they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from traintwice.data.columns import Columns, TableShape
from traintwice.errors import BadInput
from traintwice.randomness import stream
from traintwice.types import Array


@runtime_checkable
class OnDisk(Protocol):
    """An array whose rows are read when they are asked for; rows near each other should be asked for together."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    @property
    def content(self) -> str:
        """Digest of what is on disk and how it is read."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The rows at these places, in this order."""


@dataclass(frozen=True)
class Split:
    """Inputs ``N *shape`` (float32) and labels ``N`` (int64): NumPy arrays; of the training split of a stream from disk, `OnDisk`."""

    inputs: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test examples of a classification problem.

    Args:
        name: what it is called in tables.
        classes: K.
        train, validation, test: the splits. Hyper-parameters and temperatures are chosen on validation, reported on test.
        pixels: rows and columns (and channels) of an input that is a picture; None otherwise.
        class_names: what the classes are called, in order.
        columns: of a table; None where an input is no row of one.
        places: of a stream, which is trained on in one pass and validated progressively: where in the training examples those of
            "validation" and "test" are, ascending, and of "warm_up", which count for no number. None where validation and test
            examples are never trained on.
        groups: columns to slice the test examples by: name to one value for each.
        time: of a stream: when each test example was seen, in words that sort, such as months.
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    pixels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] = ()
    columns: Columns | None = None
    places: Mapping[str, np.ndarray] | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    time: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input; of a table it knows the columns (`TableShape`)."""
        return tuple(self.train.inputs.shape[1:]) if self.columns is None else TableShape.of(self.columns)

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of shapes, types and bytes of every split: the same data, the same digest."""
        state = hashlib.blake2b(digest_size=16)
        for name, split in self.splits.items():
            for array in (split.inputs, split.labels):
                if isinstance(array, np.ndarray):
                    state.update(f"{name} {array.dtype.str} {array.shape};".encode())
                    state.update(np.ascontiguousarray(array).data)
                else:
                    state.update(f"{name} {array.content};".encode())
        if self.columns is not None:
            state.update(f"{self.columns.numeric} {self.columns.categorical} {self.columns.sizes};".encode())
        for name, places in (self.places or {}).items():
            state.update(f"{name} at {places.astype(np.int64).tobytes()!r};".encode())
        return state.hexdigest()


class Source(Protocol):
    """Where data come from: a frozen dataclass."""

    def load(self) -> Dataset:
        """Read the data; the same settings give the same arrays."""


def split(inputs: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], *, seed: int) -> tuple[Split, Split, Split]:
    """Deal the examples into train, validation and test by one fixed shuffle.

    Args:
        inputs, labels: ``N *shape`` and ``N``.
        sizes: how many go to each; together at most N.
        seed: of the shuffle, part of the data set's settings and not of the experiment.
    Raises:
        BadInput: more examples asked for than there are, or an empty split.
    """
    if min(sizes) < 1 or sum(sizes) > len(labels):
        raise BadInput(f"split: got sizes {sizes}, expected three positive numbers of sum at most {len(labels)}")
    order = stream(seed, "split").permutation(len(labels))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    train, validation, test = (Split(inputs[part], labels[part]) for part in parts)
    return train, validation, test
