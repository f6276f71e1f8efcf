"""How many rows have which number under the old and under the new model, and on how many of them the label changed."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions, Rows, items_of, open_rows

BINS = 30


@dataclass(frozen=True)
class Joint:
    """Counts of rows in squares of old against new.

    Attributes:
        kind: "score" of a binary model, "confidence" (largest minus second largest probability), or "number" of a regression.
        low, high: range of both axes, in `BINS` bins of equal width; the last includes its upper end.
        cells: for each square with a row in it: old bin, new bin, rows, rows whose label changed.
    """

    kind: Literal["score", "confidence", "number"]
    low: float
    high: float
    cells: tuple[tuple[int, int, int, int], ...]


def joint_scores(old: Any, new: Any, *, waive: Collection[str] = (), **columns: Any) -> Joint | None:
    """Count the rows, in blocks of bounded size.

    Args:
        old, new: as `traintwice.diff` takes them.
        waive: ids, as text, that do not count.
        columns: options of reading, as `traintwice.diff` takes them.
    Returns:
        None where the models give labels only.
    Example:
        >>> found = joint_scores(np.array([0.9, 0.2, 0.4]), np.array([0.9, 0.1, 0.6]))
        >>> found.kind, found.cells
        ('score', ((6, 3, 1, 0), (12, 18, 1, 1), (27, 27, 1, 0)))
    """
    with open_rows([*items_of(old), *items_of(new)], ("old", "new"), **columns) as rows:
        rows.waive = frozenset(waive)
        if rows.regression:
            low, high = _range(rows)
            kind: Literal["score", "confidence", "number"] = "number"
        elif not rows.has_probs:
            return None
        else:
            low, high = 0.0, 1.0
            kind = "score" if rows.summary.classes == 2 else "confidence"
        counts = np.zeros((2, BINS * BINS), dtype=np.int64)
        for block in rows.blocks():
            numbers = _numbers(block, kind)
            places = np.clip(((numbers - low) / (high - low) * BINS).astype(np.int64), 0, BINS - 1)
            at = places[0] * BINS + places[1]
            counts[0] += np.bincount(at, minlength=BINS * BINS)
            if kind != "number":
                votes = to_numpy(block.votes)
                counts[1] += np.bincount(at[votes[0] != votes[1]], minlength=BINS * BINS)
    filled = np.flatnonzero(counts[0])
    return Joint(kind, low, high, tuple((int(c) // BINS, int(c) % BINS, int(counts[0, c]), int(counts[1, c])) for c in filled))


def _range(rows: Rows) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for block in rows.blocks():
        numbers = _numbers(block, "number")
        low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _numbers(block: Predictions, kind: str) -> np.ndarray:
    if kind == "number":
        return to_numpy(block.scores)
    if kind == "score":
        return to_numpy(block.probs)[:, :, 1]
    return to_numpy(block.confidence)
