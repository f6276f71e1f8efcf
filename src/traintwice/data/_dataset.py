"""A data set: three splits, in memory or read on request, and a digest of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np

from traintwice._typed import typed
from traintwice.errors import BadInput

LARGEST_VOCABULARY = 2**24
"""Largest whole number up to which float32, the type of codes, is exact."""


@dataclass(frozen=True)
@typed
class Columns:
    """Names of the columns of a table, in the order of the numbers of a row.

    Args:
        numeric: numeric columns, which come first.
        categorical: categorical columns, with codes 0 … size − 1.
        sizes: vocabulary size of each categorical column, from 1 to 2^24.
        values: name of a categorical column to the meaning of its codes; hashed columns are left out.
    Raises:
        BadInput: a wrong number of sizes, or a size outside its range.
    Example:
        >>> c = Columns(("distance",), ("carrier", "origin"), (16, 3))
        >>> c.width, c.offsets.tolist(), c.vocabulary
        (3, [0, 16], 19)
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    sizes: tuple[int, ...]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.categorical):
            raise BadInput(
                f"Columns: got {len(self.sizes)} sizes for {len(self.categorical)} categorical columns, expected one for each"
            )
        for name, size in zip(self.categorical, self.sizes, strict=True):
            if not 1 <= size <= LARGEST_VOCABULARY:
                raise BadInput(
                    f"Columns: {name} has {size:,} categories, expected 1 to {LARGEST_VOCABULARY:,}; hash the column to fewer"
                )

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return len(self.numeric) + len(self.categorical)

    @property
    def vocabulary(self) -> int:
        """Categories of all columns together."""
        return sum(self.sizes)

    @property
    def offsets(self) -> np.ndarray:
        """First index of each categorical column in one table of all categories (int64)."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)[: len(self.sizes)]

    def in_words(self, row: np.ndarray) -> list[str]:
        """A row as text, categories first.

        >>> Columns(("distance",), ("carrier", "C1"), (2, 9), {"carrier": ("AA", "UA")}).in_words(np.array([0.5, 1, 7]))
        ['carrier UA', 'C1 #7', 'distance 0.5']
        """
        first = len(self.numeric)
        codes = zip(self.categorical, row[first:].astype(int).tolist(), strict=True)
        words = [f"{name} {self.values[name][code]}" if name in self.values else f"{name} #{code}" for name, code in codes]
        return words + [f"{name} {value:.3g}" for name, value in zip(self.numeric, row[:first].tolist(), strict=True)]

    def select(self, places: Sequence[int]) -> Columns:
        """The columns at some places of a row.

        Raises:
            BadInput: a numeric column after a categorical column.
        """
        first = len(self.numeric)
        chosen = [p - first for p in places if p >= first]
        numeric = tuple(self.numeric[p] for p in places if p < first)
        if list(places) != [*(p for p in places if p < first), *(p + first for p in chosen)]:
            raise BadInput(
                f"columns {list(places)}: got a numeric column after a categorical column, expected numeric columns first"
            )
        names = tuple(self.categorical[c] for c in chosen)
        return Columns(numeric, names, tuple(self.sizes[c] for c in chosen), {n: v for n, v in self.values.items() if n in names})


class TableShape(tuple[int, ...]):
    """The shape of a row, ``(columns,)``, with the names of its columns; otherwise a plain tuple.

    Example:
        >>> shape = TableShape.of(Columns(("distance",), ("carrier",), (16,)))
        >>> shape, shape.columns.categorical
        ((2,), ('carrier',))
    """

    columns: Columns

    @classmethod
    def of(cls, columns: Columns) -> TableShape:
        """The shape of rows with these columns."""
        made = cls((columns.width,))
        made.columns = columns
        return made


@dataclass(frozen=True)
class Part:
    """One of several inputs: its name (None by position), its shape without the batch, and its type."""

    name: str | None
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of an example."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class PackedShape(tuple[int, ...]):
    """The shape of a packed row, ``(bytes,)``, with its parts; otherwise a plain tuple.

    Example:
        >>> shape = PackedShape.of((Part("ids", (3,), "int64"), Part("length", (), "float32")))
        >>> shape, shape.shapes
        ((28,), {'ids': (3,), 'length': ()})
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, parts: tuple[Part, ...]) -> PackedShape:
        """The shape of rows of these parts."""
        made = cls((sum(part.bytes for part in parts),))
        made.parts = parts
        return made

    @property
    def shapes(self) -> Any:
        """What a function that makes a network gets as shape: by name, or a tuple of shapes, or the shape of the only part."""
        if self.parts[0].name is not None:
            return {part.name: part.shape for part in self.parts}
        return self.parts[0].shape if len(self.parts) == 1 else tuple(part.shape for part in self.parts)


@dataclass(frozen=True)
@typed
class Scaling:
    """Conversion of bytes to numbers: (byte / 255 − mean) / std, channel by channel.

    Args:
        mean, std: one number for each channel (the first axis of an input of three axes), or one number for all.
    Raises:
        BadInput: a std that is not positive, or different numbers of means and stds.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean or not all(std > 0 for std in self.std):
            raise BadInput(
                f"Scaling: got mean {self.mean} and std {self.std}, expected equally many of both, and every std above 0"
            )

    @property
    def plain(self) -> bool:
        """Whether bytes are only divided by 255."""
        return all(mean == 0 for mean in self.mean) and all(std == 1 for std in self.std)


class LazyInputs(Protocol):
    """Inputs ``N *shape`` that are read a few rows at a time, because they exceed memory or have to be decoded."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of one input."""

    @property
    def dtype(self) -> np.dtype:
        """uint8 or float32."""

    @property
    def digest(self) -> str:
        """Digest of the content and of the chosen rows."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows in this order, as a writable array. Thread-safe."""


@dataclass(frozen=True)
class Split:
    """Examples: inputs and labels.

    Args:
        inputs: ``N *shape``, float32, or uint8 with a scaling. Pictures are ``rows·columns`` in one axis, or ``channels rows columns``.
        labels: ``N``, int64, or uint8.
        scaling: of bytes, applied when a mini-batch is read (by `traintwice.engine._reading`); None applies no scaling.
        ids: ``N``, what names each row: a column of ids, or else the number of the row in its source, from 0, rows of official test
            sets after those of the training set; None where rows have no ids.
        dates: ``N``, sortable text such as "2013-01-31"; None where unknown.
    """

    inputs: np.ndarray | LazyInputs
    labels: np.ndarray
    scaling: Scaling | None = None
    ids: np.ndarray | None = None
    dates: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Some inputs before scaling."""
        return self.inputs[rows] if isinstance(self.inputs, np.ndarray) else self.inputs.read(rows)


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test examples of a classification problem.

    Args:
        name: what it is called in tables.
        classes: K.
        train, validation, test: the splits. Hyper-parameters and temperatures are chosen on validation, measures are those of test.
        pixels: rows and columns (and channels, where there are three) of pictures; None for other inputs.
        class_names: names of the classes, in order; empty where unknown.
        columns: of a table; None for other inputs.
        places: for progressive training: places of the examples of "validation", "test" and "warm_up" among the training examples,
            ascending. Warm-up examples are left out of every measure. None where validation and test examples are not trained on.
        groups: name of a group column to its value for each test example.
        time: of progressive training: the time of each test example, as sortable text such as months.
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
        """Shape of one input; of a table a `TableShape`."""
        if parts := getattr(self.train.inputs, "parts", ()):
            return PackedShape.of(parts)
        return tuple(self.train.inputs.shape[1:]) if self.columns is None else TableShape.of(self.columns)

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of shapes, types, bytes and scaling of every split.

        Inputs that are read from disk have a digest of their own, which differs from that of the same numbers in memory.
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

    def ids_of(self, split: str) -> np.ndarray:
        """Ids of the rows of a split, ``N``.

        Raises:
            BadInput: the rows have no ids.
        """
        found = self.splits[split].ids
        if found is None:
            raise BadInput(f"{self.name}: its rows have no ids, by which the predictions of a model in service find their rows")
        return found

    def picture(self, row: np.ndarray) -> np.ndarray:
        """One input as ``rows columns`` or ``rows columns 3``.

        Raises:
            BadInput: the inputs are not pictures.
        """
        if self.pixels is None:
            raise BadInput(f"{self.name}: the inputs are not pictures")
        if row.ndim == 3:
            return np.moveaxis(row, 0, -1).reshape(self.pixels)
        return row.reshape(self.pixels)


class Source(Protocol):
    """The settings of a data set: a frozen dataclass that loads it."""

    def load(self) -> Dataset:
        """Read the data; equal settings return equal arrays."""


def is_here(source: Source) -> bool:
    """Whether the files of a source are on this machine; True for sources without a method ``is_here``."""
    found = getattr(source, "is_here", None)
    return bool(found()) if callable(found) else True
