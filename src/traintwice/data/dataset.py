"""A data set: three splits, in memory or read when asked for, and a digest that says which data they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from traintwice.data.columns import Columns, TableShape
from traintwice.errors import BadInput
from traintwice.randomness import stream


@dataclass(frozen=True)
class Scaling:
    """How bytes become numbers: (byte / 255 − mean) / std, channel by channel.

    Args:
        mean, std: a number for each channel (the first axis of an input of three axes), or one number for all.
    Raises:
        BadInput: a std that is not positive, or another count of them than of means.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean or not all(std > 0 for std in self.std):
            raise BadInput(f"Scaling: got mean {self.mean} and std {self.std}, expected as many of each, every std above 0")

    @property
    def plain(self) -> bool:
        """Whether nothing happens but the division by 255."""
        return all(mean == 0 for mean in self.mean) and all(std == 1 for std in self.std)


class Streamed(Protocol):
    """Inputs that do not fit into memory, or are decoded when they are wanted: ``N *shape``, read a few rows at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of one input."""

    @property
    def dtype(self) -> np.dtype:
        """uint8 or float32."""

    @property
    def digest(self) -> str:
        """Of the content and of which rows of it these are."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, in their order, writable; may be called from any thread."""


@dataclass(frozen=True)
class Split:
    """Examples: inputs and what they are.

    Args:
        inputs: ``N *shape``, float32; or uint8, with how to scale them: pictures keep a quarter of the size. Pictures are ``rows·columns``
            in one axis, or ``channels rows columns``.
        labels: ``N``, int64; of a long stream uint8.
        scaling: from the bytes to what a network sees, applied to a mini-batch when it is read (by `traintwice.engine.reading`);
            None takes the numbers as they are.
    """

    inputs: np.ndarray | Streamed
    labels: np.ndarray
    scaling: Scaling | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Some inputs as they are kept, before any scaling."""
        return self.inputs[rows] if isinstance(self.inputs, np.ndarray) else self.inputs.read(rows)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test examples of a classification problem.

    Args:
        name: what it is called in tables.
        classes: K.
        train, validation, test: the splits. Hyper-parameters and temperatures are chosen on validation, reported on test.
        pixels: rows and columns (and channels, where there are three) of an input that is a picture; None otherwise.
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
        """BLAKE2b of shapes, types, bytes and scaling of every split: the same data, the same digest.

        Inputs read from disk bring a digest of their own, so the same numbers in memory have another one.
        """
        state = hashlib.blake2b(digest_size=16)
        for name, split in self.splits.items():
            for array in (split.inputs, split.labels):
                state.update(f"{name} {array.dtype.str} {tuple(array.shape)};".encode())
                state.update(np.ascontiguousarray(array).data if isinstance(array, np.ndarray) else array.digest.encode())
            if split.scaling is not None:
                state.update(f"{split.scaling};".encode())
        if self.columns is not None:
            state.update(f"{self.columns.numeric} {self.columns.categorical} {self.columns.sizes};".encode())
        for name, places in (self.places or {}).items():
            state.update(f"{name} at ".encode() + places.astype(np.int64).tobytes())
        return state.hexdigest()

    def picture(self, row: np.ndarray) -> np.ndarray:
        """One input as ``rows columns`` or ``rows columns 3``.

        Raises:
            BadInput: the inputs are no pictures.
        """
        if self.pixels is None:
            raise BadInput(f"{self.name}: its inputs are no pictures")
        if row.ndim == 3:
            return np.moveaxis(row, 0, -1).reshape(self.pixels)
        return row.reshape(self.pixels)


class Source(Protocol):
    """Where data come from: a frozen dataclass."""

    def load(self) -> Dataset:
        """Read the data; the same settings give the same arrays."""


def is_here(source: Source) -> bool:
    """Whether the files of a source are on this machine; True where it does not say (``is_here()``)."""
    says = getattr(source, "is_here", None)
    return bool(says()) if callable(says) else True


def split(
    inputs: np.ndarray, labels: np.ndarray, sizes: tuple[int, int, int], *, seed: int, scaling: Scaling | None = None
) -> tuple[Split, Split, Split]:
    """Deal the examples into train, validation and test by one fixed shuffle.

    Args:
        inputs, labels: ``N *shape`` and ``N``.
        sizes: how many go to each; together at most N.
        seed: of the shuffle, part of the data set's settings and not of the experiment.
        scaling: of bytes.
    Raises:
        BadInput: more examples asked for than there are, or an empty split.
    """
    if min(sizes) < 1 or sum(sizes) > len(labels):
        raise BadInput(f"split: got sizes {sizes}, expected three positive numbers of sum at most {len(labels)}")
    order = stream(seed, "split").permutation(len(labels))
    ends = np.cumsum(sizes)
    parts = [order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]]
    train, validation, test = (Split(inputs[part], labels[part], scaling) for part in parts)
    return train, validation, test
