"""What changed between two models, gathered row by row: flows between classes, bands, squares, movement, reviews, swap sets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from traintwice.compare._changed_rows import name_of
from traintwice.compare._estimates import interval
from traintwice.compare._expressions import ONE, Expression, Number, RowValues, changed
from traintwice.compare._floor import Pairs
from traintwice.compare._inputs import count_of
from traintwice.compare._parts import MOST_CLASSES, Band, Flow, FlowCell, Joint, Movement, NoiseFloor, Review, SwapSet
from traintwice.compare._tally import Tally
from traintwice.metrics._definition import to_numpy
from traintwice.metrics._means import each_weight
from traintwice.metrics._summaries import Summary

SHOWN = 20
"""Cells kept of a large flow."""

JOINT_BINS = 30

TOLERANCES = (0.01, 0.05, 0.1, 0.2)

QUANTILES = (0.5, 0.9, 0.99, 0.999)

FINE = 1 << 12
"""Bins of a histogram from which quantiles are read, and of scores that are ranked against labels."""

BINS = 1 << 16
"""Scores closer than 1/65,536 count as equal when the least stable rows are chosen."""

SHARES = (0.01, 0.05, 0.1)
"""Shares of rows whose review is reported."""


MANY_ROWS = 20
"""Rows from which on one predicted class is worth a warning."""


class FlowCounts:
    """Counts of rows by old and new class, of K classes or of those that occur."""

    def __init__(self, classes: int | None, names: Sequence[str] | None) -> None:
        self._classes, self._names = classes, names
        self.counts: Counter[tuple[int, int]] = Counter()

    def add(self, rows: RowValues) -> None:
        old, new = (to_numpy(rows.block.votes[m]).astype(np.int64) for m in (0, 1))
        width = int(max(old.max(), new.max())) + 1
        cells, counts = np.unique(old * width + new, return_counts=True)
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            self.counts[divmod(cell, width)] += count

    def one_class(self) -> str | None:
        """A clause on two models of probabilities that predict one class on all rows; scores of rare events may well be below 0.5."""
        (old, new), *others = [cell for cell, rows in self.counts.items() if rows] or [(0, 1)]
        rows = sum(self.counts.values())
        if others or old != new or rows < MANY_ROWS or (self._classes, old) == (2, 0):
            return None
        told = f"both models predict {name_of(old, self._names)} on all {rows:,} rows"
        return f"{told}, as confidences of the predicted labels do, and probabilities that are sorted within each row"

    def result(self) -> Flow:
        last = max((max(cell) for cell in self.counts), default=0)
        known = max(self._classes or 0, last + 1)
        total = sum(self.counts.values())
        went = {cell: rows for cell, rows in self.counts.items() if cell[0] != cell[1] and rows}
        largest = sorted(went.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        cells = tuple(FlowCell(name_of(a, self._names), name_of(b, self._names), n, n / total) for (a, b), n in largest)
        if known > MOST_CLASSES:
            return Flow((), None, cells, len(went))
        counts = tuple(tuple(self.counts[a, b] for b in range(known)) for a in range(known))
        return Flow(tuple(name_of(k, self._names) for k in range(known)), counts, cells, len(went))


class BandCounts:
    """Rows by a number in [0, 1] of the old model, in bands of equal width."""

    def __init__(self, bands: int, kind: Number, far: Expression) -> None:
        self._kind: Number = kind
        self._far = far
        self._edges = np.arange(bands + 1) / bands
        self._sums = np.zeros((5, bands))

    def add(self, rows: RowValues) -> None:
        old, new = (np.searchsorted(self._edges[1:-1], n, side="left") for n in rows.old_and_new(self._kind))
        w = each_weight(rows.block)
        sums = ((old, None), (new, None), (old, w), (old, w * rows(changed(0, 1))), (old, w * rows(self._far)))
        for i, (place, value) in enumerate(sums):
            self._sums[i] += np.bincount(place, value, self._sums.shape[1])

    def result(self) -> tuple[Band, ...]:
        found = []
        for i, (rows, new_rows, weight, flips, far) in enumerate(self._sums.T.tolist()):
            low, high = self._edges[i : i + 2].tolist()
            shares = (flips / weight, far / weight) if weight > 0 else (None, None)
            found.append(Band(low, high, int(rows), int(new_rows), *shares))
        return tuple(found)


class JointCounts:
    """Counts of rows in squares of a number of the old against the same number of the new model.

    The range of a regression's numbers doubles, and squares are merged, when a number is outside it.
    """

    def __init__(self, kind: Number) -> None:
        self._kind: Number = kind
        self._low, self._width = 0.0, 1.0 / JOINT_BINS
        self._counts = np.zeros((2, JOINT_BINS, JOINT_BINS), dtype=np.int64)
        self._started = kind != "number"

    def add(self, rows: RowValues) -> None:
        numbers = rows.old_and_new(self._kind)
        if self._kind == "number":
            self._make_room(float(numbers.min()), float(numbers.max()))
        places = np.clip(((numbers - self._low) / self._width).astype(np.int64), 0, JOINT_BINS - 1)
        at = places[0] * JOINT_BINS + places[1]
        self._counts[0] += np.bincount(at, minlength=JOINT_BINS**2).reshape(JOINT_BINS, -1)
        if self._kind != "number":
            self._counts[1] += np.bincount(at[rows(changed(0, 1))], minlength=JOINT_BINS**2).reshape(JOINT_BINS, -1)

    def result(self) -> Joint:
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
    """Shares of rows that moved beyond each tolerance, and quantiles of distances and of divergences from histograms.

    A quantile is exact to 1/4,096 for distances and to 1/200 of its size for divergences.
    """

    def __init__(self, far: Expression, level: float, *, clustered: bool) -> None:
        self._distance, self._level = far, level
        self._beyond = Tally({f"{t:g}": far > t for t in TOLERANCES}, clustered=clustered)
        self._far = np.zeros(FINE + 1)
        self._kl = {name: np.zeros(FINE + 1) for name in ("old_new", "new_old")}
        self._sums = dict.fromkeys(self._kl, 0.0)

    def add(self, rows: RowValues) -> None:
        self._beyond.add(rows)
        w = each_weight(rows.block)
        self._far += np.bincount(np.ceil(np.minimum(rows(self._distance), 1.0) * FINE).astype(np.int64), w, FINE + 1)
        old, new = to_numpy(rows.block.by_class)[:2]
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.where(old == new, 0.0, np.log(old) - np.log(new))
            for name, probs, ratio in (("old_new", old, gap), ("new_old", new, -gap)):
                values = np.where(probs > 0, probs * ratio, 0.0).sum(axis=0)
                self._sums[name] += float(np.where(w > 0, w * np.maximum(values, 0.0), 0.0).sum())
                places = np.clip((np.log(np.maximum(values, 1e-12)) / math.log(1e16) + 0.75) * FINE, 0, FINE)
                places = np.where(np.isinf(values), FINE, np.minimum(places, FINE - 1))
                self._kl[name] += np.bincount(places.astype(np.int64), w, FINE + 1)

    def result(self) -> Movement:

        def of_kl(at: int) -> float:
            return math.inf if at == FINE else 0.0 if at == 0 else math.exp(((at + 0.5) / FINE - 0.75) * math.log(1e16))

        weight = float(self._beyond.total(ONE)[0])
        beyond = {name: interval(self._beyond.shares({name: 1.0})[0], level=self._level) for name in self._beyond.quantities}
        kl = {
            name: {"mean": self._sums[name] / weight, **{f"{q:g}": of_kl(_quantile(histogram, q)) for q in QUANTILES}}
            for name, histogram in self._kl.items()
        }
        return Movement(beyond, {f"{q:g}": _quantile(self._far, q) / FINE for q in QUANTILES}, kl["old_new"], kl["new_old"])


class RankCounts:
    """Scores of an old and a new model by label, in bins: scores closer than 1/4,096 count as ties."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, 2, FINE + 1))

    def add(self, rows: RowValues) -> None:
        if not rows.block.has_labels:
            return
        labels = to_numpy(rows.block.labels)
        for counts, scores in zip(self._counts, rows.old_and_new("score"), strict=True):
            places = (scores * FINE).astype(np.int64)
            for label in (0, 1):
                counts[label] += np.bincount(places[labels == label], minlength=FINE + 1)

    def auc(self, model: int) -> float | None:
        """AUC, ties counting half; None without positive or without negative rows."""
        negative, positive = self._counts[model]
        below = np.concatenate([[0.0], np.cumsum(negative)[:-1]])
        of_pairs = negative.sum() * positive.sum()
        return float((positive * (below + negative / 2)).sum() / of_pairs) if of_pairs else None


class Reviews:
    """Rows and changed labels by instability."""

    def __init__(self, unstable_by: Expression) -> None:
        self._unstable_by = unstable_by
        self._rows, self._flips = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)

    def add(self, rows: RowValues) -> None:
        bins = np.minimum((rows(self._unstable_by) * BINS).astype(np.int64), BINS - 1)
        self._rows += np.bincount(bins, minlength=BINS)
        self._flips += np.bincount(bins[rows(changed(0, 1))], minlength=BINS)

    def result(self) -> tuple[Review, ...]:
        """Share of changed labels among the least stable rows; an expectation where scores tie. Empty without flips."""
        total, flips = int(self._rows.sum()), int(self._flips.sum())
        if not flips:
            return ()
        rows_above, flips_above = np.cumsum(self._rows[::-1]), np.cumsum(self._flips[::-1])
        found = []
        for share in SHARES:
            wanted = max(round(share * total), 1)
            caught = np.interp(wanted, np.concatenate([[0], rows_above]), np.concatenate([[0], flips_above]))
            found.append(Review(share, wanted, float(caught / flips)))
        return tuple(found)


class TopSets:
    """The rows of highest score of each model; ``asked`` are numbers of rows, or shares of them."""

    def __init__(self, asked: Sequence[float], rows: int, models: int) -> None:
        self.asked = tuple(asked)
        self._most = max((count_of(k, rows) for k in asked), default=0) + 1  # the next row shows a tie
        self._best = [np.zeros((3, 0)) for _ in range(models)]
        self.rows = 0

    def add(self, rows: RowValues) -> None:
        block, n = rows.block, rows.block.examples
        place = np.arange(self.rows, self.rows + n, dtype=np.float64)
        label = to_numpy(block.labels).astype(np.float64) if block.has_labels else np.full(n, np.nan)
        for m, best in enumerate(self._best):
            everything = np.concatenate([best, np.stack([to_numpy(block.probs[m, :, 1]), place, label])], axis=1)
            order = np.lexsort((everything[1], -everything[0]))[: self._most]
            self._best[m] = everything[:, order]
        self.rows += n

    def size(self, asked: float) -> int:
        return min(count_of(asked, self.rows), self.rows)

    def ties(self) -> Iterator[str]:
        """Clauses on the old and the new model, where the row after the last of the top k has the same score."""
        for k in dict.fromkeys(map(self.size, self.asked)):
            for name, (scores, _, _) in zip(("old", "new"), self._best, strict=False):
                if scores[k - 1 : k].tolist() == scores[k : k + 1].tolist():
                    told = f"the order of the rows decides on the top {k:,} of the {name} model"
                    yield f"{told}: the score of row {k:,} is that of further rows too, and ties go to the earlier row"

    def result(self, pairs: Pairs | None, level: float, floor_of: Callable[..., NoiseFloor]) -> tuple[SwapSet, ...]:
        """The swap set of every k, with its floor where there are retrains."""
        found = []
        for asked in self.asked:
            k, (entered, came, went) = self.size(asked), self.swapped(asked, 0, 1)
            kept = 1 - entered / k
            overlap = Summary(kept, np.full(2, kept), None, math.nan, k, units=k, scale="logit", share=True, most=1.0)
            floor = None
            if pairs is not None:
                counts = np.array([self.swapped(asked, a, b)[0] for a, b in pairs.pairs], dtype=float)
                title = f"the swapped share of the top {k:,}"
                floor = floor_of(pairs, counts, k, None, name=f"swapped({asked:g})", title=title, unit="fraction", units=k)
            found.append(SwapSet(asked, k, interval(overlap, level=level), entered, came, went, floor))
        return tuple(found)

    def swapped(self, asked: float, a: int, b: int) -> tuple[int, float | None, float | None]:
        """Rows that entered from model a to model b; the share with label 1 among those that entered, and that left."""
        k = self.size(asked)
        old, new = self._best[a][:, :k], self._best[b][:, :k]
        entered, left = new[2][~np.isin(new[1], old[1])], old[2][~np.isin(old[1], new[1])]
        return len(entered), _share(entered), _share(left)


def _quantile(histogram: np.ndarray, share: float) -> int:
    return int(np.searchsorted(np.cumsum(histogram), share * histogram.sum() * (1 - 1e-12)))


def _share(labels: np.ndarray) -> float | None:
    known = labels[~np.isnan(labels)]
    return float(known.mean()) if len(known) else None
