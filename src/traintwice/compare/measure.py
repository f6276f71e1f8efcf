"""The small door: everything that can be said of one set of predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from traintwice import metrics
from traintwice.compare.intervals import interval
from traintwice.errors import TooFewReplicas, Undefined
from traintwice.metrics import Definition, Metric
from traintwice.predictions import Predictions
from traintwice.tables import Column, Row, Table
from traintwice.types import TARGET_IN_WORDS, Array, Estimate

SCHEMA_VERSION = 1

DEFAULT: tuple[Metric, ...] = (
    metrics.accuracy,
    metrics.error,
    metrics.log_loss,
    metrics.churn,
    metrics.churn_to_error,
    metrics.churn_correct,
    metrics.churn_incorrect,
    metrics.surrogate_churn,
    metrics.pairwise_l1,
    metrics.delta_1,
    metrics.delta_2,
    metrics.delta_label,
)
"""What `measure` gives unless told otherwise; `traintwice.metrics.ALL` has more."""


class Measures(Mapping[str, Estimate]):
    """Estimates by metric name, with what was left out and why. Displays as a table in a notebook.

    Attributes:
        predictions: what was measured.
        left_out: metric name to the reason why it has no value here.
        infinite: metric name to where its number becomes infinite.
    """

    def __init__(
        self,
        predictions: Predictions,
        estimates: Mapping[Definition, Estimate],
        left_out: Mapping[str, str],
        infinite: Mapping[str, str] | None = None,
    ) -> None:
        self.predictions = predictions
        self.left_out = dict(left_out)
        self.infinite = dict(infinite or {})
        self._estimates = {definition.name: estimate for definition, estimate in estimates.items()}
        self._definitions = {definition.name: definition for definition in estimates}

    def __getitem__(self, name: str) -> Estimate:
        return self._estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._estimates)

    def __len__(self) -> int:
        return len(self._estimates)

    def table(self) -> Table:
        """One row per measure: value, interval, and what the interval is a claim about."""
        columns = (Column("estimate", "estimate", "mixed"), Column("target", "interval is about", "text"))
        rows = [
            Row(
                self._definitions[name].title,
                {"estimate": estimate, "target": TARGET_IN_WORDS[estimate.target]},
                self._definitions[name].unit,
            )
            for name, estimate in self._estimates.items()
        ]
        p = self.predictions
        notes = [f"{self._definitions[name].title} is infinite: {where}" for name, where in self.infinite.items()]
        notes += [f"left out: {name} ({reason})" for name, reason in self.left_out.items()]
        return Table(f"{p.replicas} replicas · {p.examples:,} examples", columns, tuple(rows), tuple(notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema": SCHEMA_VERSION,
            "replicas": self.predictions.replicas,
            "examples": self.predictions.examples,
            "measures": {name: estimate.to_dict() for name, estimate in self._estimates.items()},
            "left_out": self.left_out,
            "infinite": self.infinite,
        }

    def __repr__(self) -> str:
        return self.table().to_text()

    def _repr_html_(self) -> str:
        return self.table().to_html()


def measure(
    predictions: Predictions | Array,
    labels: Array | None = None,
    *,
    weights: Array | None = None,
    which: Sequence[Metric] = DEFAULT,
    level: float = 0.95,
) -> Measures:
    """Measure the disagreement of any replicas, with intervals.

    Args:
        predictions: probabilities ``M N K`` or predicted labels ``M N`` of M replicas on the same N examples.
        labels: true labels ``N``; without them the measures that need them are left out and named.
        weights: weight of each example ``N``.
        which: the metrics wanted, from `traintwice.metrics`.
        level: nominal coverage of the intervals.
    Returns:
        `Measures`: a mapping from metric name to `Estimate`. With two replicas of unknown recipe the intervals are about
        those two models alone.
    Raises:
        BadInput: see `Predictions`. TooFewReplicas: one replica.
    Example:
        >>> m = measure(np.array([[0, 1, 2, 2], [0, 1, 1, 2], [0, 2, 1, 2]]), np.array([0, 1, 1, 2]))
        >>> round(m["churn"].value, 4), m["churn"].replicas
        (0.3333, 3)
    """
    p = Predictions.of(predictions, labels, weights)
    p.require_pairs("measure")
    estimates: dict[Definition, Estimate] = {}
    left_out: dict[str, str] = {}
    for wanted in which:
        definition = wanted.definition
        missing = definition.missing(p)
        if missing is not None:
            left_out[definition.name] = missing
            continue
        try:
            estimates[definition] = interval(definition.measure(p), level=level)
        except (Undefined, TooFewReplicas) as reason:
            left_out[definition.name] = str(reason)
    infinite = {d.name: d.infinite(p) or "" for d, e in estimates.items() if math.isinf(e.value)}
    return Measures(p, estimates, left_out, infinite)
