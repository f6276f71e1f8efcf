"""Decisions of a binary model: at thresholds, and by taking the k highest scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from traintwice.compare.moments import Means
from traintwice.compare.results import Decisions, SwapSet
from traintwice.errors import BadInput


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    """Thresholds that a probability can be held against."""
    for threshold in thresholds:
        if not 0 <= threshold <= 1:
            raise BadInput(f"thresholds: got {threshold}, expected probabilities between 0 and 1")
    return tuple(thresholds)


def check_top_k(top_k: Sequence[float]) -> tuple[float, ...]:
    """Numbers of rows from 1, or shares of the rows below 1."""
    for k in top_k:
        if not (0 < k < 1 or (k >= 1 and k == int(k))):
            raise BadInput(f"top_k: got {k}, expected a whole number of rows, or a share of the rows between 0 and 1")
    return tuple(top_k)


class DecisionCounts:
    """Decisions "score >= threshold" of both models.

    Args:
        thresholds: on the probability of class 1.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        self._means = {threshold: Means(4) for threshold in thresholds}

    def add(self, old: np.ndarray, new: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows: the probabilities of class 1."""
        for threshold, means in self._means.items():
            before, after = old >= threshold, new >= threshold
            means.add(np.stack([before, after, ~before & after, before & ~after]), weights)

    def result(self, level: float) -> tuple[Decisions, ...]:
        """At each threshold, in the order asked."""
        found = []
        for threshold, means in self._means.items():
            old, new, up, down = (
                means.estimate(of, replicas=m, level=level) for of, m in zip(np.eye(4), (1, 1, 2, 2), strict=True)
            )
            found.append(Decisions(threshold, old, new, means.estimate((0, 0, 1, 1), level=level), up, down))
        return tuple(found)


class TopRows:
    """The rows of highest score of both models.

    Args:
        asked: numbers of rows, or shares of them.
        rows: how many rows there are at most, to know how many to keep.
    """

    def __init__(self, asked: Sequence[float], rows: int) -> None:
        self._asked = tuple(asked)
        self._most = max((_count(k, rows) for k in asked), default=0)
        self._best = [np.zeros((3, 0)), np.zeros((3, 0))]
        self.rows = 0

    def add(self, old: np.ndarray, new: np.ndarray, labels: np.ndarray | None) -> None:
        """Add rows: the probabilities of class 1, and the labels where they are known."""
        place = np.arange(self.rows, self.rows + len(old), dtype=np.float64)
        label = np.full(len(old), np.nan) if labels is None else labels.astype(np.float64)
        for m, scores in enumerate((old, new)):
            everything = np.concatenate([self._best[m], np.stack([scores, place, label])], axis=1)
            order = np.lexsort((everything[1], -everything[0]))[: self._most]
            self._best[m] = everything[:, order]
        self.rows += len(old)

    def result(self) -> tuple[SwapSet, ...]:
        """For each k, in the order asked."""
        found = []
        for asked in self._asked:
            k = min(_count(asked, self.rows), self.rows)
            old, new = (best[:, :k] for best in self._best)
            entered = new[2][~np.isin(new[1], old[1])]
            left = old[2][~np.isin(old[1], new[1])]
            found.append(SwapSet(asked, k, 1 - len(entered) / k, len(entered), _positive(entered), _positive(left)))
        return tuple(found)


def _count(asked: float, rows: int) -> int:
    return max(math.ceil(asked * rows), 1) if asked < 1 else int(asked)


def _positive(labels: np.ndarray) -> float | None:
    known = labels[~np.isnan(labels)]
    return float(known.mean()) if len(known) else None
