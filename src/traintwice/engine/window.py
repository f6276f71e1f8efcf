"""The order of a stream, shuffled inside a moving window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

LEAST_BLOCK = 10_000
"""Rows that are dealt with together at least, so that a small window costs no more than a large one."""


def shuffled(examples: int, window: int, draw: Callable[[int], np.random.Generator]) -> Iterator[np.ndarray]:
    r"""Rows 0 … N − 1, each less than W places from its own.

        row i is the one with the r-th smallest i + W·U_i,  U_i uniform in [0, 1)

    Args:
        examples: N.
        window: W >= 1; with 1 nothing moves.
        draw: from the number of a block of rows to the generator of its U.
    Yields:
        Parts of a permutation, in order; never more than two blocks are held.
    Source:
        Ours. Rows W or more apart never change their order, because their sums cannot.
    Example:
        >>> order = np.concatenate(list(shuffled(10, 3, np.random.default_rng)))
        >>> sorted(order.tolist()) == list(range(10)), int(abs(order - np.arange(10)).max()) < 3
        (True, True)
    """
    rows, keys = np.zeros(0, dtype=np.int64), np.zeros(0)
    size = max(window, LEAST_BLOCK)
    for block, start in enumerate(range(0, examples, size)):
        stop = min(start + size, examples)
        more = np.arange(start, stop)
        rows, keys = np.append(rows, more), np.append(keys, more + window * draw(block).random(stop - start))
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        # Rows of later blocks have sums of at least `stop`.
        ready = len(rows) if stop == examples else int(np.searchsorted(keys, stop))
        yield rows[:ready]
        rows, keys = rows[ready:], keys[ready:]


def in_batches(parts: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows in pieces of one size; the last may be smaller.

    >>> [batch.tolist() for batch in in_batches(iter([np.arange(3), np.arange(3, 5)]), 2)]
    [[0, 1], [2, 3], [4]]
    """
    left = np.zeros(0, dtype=np.int64)
    for part in parts:
        left = np.append(left, part)
        whole = len(left) - len(left) % size
        for start in range(0, whole, size):
            yield left[start : start + size]
        left = left[whole:]
    if len(left):
        yield left
