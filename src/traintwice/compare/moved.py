"""The rows that moved most, kept in a short list while all rows pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from traintwice.compare.flow import name_of
from traintwice.compare.results import MovedRow
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions


class MostMoved:
    """The n rows of largest distance; the earlier row where distances tie.

    Args:
        wanted: n.
        names: of the classes.
    """

    def __init__(self, wanted: int, names: Sequence[str] | None) -> None:
        self._wanted, self._names = wanted, names
        self._rows: list[MovedRow] = []
        self._seen = 0

    def add(self, block: Predictions, distance: np.ndarray, unstable: np.ndarray | None) -> None:
        """Add rows, with how far each moved and its instability."""
        least = self._rows[-1].distance if len(self._rows) == self._wanted else 0.0
        order = np.argsort(-distance, kind="stable")[: self._wanted]
        fresh = [self._row(block, int(n), float(distance[n]), unstable) for n in order if distance[n] > least]
        self._rows = sorted([*self._rows, *fresh], key=lambda row: (-row.distance, row.position))[: self._wanted]
        self._seen += block.examples

    def result(self) -> tuple[MovedRow, ...]:
        """Most moved first; rows that did not move at all are not among them."""
        return tuple(self._rows)

    def _row(self, block: Predictions, n: int, distance: float, unstable: np.ndarray | None) -> MovedRow:
        before = after = None
        if block.has_scores:
            old, new = (f"{float(block.scores[m, n]):.6g}" for m in (0, 1))
        else:
            old, new = (name_of(int(block.votes[m, n]), self._names) for m in (0, 1))
        if block.has_probs:
            before, after = (float(block.probs[m, n, int(block.votes[0, n])]) for m in (0, 1))
        label = name_of(int(block.labels[n]), self._names) if block.has_labels else None
        return MovedRow(
            _plain_id(None if block.ids is None else to_numpy(block.ids)[n]),
            self._seen + n,
            old,
            new,
            before,
            after,
            label,
            distance,
            None if unstable is None else float(unstable[n]),
        )


def _plain_id(value: object) -> str | int | None:
    if value is None or isinstance(value, str | int):
        return value
    return int(value) if isinstance(value, np.integer) else str(value)


def distance_of(block: Predictions) -> np.ndarray:
    """How far each row moved from the old to the new model: total variation; 0 or 1 for labels; |difference| for numbers."""
    if block.has_scores:
        return np.asarray(np.abs(to_numpy(block.scores[1]) - to_numpy(block.scores[0])))
    if block.has_probs:
        probs = to_numpy(block.by_class)
        return np.asarray(np.abs(probs[1] - probs[0]).sum(axis=0) / 2)
    return np.asarray(to_numpy(block.votes[0]) != to_numpy(block.votes[1]), dtype=np.float64)
