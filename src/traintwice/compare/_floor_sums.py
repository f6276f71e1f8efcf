"""Counts of changed rows for every pair of models that a noise floor needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from traintwice.compare._answer_types import NoiseFloor
from traintwice.compare._expressions import Expression, RowValues, changed, decided, lost, number
from traintwice.compare._floor import Pairs, noise_floor
from traintwice.compare._tally import ONE, Tally
from traintwice.compare._wording import Wording
from traintwice.metrics._definition import Unit

TITLES = {"churn": "churn", "negative_flips": "negative flips", "regression_difference": "the regression difference"}


class FloorSums:
    """Sums over rows of what changes between the models of each pair, by floor: churn, negative flips, decisions at thresholds.

    Args:
        pairs: of models.
        regression: the predictions are numbers, and the only floor is that of their difference.
        thresholds: of decisions.
        clustered: units are clusters.
    """

    def __init__(self, pairs: Pairs, *, regression: bool, thresholds: Sequence[float], clustered: bool) -> None:
        def tally(of: Callable[[int, int], Expression]) -> Tally:
            return Tally(pair_quantities(pairs, of), clustered=clustered)

        self._pairs = pairs
        if regression:
            self._tallies = {"regression_difference": tally(lambda a, b: (number(a) - number(b)).size())}
            return
        self._tallies = {"churn": tally(changed), "negative_flips": tally(lambda a, b: _lost(pairs, a, b))}
        for t in thresholds:
            self._tallies[f"decisions({t:g})"] = tally(lambda a, b, t=t: decided(a, t).differs(decided(b, t)))  # type: ignore[misc]

    def add(self, rows: RowValues) -> None:
        """Add rows of all models."""
        for tally in self._tallies.values():
            tally.add(rows)

    def result(
        self, labelled: float, scale: float, level: float, margin: float, copies: str | None, words: Wording
    ) -> dict[str, NoiseFloor]:
        """The floors by name.

        Args:
            labelled: weight of the rows with a label, which negative flips are a share of.
            scale: mean weight of a row.
            level, margin, copies, words: see `noise_floor`.
        """
        found = {}
        for name, tally in self._tallies.items():
            rows = labelled if name == "negative_flips" else float(tally.total(ONE).sum())
            if not rows:
                continue
            counts = np.array([tally.total(q)[0] for q in tally.quantities])

            def variance(form: np.ndarray, tally: Tally = tally) -> float:
                return float(tally.variance_of(np.concatenate([[0.0], form / scale]))[0])

            unit: Unit = "number" if name == "regression_difference" else "fraction"
            found[name] = noise_floor(
                self._pairs, counts / scale, rows / scale, variance, name=name, title=TITLES.get(name, name), unit=unit,
                level=level, margin=margin, units=int(tally.moments.units[0]), clustered=tally.clustered, identical=copies,
                words=words,
            )  # fmt: skip
        return found


def pair_quantities(pairs: Pairs, of: Callable[[int, int], Expression]) -> Mapping[str, Expression]:
    """A quantity of every pair of models, by name."""
    return {f"{a}-{b}": of(a, b) for a, b in pairs.pairs}


def _lost(pairs: Pairs, a: int, b: int) -> Expression:
    """Whether the later model loses a row that the earlier has right; within a recipe, where neither is earlier, half of each."""
    if a in pairs.news and b in pairs.olds:
        a, b = b, a
    one, other = lost(a, b), lost(b, a)
    if not pairs.new_retrains or not pairs.within(a, b):
        return one
    return Expression(
        f"((CAST({one.sql} AS DOUBLE) + CAST({other.sql} AS DOUBLE)) / 2)",
        lambda rows: (rows(one).astype(np.float64) + rows(other)) / 2,
        is_truth=False,
    )
