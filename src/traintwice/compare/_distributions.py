"""Histograms of old and new predictions: flows between classes, bands, squares, movement of probabilities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from traintwice.compare._change_types import MOST_CLASSES, Band, Flow, FlowCell, Joint, Movement
from traintwice.compare._changed_rows import name_of
from traintwice.metrics._definition import to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Estimate

SHOWN = 20
"""Cells kept of a large flow."""

JOINT_BINS = 30

TOLERANCES = (0.01, 0.05, 0.1, 0.2)

QUANTILES = (0.5, 0.9, 0.99, 0.999)

FINE = 1 << 12
"""Bins of a histogram from which quantiles are read."""


class FlowCounts:
    """Counts of rows by old and new class."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, old: np.ndarray, new: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Add rows by their predicted classes; ``counts`` is the number of rows that each represents."""
        old, new = old.astype(np.int64), new.astype(np.int64)
        width = int(max(old.max(), new.max())) + 1
        cells, inverse = np.unique(old * width + new, return_inverse=True)
        for cell, count in zip(cells.tolist(), np.bincount(inverse, counts).tolist(), strict=True):
            self._counts[divmod(cell, width)] += int(count)

    def result(self, classes: int | None, names: Sequence[str] | None) -> Flow:
        """The flow between K classes, or between those that occur."""
        last = max((max(cell) for cell in self._counts), default=0)
        known = max(classes or 0, last + 1)
        total = sum(self._counts.values())
        went = {cell: rows for cell, rows in self._counts.items() if cell[0] != cell[1] and rows}
        largest = sorted(went.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        cells = tuple(FlowCell(name_of(a, names), name_of(b, names), n, n / total) for (a, b), n in largest)
        counts = None
        if known <= MOST_CLASSES:
            counts = tuple(tuple(self._counts[a, b] for b in range(known)) for a in range(known))
        return Flow(tuple(name_of(k, names) for k in range(known)) if counts else (), counts, cells, len(went))


class BandCounts:
    """Rows by a number in [0, 1] of the old model, in bands of equal width.

    Args:
        bands: how many.
    """

    def __init__(self, bands: int) -> None:
        self._edges = np.arange(bands + 1) / bands
        self._sums = np.zeros((5, bands))

    def add(self, old: np.ndarray, new: np.ndarray, flipped: np.ndarray, far: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows: the number of each model, whether the label changed, and the distance."""
        places = [np.searchsorted(self._edges[1:-1], numbers, side="left") for numbers in (old, new)]
        w = np.ones(len(old)) if weights is None else weights
        size = self._sums.shape[1]
        for i, (place, value) in enumerate(
            ((places[0], None), (places[1], None), (places[0], w), (places[0], w * flipped), (places[0], w * far))
        ):
            self._sums[i] += np.bincount(place, value, size)

    def result(self) -> tuple[Band, ...]:
        """Every band, lowest first."""
        found = []
        for i, (rows, new_rows, weight, flips, far) in enumerate(self._sums.T.tolist()):
            low, high = self._edges[i : i + 2].tolist()
            shares = (flips / weight, far / weight) if weight > 0 else (None, None)
            found.append(Band(low, high, int(rows), int(new_rows), *shares))
        return tuple(found)


class JointCounts:
    """Counts of rows in squares of a number of the old against the same number of the new model.

    The range of a regression's numbers is found on the way: it doubles, and squares are merged, when a number is outside it.
    """

    def __init__(self, kind: Literal["score", "confidence", "number"]) -> None:
        self._kind = kind
        self._low, self._width = 0.0, 1.0 / JOINT_BINS
        self._counts = np.zeros((2, JOINT_BINS, JOINT_BINS), dtype=np.int64)
        self._started = kind != "number"

    def add(self, old: np.ndarray, new: np.ndarray, flipped: np.ndarray | None) -> None:
        """Add rows: the numbers of both models, and whether the label changed."""
        numbers = np.stack([old, new])
        if self._kind == "number":
            self._make_room(float(numbers.min()), float(numbers.max()))
        places = np.clip(((numbers - self._low) / self._width).astype(np.int64), 0, JOINT_BINS - 1)
        at = places[0] * JOINT_BINS + places[1]
        self._counts[0] += np.bincount(at, minlength=JOINT_BINS**2).reshape(JOINT_BINS, -1)
        if flipped is not None:
            self._counts[1] += np.bincount(at[flipped], minlength=JOINT_BINS**2).reshape(JOINT_BINS, -1)

    def result(self) -> Joint:
        """The squares with rows in them."""
        filled = np.argwhere(self._counts[0])
        cells = tuple((int(a), int(b), int(self._counts[0, a, b]), int(self._counts[1, a, b])) for a, b in filled)
        return Joint(self._kind, JOINT_BINS, self._low, self._low + JOINT_BINS * self._width, cells)

    def _make_room(self, low: float, high: float) -> None:
        if not self._started:
            span = high - low
            self._low, self._width = (low, span / JOINT_BINS) if span > 0 else (low - 0.5, 1.0 / JOINT_BINS)
            self._started = True
        while low < self._low or high > self._low + JOINT_BINS * self._width:
            downwards = low < self._low
            merged = self._counts.reshape(2, JOINT_BINS // 2, 2, JOINT_BINS // 2, 2).sum(axis=(2, 4))
            self._counts = np.zeros_like(self._counts)
            half = slice(JOINT_BINS // 2, None) if downwards else slice(JOINT_BINS // 2)
            self._counts[:, half, half] = merged
            self._low -= JOINT_BINS * self._width if downwards else 0.0
            self._width *= 2


class MovementCounts:
    """Quantiles of the total variation distance of each row, and of the divergence between its distributions, from histograms.

    A quantile is exact to 1/4,096 for distances and to 1/200 of its size for divergences.
    """

    def __init__(self) -> None:
        self._far = np.zeros(FINE + 1)
        self._kl = {name: np.zeros(FINE + 1) for name in ("old_new", "new_old")}
        self._sums = dict.fromkeys(self._kl, 0.0)
        self._weight = 0.0

    def add(self, block: Predictions, far: np.ndarray, weights: np.ndarray | None) -> None:
        """Add rows of two models."""
        w = np.ones(len(far)) if weights is None else weights
        self._weight += float(w.sum())
        self._far += np.bincount(np.ceil(np.minimum(far, 1.0) * FINE).astype(np.int64), w, FINE + 1)
        probs = to_numpy(block.by_class)[:2]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(probs)
            gap = np.where(probs[0] == probs[1], 0.0, logs[0] - logs[1])
            kl = {
                "old_new": np.where(probs[0] > 0, probs[0] * gap, 0.0).sum(axis=0),
                "new_old": np.where(probs[1] > 0, probs[1] * -gap, 0.0).sum(axis=0),
            }
            for name, values in kl.items():
                self._sums[name] += float(np.where(w > 0, w * np.maximum(values, 0.0), 0.0).sum())
                places = np.clip((np.log(np.maximum(values, 1e-12)) / math.log(1e16) + 0.75) * FINE, 0, FINE)
                self._kl[name] += np.bincount(
                    np.where(np.isinf(values), FINE, np.minimum(places, FINE - 1)).astype(np.int64), w, FINE + 1
                )

    def result(self, beyond: dict[str, Estimate]) -> Movement:
        """Shares beyond each tolerance, and the quantiles."""

        def of_far(at: int) -> float:
            return at / FINE

        def of_kl(at: int) -> float:
            return math.inf if at == FINE else 0.0 if at == 0 else math.exp(((at + 0.5) / FINE - 0.75) * math.log(1e16))

        kl = {}
        for name, histogram in self._kl.items():
            kl[name] = {"mean": self._sums[name] / self._weight, **{f"{q:g}": of_kl(_quantile(histogram, q)) for q in QUANTILES}}
        return Movement(beyond, {f"{q:g}": of_far(_quantile(self._far, q)) for q in QUANTILES}, kl["old_new"], kl["new_old"])


def _quantile(histogram: np.ndarray, share: float) -> int:
    return int(np.searchsorted(np.cumsum(histogram), share * histogram.sum() * (1 - 1e-12)))
