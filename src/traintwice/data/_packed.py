"""Inputs of several arrays, or of whole numbers, as the bytes of one row for each example; nothing is rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from traintwice.errors import BadInput


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


def packed(inputs: Any, where: str) -> tuple[np.ndarray, tuple[Part, ...]] | None:
    """Packed rows ``B bytes`` of a mini-batch and their parts; None for one array of floats or bytes, which stays as it is.

    Args:
        inputs: an array, a mapping or a sequence of arrays, ``B ...`` each. Whole numbers become int64, other numbers float32.
        where: the beginning of messages.
    Raises:
        BadInput: no array, or arrays of different lengths.
    """
    if isinstance(inputs, Mapping):
        named: list[tuple[str | None, Any]] = [(str(name), value) for name, value in inputs.items()]
    elif isinstance(inputs, Sequence):
        named = [(None, value) for value in inputs]
    else:
        found = np.asarray(inputs)
        if found.dtype.kind not in "iu" or found.dtype == np.uint8:
            return None
        named = [(None, found)]
    arrays = [(name, _plain(np.asarray(value))) for name, value in named]
    lengths = {array.shape[0] if array.ndim else -1 for _, array in arrays}
    if len(lengths) != 1 or lengths == {-1}:
        raise BadInput(f"{where}: returned inputs of different lengths {sorted(lengths)}, expected arrays of one batch")
    parts = tuple(Part(name, array.shape[1:], str(array.dtype)) for name, array in arrays)
    rows = [np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8) for _, array in arrays]
    return np.concatenate(rows, axis=1), parts


def _plain(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return array.astype(np.int64)
    return array if array.dtype.kind == "b" or array.dtype == np.uint8 else array.astype(np.float32)
