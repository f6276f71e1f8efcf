"""A data set in memory: three splits, and a digest that says which data they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from traintwice.errors import BadInput
from traintwice.randomness import stream


@dataclass(frozen=True)
class Split:
    """Inputs ``N *shape`` (float32) and labels ``N`` (int64)."""

    inputs: np.ndarray
    labels: np.ndarray

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
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    pixels: tuple[int, ...] | None = None
    class_names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train.inputs.shape[1:])

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
                state.update(f"{name} {array.dtype.str} {array.shape};".encode())
                state.update(np.ascontiguousarray(array).data)
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
