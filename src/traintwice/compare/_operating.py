"""Operating points of a binary model: decisions at thresholds, and the rows of highest score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from traintwice.compare._answer_types import NoiseFloor
from traintwice.compare._change_types import Decisions, SwapSet
from traintwice.compare._estimates import interval
from traintwice.compare._expressions import RowValues, decided
from traintwice.compare._floor import Pairs, noise_floor
from traintwice.compare._tally import ONE, Form, Ratio, Tally
from traintwice.compare._wording import Wording
from traintwice.errors import BadInput
from traintwice.metrics._definition import Summary, to_numpy
from traintwice.predictions import Predictions
from traintwice.types import Estimate


class DecisionSums:
    """Counts of rows whose score reaches a threshold, for an old model (0) and a new one (1).

    Args:
        thresholds: on the probability of the positive class.
        clustered: units are clusters.
    """

    def __init__(self, thresholds: Sequence[float], *, clustered: bool) -> None:
        self.tallies: dict[float, Tally] = {}
        for t in thresholds:
            old, new = decided(0, t), decided(1, t)
            self.tallies[t] = Tally({"old": old, "new": new, "both": old & new}, clustered=clustered)

    def add(self, rows: RowValues) -> None:
        """Add rows."""
        for tally in self.tallies.values():
            tally.add(rows)

    def result(self, level: float, floors: Mapping[str, NoiseFloor]) -> tuple[Decisions, ...]:
        """Shares of decisions at every threshold; the floors are those named ``decisions(THRESHOLD)``."""

        def share(tally: Tally, form: Form, models: int = 2) -> Estimate:
            return interval(tally.summaries(Ratio("", "", form, {ONE: 1.0}, models=models))[0], level=level)

        return tuple(
            Decisions(
                threshold=t,
                old_positive=share(tally, {"old": 1.0}, 1),
                new_positive=share(tally, {"new": 1.0}, 1),
                changed=share(tally, {"new": 1.0, "old": 1.0, "both": -2.0}),
                to_positive=share(tally, {"new": 1.0, "both": -1.0}),
                to_negative=share(tally, {"old": 1.0, "both": -1.0}),
                floor=floors.get(f"decisions({t:g})"),
            )
            for t, tally in self.tallies.items()
        )


class TopSets:
    """The rows of highest score of each model.

    Args:
        asked: numbers of rows, or shares of them.
        rows: how many rows there are at most.
        models: how many models.
    """

    def __init__(self, asked: Sequence[float], rows: int, models: int) -> None:
        self.asked = tuple(asked)
        self._most = max((count_of(k, rows) for k in asked), default=0)
        self._best = [np.zeros((3, 0)) for _ in range(models)]
        self.rows = 0

    def add(self, block: Predictions) -> None:
        """Add rows of all models, binary."""
        n = block.examples
        place = np.arange(self.rows, self.rows + n, dtype=np.float64)
        label = to_numpy(block.labels).astype(np.float64) if block.has_labels else np.full(n, np.nan)
        for m, best in enumerate(self._best):
            everything = np.concatenate([best, np.stack([to_numpy(block.probs[m, :, 1]), place, label])], axis=1)
            order = np.lexsort((everything[1], -everything[0]))[: self._most]
            self._best[m] = everything[:, order]
        self.rows += n

    def size(self, asked: float) -> int:
        """k, in rows."""
        return min(count_of(asked, self.rows), self.rows)

    def result(self, pairs: Pairs | None, level: float, margin: float, copies: str | None, words: Wording) -> tuple[SwapSet, ...]:
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
                floor = noise_floor(
                    pairs, counts, k, None, name=f"swapped({asked:g})", title=title, unit="fraction", level=level, margin=margin,
                    units=k, identical=copies, words=words,
                )  # fmt: skip
            found.append(SwapSet(asked, k, interval(overlap, level=level), entered, came, went, floor))
        return tuple(found)

    def swapped(self, asked: float, a: int, b: int) -> tuple[int, float | None, float | None]:
        """Rows that entered from model a to model b; the share with label 1 among those that entered, and that left."""
        k = self.size(asked)
        old, new = self._best[a][:, :k], self._best[b][:, :k]
        entered, left = new[2][~np.isin(new[1], old[1])], old[2][~np.isin(old[1], new[1])]
        return len(entered), _share(entered), _share(left)


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    """Check thresholds on a probability; raise `BadInput` for others."""
    for threshold in thresholds:
        if not 0 <= threshold <= 1:
            raise BadInput(f"thresholds: got {threshold}, expected probabilities between 0 and 1")
    return tuple(float(t) for t in thresholds)


def check_top_k(top_k: Sequence[float]) -> tuple[float, ...]:
    """Check numbers of rows from 1, or shares of the rows below 1; raise `BadInput` for others."""
    for k in top_k:
        if not (0 < k < 1 or (1 <= k < math.inf and k == int(k))):
            raise BadInput(f"top_k: got {k}, expected a whole number of rows, or a share of the rows between 0 and 1")
    return tuple(float(k) for k in top_k)


def count_of(asked: float, rows: int) -> int:
    """The number of rows that a number or a share means."""
    return max(math.ceil(asked * rows), 1) if asked < 1 else int(asked)


def _share(labels: np.ndarray) -> float | None:
    known = labels[~np.isnan(labels)]
    return float(known.mean()) if len(known) else None
