"""The sums of an accumulator as one row of float64 numbers, which travels between processes without being pickled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.metrics._means import Sums

COUNTS, LEFT_OUT, TABLE = 1, 2, 4
"""Kinds of a packed sum: integers; with the values without each replica; a plain array instead of `Sums`."""


def packed(head: Sequence[float], replicas: int, arrays: Sequence[np.ndarray], sums: Sequence[Any]) -> np.ndarray:
    """All numbers one after the other: a head, arrays of float64, and sums of ``replicas`` rows each.

    >>> packed([3.0], 2, [], [Sums(np.array([4, 5]), None)]).tolist()
    [3.0, 1.0, 1.0, 4.0, 5.0]
    """
    parts = [np.asarray(head, dtype=np.float64), *[np.ravel(array) for array in arrays]]
    for part in sums:
        rows = part.rows if isinstance(part, Sums) else np.asarray(part)
        left_out = part.left_out if isinstance(part, Sums) else None
        kind = COUNTS * (rows.dtype.kind in "iu") + LEFT_OUT * (left_out is not None) + TABLE * (not isinstance(part, Sums))
        parts += [np.array([kind, rows.size // replicas], dtype=np.float64), rows.ravel().astype(np.float64)]
        parts += [] if left_out is None else [left_out]
    return np.concatenate(parts)


class Unpacking:
    """Numbers taken from the front of what `packed` made.

    >>> numbers = Unpacking(packed([3.0], 2, [], [Sums(np.array([4, 5]), None)]))
    >>> numbers.take(1).tolist(), [part.rows.tolist() for part in numbers.sums(2)]
    ([3.0], [[4, 5]])
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self._numbers, self._at = numbers, 0

    def take(self, count: int) -> np.ndarray:
        """The next numbers.

        Raises:
            BadInput: there are fewer.
        """
        found = self._numbers[self._at : self._at + count]
        if len(found) < count:
            raise BadInput(
                f"packed sums: {len(self._numbers)} numbers are too few; they were cut short, or are of another metric"
            )
        self._at += count
        return found

    def sums(self, replicas: int) -> Iterator[Any]:
        """The sums, up to the end."""
        while self._at < len(self._numbers):
            kind, columns = (int(number) for number in self.take(2))
            rows = self.take(replicas * columns)
            rows = rows.astype(np.int64) if kind & COUNTS else rows
            if kind & TABLE:
                yield rows.reshape(replicas, columns)
            else:
                yield Sums(rows, self.take(replicas) if kind & LEFT_OUT else None)
