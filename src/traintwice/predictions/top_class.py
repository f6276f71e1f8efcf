"""The most probable class of every prediction, in the smallest integers that hold it."""

from __future__ import annotations

from typing import Any

import numpy as np

from traintwice.types import Array

SMALL_LABELS = 256
"""Labels below this are held in one byte each."""

FEW_CLASSES = 32
"""Up to this many classes, NumPy's argmax over so short an axis costs more than comparing class after class."""

BLOCK_EXAMPLES = 4096
"""Examples compared at a time, so that they stay in cache."""


def top_class(xp: Any, probs: Array) -> Array:
    """Index of the largest of ``M N K`` probabilities, ties to the lowest class, shape ``M N``.

    >>> top_class(np, np.array([[[0.2, 0.4, 0.4], [0.5, 0.0, 0.5]]])).tolist()
    [[1, 0]]
    """
    classes = int(probs.shape[2])
    if isinstance(probs, np.ndarray) and classes <= FEW_CLASSES:
        return _class_after_class(probs)
    return smallest(xp, xp.argmax(probs, axis=2), classes - 1)


def smallest(xp: Any, labels: Array, largest: int) -> Array:
    """Labels in one byte each where the largest of them fits, else as they are."""
    return xp.astype(labels, xp.uint8, copy=False) if largest < SMALL_LABELS else labels


def _class_after_class(probs: np.ndarray) -> np.ndarray:
    replicas, examples, classes = probs.shape
    top = np.zeros((replicas, examples), dtype=np.uint8)
    for m in range(replicas):
        for start in range(0, examples, BLOCK_EXAMPLES):
            by_class = np.ascontiguousarray(probs[m, start : start + BLOCK_EXAMPLES].T)
            largest, of_largest = by_class[0].copy(), top[m, start : start + BLOCK_EXAMPLES]
            for k in range(1, classes):
                larger = (by_class[k] > largest).view(np.uint8)
                larger *= np.uint8(k)
                np.maximum(of_largest, larger, out=of_largest)  # classes rise, so the last that was larger wins
                np.maximum(largest, by_class[k], out=largest)
    return top
