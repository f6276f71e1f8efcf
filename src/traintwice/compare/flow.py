"""Where predicted labels went: old class to new class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from traintwice.compare.results import MOST_CLASSES, Flow, FlowCell
from traintwice.metrics.definition import to_numpy
from traintwice.predictions import Predictions

SHOWN = 20
"""Cells kept of a large flow."""


class FlowCounts:
    """Counts of rows by old and new class."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, block: Predictions) -> None:
        """Add rows: the old model is replica 0, the new one replica 1."""
        old, new = (to_numpy(block.votes[m]).astype(np.int64) for m in (0, 1))
        width = int(max(old.max(), new.max())) + 1
        cells, counts = np.unique(old * width + new, return_counts=True)
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            self._counts[divmod(cell, width)] += count

    def add_cell(self, old: int, new: int, rows: int) -> None:
        """Add rows that were counted elsewhere."""
        self._counts[old, new] += rows

    def result(self, classes: int | None, names: Sequence[str] | None) -> Flow:
        """The flow between K classes, or between those that occur."""
        last = max((max(cell) for cell in self._counts), default=0)
        known = max(classes or 0, last + 1)
        total = sum(self._counts.values())
        changed = {cell: rows for cell, rows in self._counts.items() if cell[0] != cell[1] and rows}
        largest = sorted(changed.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        cells = tuple(FlowCell(name_of(a, names), name_of(b, names), n, n / total) for (a, b), n in largest)
        counts = None
        if known <= MOST_CLASSES:
            counts = tuple(tuple(self._counts[a, b] for b in range(known)) for a in range(known))
        return Flow(tuple(name_of(k, names) for k in range(known)) if counts else (), counts, cells, len(changed))


def name_of(label: int, names: Sequence[str] | None) -> str:
    """The name of a class, or its number."""
    return names[label] if names is not None and 0 <= label < len(names) else str(label)
