"""A metric over blocks of rows, with the reason why it has no value and the row at which it becomes infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from traintwice.compare.intervals import interval
from traintwice.errors import TooFewReplicas, Undefined
from traintwice.metrics import Accumulator, Metric
from traintwice.metrics.definition import to_numpy
from traintwice.metrics.means import MeanOf
from traintwice.metrics.streaming import Summary
from traintwice.predictions import Predictions
from traintwice.types import Estimate


@dataclass(frozen=True)
class InfiniteAt:
    """The first row at which a measure is infinite, counted from 0 as rows were read."""

    row: int
    replica: int
    id: str | None


class Stream:
    """An accumulator that is fed the rows on which its metric can be computed.

    Args:
        metric: of one pass.

    Attributes:
        missing: what some rows lacked for it; the reason where it saw none.
        infinite: where it became infinite.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.missing: str | None = None
        self.infinite: InfiniteAt | None = None
        self._accumulator = Accumulator(metric)
        self._seen = 0

    @property
    def examples(self) -> int:
        """Rows on which the metric could be computed."""
        return self._accumulator.examples

    def add(self, block: Predictions) -> None:
        """Add rows."""
        lacks = self.metric.definition.missing(block)
        if lacks is None:
            try:
                with np.errstate(invalid="ignore"):  # infinite minus infinite
                    self._accumulator.update(block)
            except TooFewReplicas as reason:
                lacks = str(reason)
        if lacks is None:
            if self.infinite is None and not self._is_finite():
                self.infinite = self._first_infinite(block)
        else:
            self.missing = lacks
        self._seen += block.examples

    def compute(self) -> Summary:
        """The number and what its interval needs.

        Raises:
            Undefined, TooFewReplicas: it has none; the message is the reason.
        """
        if not self.examples:
            raise Undefined(self.missing or "no rows")
        with np.errstate(invalid="ignore"):
            return self._accumulator.compute()

    def estimate(self, level: float) -> tuple[Estimate | None, str]:
        """The number with its interval, or None and the reason why it has none."""
        try:
            return interval(self.compute(), level=level), ""
        except (Undefined, TooFewReplicas) as reason:
            return None, str(reason)

    def _is_finite(self) -> bool:
        sums = self._accumulator.first_sums()
        return sums is None or bool(np.isfinite(sums).all())

    def _first_infinite(self, block: Predictions) -> InfiniteAt | None:
        definition = self.metric.definition
        if not isinstance(definition, MeanOf):
            return None
        replicas, rows = np.nonzero(~np.isfinite(to_numpy(definition.values(block))))
        first = int(rows.argmin())
        row = int(rows[first])
        id_of = None if block.ids is None else str(to_numpy(block.ids)[row])
        return InfiniteAt(self._seen + row, int(replicas[first]), id_of)
