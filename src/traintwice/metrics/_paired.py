"""One metric of two sets of models on the same rows, and what the interval of its difference needs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from traintwice.metrics._accumulator import Accumulator
from traintwice.metrics._definition import Summary
from traintwice.metrics._functions import Metric
from traintwice.metrics._means import weights_of
from traintwice.metrics._moments import Moments
from traintwice.predictions import Predictions


class PairedAccumulator:
    """A metric of a first and a second set of models, summed block by block, with the variance of second minus first over rows.

    >>> from traintwice.metrics import accuracy
    >>> labels, both = np.array([1, 1, 0, 0]), PairedAccumulator(accuracy)
    >>> both.add(Predictions(np.array([[1, 1, 0, 0]]), labels), Predictions(np.array([[1, 1, 0, 1]]), labels))
    >>> both.difference().value
    -0.25
    """

    def __init__(self, metric: Metric, *, clustered: bool = False) -> None:
        self.first, self.second = Accumulator(metric, clustered=clustered), Accumulator(metric, clustered=clustered)
        self._clustered = clustered
        self._moments: Moments | None = None

    @property
    def missing(self) -> str | None:
        """What rows lacked for the metric."""
        return self.first.missing or self.second.missing

    def add(self, first: Predictions, second: Predictions, *, groups: np.ndarray | None = None) -> None:
        """Add the same rows of both sets; see `Accumulator.add`."""
        one, other = self.first.add(first, groups=groups), self.second.add(second, groups=groups)
        if one is None or other is None:
            return
        if self._moments is None:
            self._moments = Moments(len(one) + len(other), clustered=self._clustered)
        clusters = first.clusters if self._clustered else None
        self._moments.add(np.concatenate([one, other]), weights_of(first), groups=groups, clusters=clusters)

    def variance(self) -> tuple[float, int]:
        """The example part of the variance of second minus first, and the number of units; nan where a value is infinite."""
        if self._moments is None or not all(math.isfinite(of.compute().value) for of in (self.first, self.second)):
            return math.nan, self.first.examples
        form = _joint(self.first.gradient(), self.second.gradient())
        return float(self._moments.variance(form).sum()), int(self._moments.units.sum())

    def difference(self) -> Summary:
        """Second minus first, as the change of one model into another."""
        first, second = self.first.compute(), self.second.compute()
        value = second.value - first.value
        variance, units = self.variance()
        return Summary(value, np.full(2, value), None, variance, first.examples, units=units, clustered=self._clustered)

    def by_group(self) -> list[Summary]:
        """Second minus first in every group that rows were added with; nan where a group has no value."""
        first, second = self.first.by_group(), self.second.by_group()
        if self._moments is None:
            return []
        with np.errstate(invalid="ignore"):
            variances = self._moments.variance(np.nan_to_num(_joint(self.first.gradients(), self.second.gradients())))
        found = []
        for one, other, variance in zip(first, second, variances, strict=True):
            value = other.value - one.value
            known = float(variance) if math.isfinite(value) else math.nan
            found.append(
                replace(other, value=value, rows=np.full(2, value), example_variance=known, base=1.0, scale="plain", share=False)
            )
        return found


def _joint(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The gradient of a difference in the sums of 1, of the first and of the second quantities."""
    return np.concatenate([second[:1] - first[:1], -first[1:], second[1:]])
