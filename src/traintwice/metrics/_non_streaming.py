"""Metrics that read all examples together: they need an order of the examples, or whole pairs of replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from traintwice._typed import check_arguments
from traintwice.errors import BadInput, TooFewReplicas
from traintwice.metrics._definition import Definition, Kind, Measurement, leave_one_out
from traintwice.predictions import Predictions
from traintwice.types import Array


class WholeResult(NamedTuple):
    """Result of a metric that reads all examples together.

    Attributes:
        value: the number.
        rows: of each replica, shape ``M``.
        influence: of each example, shape ``N``; None where no first-order influence exists or is known.
    """

    value: float
    rows: np.ndarray
    influence: np.ndarray | None


@dataclass(frozen=True)
class NonStreaming(Definition):
    """A metric computed from all examples at once; its sums over parts do not merge.

    Attributes:
        kind: see `Kind`; it says whether the number without a replica follows from the rows or is computed again.
        compute: a function from `Predictions` to `WholeResult`.
        weighted: False where weights of examples have no meaning for it.
        options: bound keyword arguments of ``compute``.
    """

    kind: Kind = "replica"
    compute: Callable[..., WholeResult] = lambda predictions: WholeResult(0.0, np.zeros(predictions.replicas), None)
    weighted: bool = True
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def between_replicas(self) -> bool:
        return self.kind != "replica"

    @property
    def one_pass(self) -> bool:
        return False

    def bind(self, **options: Any) -> NonStreaming:
        check_arguments(self.compute, options)
        return replace(self, options=tuple(sorted({**dict(self.options), **options}.items()))) if options else self

    def missing(self, predictions: Predictions) -> str | None:
        if predictions.weights is not None and not self.weighted:
            return "has no weighted form"
        return super().missing(predictions)

    def values(self, predictions: Predictions) -> Array:
        raise BadInput(f"{self.title} is not a mean of contributions of single examples; `measure` gives its rows and influences")

    def value(self, predictions: Predictions) -> float:
        return self._whole(predictions).value

    def measure(self, predictions: Predictions) -> Measurement:
        if not self.needs_probs:
            predictions = predictions.without_probs()
        value, rows, influence = self._whole(predictions)
        if influence is None:
            influence = np.full(predictions.examples, np.nan)
        return Measurement.of(self, value, rows, self._jackknife_values(predictions, value, rows), influence, predictions)

    def _whole(self, predictions: Predictions) -> WholeResult:
        self.check(predictions)
        if predictions.weights is not None and not self.weighted:
            raise BadInput(f"{self.title} has no weighted form here; leave the weights out")
        return self.compute(predictions, **dict(self.options))

    def _jackknife_values(self, predictions: Predictions, value: float, rows: np.ndarray) -> np.ndarray | None:
        replicas = len(rows)
        if self.kind != "deviation" or replicas < 3:
            return leave_one_out(self.kind, value, rows)
        try:
            return np.array([self.value(predictions.without(m)) for m in range(replicas)])
        except TooFewReplicas:
            return None
