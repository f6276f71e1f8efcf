"""Churn of an update against the churn that retraining alone brings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from traintwice.compare.intervals import t_quantile
from traintwice.compare.moments import Means, estimate_of
from traintwice.compare.results import Judgement, NoiseFloor
from traintwice.predictions import Predictions
from traintwice.tables.format import points
from traintwice.types import Estimate

ASK_FOR = 4
"""Retrains from which a verdict is worth having: the t quantile at 2 retrains is 12.7, at 4 it is 3.2."""

MOST_RETRAINS = 10_000
"""Beyond this many more retrains a verdict counts as out of reach."""

MARGIN = 0.5
"""Smallest excess that matters, in units of the floor, unless told otherwise."""


def differ(block: Predictions, a: int, b: int) -> np.ndarray:
    """How two models differ on each row: 1 where the predicted label does; the distance for numbers."""
    if block.has_scores:
        return np.asarray(np.abs(block.scores[a] - block.scores[b]), dtype=np.float64)
    return np.asarray(block.votes[a] != block.votes[b], dtype=np.float64)


class Pairs:
    """Which pairs of models a noise floor needs, and how it follows from their churn.

    Models stand in the order old, new, k retrains of old, l retrains of new.

    Args:
        retrains, new_retrains: k and l.
    """

    def __init__(self, retrains: int, new_retrains: int) -> None:
        self.retrains, self.new_retrains = retrains, new_retrains
        self.olds = [0, *range(2, 2 + retrains)]
        self.news = [1, *range(2 + retrains, 2 + retrains + new_retrains)]
        if new_retrains:
            models = range(2 + retrains + new_retrains)
            self.pairs = [(a, b) for a in models for b in models if a < b]
        else:
            self.pairs = [(0, 1), *[(0, again) for again in self.olds[1:]]]

    def of(self, block: Predictions) -> np.ndarray:
        """How the models of each pair differ on each row, ``pairs N``."""
        return np.stack([differ(block, a, b) for a, b in self.pairs])

    def excess(self, olds: list[int] | None = None, news: list[int] | None = None) -> np.ndarray:
        """The coefficients of the pairs in the excess, for all models or for some."""
        return np.asarray(self.cross(olds, news) - self.floor(olds, news))

    def cross(self, olds: list[int] | None = None, news: list[int] | None = None) -> np.ndarray:
        """The coefficients in the churn of old against new."""
        if not self.new_retrains:
            return self._mean(lambda a, b: (a, b) == (0, 1))
        old, new = set(olds or self.olds), set(news or self.news)
        return self._mean(lambda a, b: (a in old and b in new) or (a in new and b in old))

    def floor(self, olds: list[int] | None = None, news: list[int] | None = None) -> np.ndarray:
        """The coefficients in the floor."""
        if not self.new_retrains:
            return self._mean(lambda a, b: (a, b) != (0, 1))
        return np.asarray((self.within(olds or self.olds) + self.within(news or self.news)) / 2)

    def within(self, models: list[int]) -> np.ndarray:
        """The coefficients in the churn between some models."""
        chosen = set(models)
        return self._mean(lambda a, b: a in chosen and b in chosen)

    def variance_of_models(self, churn: np.ndarray) -> list[tuple[float, float]]:
        """Variance parts of the excess from the models, with their degrees of freedom, from the churn of every pair.

        With retrains of the old recipe only, the old model's churn against each is exchangeable with that against the new
        one if nothing changed: s²·(1 + 1/k). With retrains of both, a jackknife over the models of each recipe.
        """
        if not self.new_retrains:
            spread = float(np.var(churn[1:], ddof=1)) if self.retrains > 1 else math.nan
            return [(spread * (1 + 1 / self.retrains), max(self.retrains - 1, 1))]
        parts: list[tuple[float, float]] = []
        for models in (self.olds, self.news):
            if len(models) < 3:
                return [(math.nan, 1)]
            rests = [[m for m in models if m != left] for left in models]
            dropped = np.array(
                [
                    self.excess(olds=rest if models is self.olds else None, news=rest if models is self.news else None) @ churn
                    for rest in rests
                ]
            )
            n = len(models)
            parts.append((float((n - 1) / n * np.sum((dropped - dropped.mean()) ** 2)), n - 1))
        return parts

    def _mean(self, chosen: Callable[[int, int], bool]) -> np.ndarray:
        hit = np.array([chosen(a, b) for a, b in self.pairs], dtype=float)
        return np.asarray(hit / hit.sum())


def excess_estimate(pairs: Pairs, churn: np.ndarray, variance: float, rows: int, level: float) -> Estimate:
    """The excess with its interval, from the churn of every pair and the variance over rows of the excess."""
    parts = [*pairs.variance_of_models(churn), (variance, max(rows - 1, 1))]
    models = 2 + pairs.retrains + pairs.new_retrains
    return estimate_of(float(pairs.excess() @ churn), parts, replicas=models, rows=rows, level=level)


def noise_floor(pairs: Pairs, means: Means, *, level: float, margin: float | None, what: str = "churn") -> NoiseFloor:
    """Churn, floor, excess and verdict.

        excess = d_0 − mean_i d_i,   variance s²(1 + 1/k) + var_n(e_n)/N
        with retrains of both recipes: excess = cross − (within old + within new)/2, jackknife over the models of each + var_n(e_n)/N

    Args:
        pairs: of the models.
        means: how the models of each pair differ, over all rows.
        level: of the interval and the verdict.
        margin: the smallest excess that matters; None takes half the floor.
        what: the word for what is compared.
    Returns:
        A `NoiseFloor`.
    Source:
        Spec section 2. Ours: the variance parts add with Welch-Satterthwaite degrees of freedom; "within noise" is only said where
        an excess of the margin is ruled out.
    """
    churn = means.sums / means.weight
    floor = float(pairs.floor() @ churn)
    excess = excess_estimate(pairs, churn, means.variance(list(pairs.excess())), means.rows, level)
    margin = MARGIN * floor if margin is None else margin
    verdict = _verdict(pairs, excess, margin)
    more = 0 if verdict != "cannot tell" else _more_retrains(pairs, churn, means, excess, margin, level)
    return NoiseFloor(
        retrains=pairs.retrains,
        new_retrains=pairs.new_retrains,
        churn=float(pairs.cross() @ churn),
        floor=floor,
        excess=excess,
        each=tuple(float(churn[i]) for i, (a, b) in enumerate(pairs.pairs) if a == 0 and b in pairs.olds),
        within_old=float(pairs.within(pairs.olds) @ churn) if pairs.new_retrains else None,
        within_new=float(pairs.within(pairs.news) @ churn) if pairs.new_retrains else None,
        verdict=verdict,
        margin=margin,
        more_retrains=more,
        reason=_reason(pairs, excess, margin, verdict, more, what),
    )


def _verdict(pairs: Pairs, excess: Estimate, margin: float) -> Judgement:
    if math.isnan(excess.low):
        return "cannot tell"
    if excess.low > 0:
        return "beyond noise"
    return "within noise" if excess.high <= margin else "cannot tell"


def _more_retrains(pairs: Pairs, churn: np.ndarray, means: Means, excess: Estimate, margin: float, level: float) -> int | None:
    """How many more retrains (of each recipe that has some) would tell, if excess and spread stayed as they are."""
    parts = pairs.variance_of_models(churn)
    of_rows = means.variance(list(pairs.excess()))
    if any(math.isnan(variance) for variance, _ in parts):
        return max(ASK_FOR - pairs.retrains, ASK_FOR - pairs.new_retrains if pairs.new_retrains else 0, 1)

    def tells(more: int) -> bool:
        if pairs.new_retrains:
            sizes = [len(pairs.olds), len(pairs.news)]
            scaled = [(v * n / (n + more), n + more - 1.0) for (v, _), n in zip(parts, sizes, strict=True)]
        else:
            k = pairs.retrains
            scaled = [(parts[0][0] / (1 + 1 / k) * (1 + 1 / (k + more)), k + more - 1.0)]
        every = [*scaled, (of_rows, float(max(means.rows - 1, 1)))]
        total = sum(v for v, _ in every)
        spread = sum(v**2 / freedom for v, freedom in every)
        half = t_quantile(0.5 + level / 2, total**2 / spread if spread else math.inf) * math.sqrt(total)
        return excess.value - half > 0 or excess.value + half <= margin

    if not tells(MOST_RETRAINS):
        return None
    low, high = 1, MOST_RETRAINS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle + 1, high)
    return low


def _reason(pairs: Pairs, excess: Estimate, margin: float, verdict: Judgement, more: int | None, what: str) -> str:
    def said(value: float) -> str:
        return f"{points(value)} points" if what == "churn" else f"{value:.3g}"

    if verdict == "beyond noise":
        return f"beyond noise: {what} is {said(excess.value)} above what retraining alone brings, at least {said(excess.low)}"
    if verdict == "within noise":
        return f"within noise: an excess {what} of {said(margin)} or more is ruled out (at most {said(excess.high)})"
    if math.isnan(excess.low):
        given = pairs.retrains if not pairs.new_retrains else min(pairs.retrains, pairs.new_retrains)
        told = f"{given} retrain{'s' if given > 1 else ''}{' of each recipe' if pairs.new_retrains else ''}"
        verb = "show" if given > 1 else "shows"
        return f"cannot tell: {told} {verb} no spread to judge an excess of {said(excess.value)} by; give {ASK_FOR} or more"
    span = f"the excess {what} may be {said(excess.low)} to {said(excess.high)}"
    if more is not None:
        each = " of each recipe" if pairs.new_retrains else ""
        return f"cannot tell: {span}; about {more} more retrain{'s' if more > 1 else ''}{each} would tell"
    if pairs.new_retrains:
        return f"cannot tell: {span}, and no number of retrains would tell; more rows might"
    return f"cannot tell: {span}, and no number of retrains of the old recipe would tell; retrains of the new recipe might"
