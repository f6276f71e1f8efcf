"""Arrays as columns, a block of rows at a time: those of npz, npy and safetensors files, and those from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.array_files import Slices

CLASS_NAMES = ("classes", "class_names", "classes_")
"""Arrays of these names hold the names of the K classes and are not columns."""

BLOCK_BYTES = 1 << 25
"""Memory of a block of rows."""


@dataclass(frozen=True)
class Columns:
    """Columns of equal length.

    Attributes:
        source: the file or table, for messages.
        length: N.
        parts: the names of the columns that each array brings, and the array.
        class_names: the names of the classes where an array gives them.
    """

    source: str
    length: int
    parts: tuple[tuple[tuple[str, ...], Slices], ...]
    class_names: tuple[str, ...] | None

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        return [name for names, _ in self.parts for name in names]

    @property
    def texts(self) -> set[str]:
        """Names of the columns of text."""
        return {name for names, array in self.parts for name in names if array.dtype.kind in "UO"}

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The columns in blocks of rows, each in a type that DuckDB reads without loss."""
        width = sum(array.dtype.itemsize * len(names) for names, array in self.parts)
        rows = max(BLOCK_BYTES // max(width, 1), 2048)
        for start in range(0, self.length, rows):
            yield self.block(start, min(start + rows, self.length))

    def block(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows from start to stop."""
        found: dict[str, np.ndarray] = {}
        for names, array in self.parts:
            rows = _plain(array.rows(start, stop), names[0], self.source)
            found |= {n: np.ascontiguousarray(rows if rows.ndim == 1 else rows[:, k]) for k, n in enumerate(names)}
        return found


def as_columns(arrays: Mapping[str, Any], source: str) -> Columns:
    """The columns that arrays, or `Slices` of files, stand for.

    An array ``name`` of shape ``N K`` becomes the columns name_0 … name_{K-1}; without a name they are p_0 …

    Raises:
        BadInput: an array has a type or shape that no column has, or the lengths differ.

    >>> columns = as_columns({"probs": np.array([[0.9, 0.1]]), "classes": np.array(["cat", "dog"])}, "a.npz")
    >>> columns.names, columns.class_names, columns.block(0, 1)["probs_1"].tolist()
    (['probs_0', 'probs_1'], ('cat', 'dog'), [0.1])
    """
    parts: list[tuple[tuple[str, ...], Slices]] = []
    class_names: tuple[str, ...] | None = None
    for name, given in arrays.items():
        array = given if isinstance(given, Slices) else Slices.of(np.asarray(given))
        _check(array, name, source)
        axes = len(array.shape)
        if name in CLASS_NAMES and axes == 1:
            class_names = tuple(str(entry) for entry in array.rows(0, array.shape[0]))
        elif axes == 1:
            parts.append(((name or _usual_name(array.dtype),), array))
        elif axes == 2:
            parts.append((tuple(f"{name or 'p'}_{k}" for k in range(array.shape[1])), array))
        elif axes > 2:
            raise BadInput(
                f"{source}: array {name!r} has shape {array.shape}, expected (examples, classes): a file holds one replica. "
                "Save one file for each, or pass the whole array to traintwice.measure in Python"
            )
    lengths = {names[0]: array.shape[0] for names, array in parts if names and array.shape[0] != 1}
    longest = max(lengths.values(), default=1)
    if len(set(lengths.values())) > 1:
        other = next(name for name, length in lengths.items() if length != longest)
        same = next(name for name, length in lengths.items() if length == longest)
        raise BadInput(
            f"{source}: array {other!r} has {lengths[other]:,} entries and {same!r} has {longest:,}; "
            "expected one entry for each example in all"
        )
    return Columns(source, longest, tuple(p for p in parts if p[0] and p[1].shape[0] == longest), class_names)


def _usual_name(dtype: np.dtype) -> str:
    return "p" if dtype.kind == "f" else "pred"


def _check(array: Slices, name: str, source: str) -> None:
    kind = array.dtype.kind
    if kind not in "fiubUMO" or (array.dtype.itemsize > 8 and kind == "f"):
        raise BadInput(
            f"{source}: array {name!r} has dtype {array.dtype}, expected floating point up to 64 bits, integers, text or dates"
        )


def _plain(array: np.ndarray, name: str, source: str) -> np.ndarray:
    """The array in a type that DuckDB reads without loss."""
    if array.dtype.kind == "O":
        kinds = sorted({type(entry).__name__ for entry in array.flat if entry is not None})
        if kinds not in ([], ["str"]):
            raise BadInput(f"{source}: array {name!r} mixes Python objects ({', '.join(kinds[:5])}); give it one type")
        return array
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
