"""Rows by the old model's confidence or score: how many there are, and how many of them changed."""

from __future__ import annotations

import numpy as np

from traintwice.compare.results import Band


class BandCounts:
    """Rows in bands (l, u] of equal width over [0, 1]; zero belongs to the first.

    Args:
        bands: how many.
    """

    def __init__(self, bands: int) -> None:
        self.edges = np.arange(bands + 1) / bands
        self._rows, self._new_rows = np.zeros(bands, dtype=np.int64), np.zeros(bands, dtype=np.int64)
        self._weight, self._changed, self._moved = np.zeros(bands), np.zeros(bands), np.zeros(bands)

    def add(
        self, old: np.ndarray, new: np.ndarray, changed: np.ndarray, distance: np.ndarray, weights: np.ndarray | None
    ) -> None:
        """Add rows: the number of the old and of the new model, whether the label changed, how far the row moved."""
        bands = len(self._rows)
        of_old, of_new = (np.searchsorted(self.edges[1:-1], x, side="left") for x in (old, new))
        w = np.ones(len(old)) if weights is None else weights
        self._rows += np.bincount(of_old, minlength=bands)
        self._new_rows += np.bincount(of_new, minlength=bands)
        self._weight += np.bincount(of_old, weights=w, minlength=bands)
        self._changed += np.bincount(of_old, weights=w * changed, minlength=bands)
        self._moved += np.bincount(of_old, weights=w * distance, minlength=bands)

    def result(self) -> tuple[Band, ...]:
        """Every band, empty ones too."""
        return tuple(
            Band(
                float(self.edges[b]),
                float(self.edges[b + 1]),
                int(self._rows[b]),
                int(self._new_rows[b]),
                float(self._changed[b] / weight) if weight else None,
                float(self._moved[b] / weight) if weight else None,
            )
            for b, weight in enumerate(self._weight)
        )
