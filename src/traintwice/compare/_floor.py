"""A change between two models against the change that retraining alone causes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from traintwice._formatting import times
from traintwice.compare._expressions import ONE, Expression, changed, decided, lost, number
from traintwice.compare._parts import Judgement, NoiseFloor
from traintwice.compare._results import RETRAINS, Wording
from traintwice.compare._tally import Tally
from traintwice.metrics._definition import Unit
from traintwice.statistics._inference import least_that
from traintwice.statistics._special import t_quantile
from traintwice.types import Estimate

ASK_FOR = 4
"""Recommended number of retrains."""

LEAST = 3
"""Fewest retrains that allow a verdict."""

NO_VERDICT = "no verdict rests on them"

MOST_RETRAINS = 10_000
"""Largest number of retrains that is searched."""

MARGIN = 1.5
"""Smallest ratio to the floor that matters, unless another is given."""

TITLES = {"churn": "churn", "negative_flips": "negative flips", "regression_difference": "the regression difference"}


class Pairs:
    """Pairs of models that a noise floor needs; models are in the order old, new, k retrains of old, l retrains of new."""

    def __init__(self, retrains: int, new_retrains: int) -> None:
        self.retrains, self.new_retrains = retrains, new_retrains
        self.olds = [0, *range(2, 2 + retrains)]
        self.news = [1, *range(2 + retrains, 2 + retrains + new_retrains)]
        models = range(2 + retrains + new_retrains)
        with_old = [(0, 1), *[(0, again) for again in self.olds[1:]]]
        self.pairs = [(a, b) for a in models for b in models if a < b] if new_retrains else with_old

    def within(self, a: int, b: int) -> bool:
        """Whether two models are of one recipe."""
        return (a in self.olds) == (b in self.olds)

    def cross(self, olds: Sequence[int], news: Sequence[int]) -> np.ndarray:
        """The coefficients of the pairs in the mean change of an old against a new model."""
        return self._mean(lambda a, b: (a in olds and b in news) or (a in news and b in olds))

    def floor(self, olds: Sequence[int], news: Sequence[int]) -> np.ndarray:
        if not self.new_retrains:
            return self._mean(lambda a, b: (a, b) != (0, 1))
        return np.asarray((self.mean_within(olds) + self.mean_within(news)) / 2)

    def mean_within(self, models: Sequence[int]) -> np.ndarray:
        """The coefficients in the mean change between some models."""
        return self._mean(lambda a, b: a in models and b in models)

    def _mean(self, chosen: Callable[[int, int], bool]) -> np.ndarray:
        hit = np.array([chosen(a, b) for a, b in self.pairs], dtype=float)
        return np.asarray(hit / hit.sum())


def noise_floor(
    pairs: Pairs,
    counts: np.ndarray,
    rows: float,
    variance_of: Callable[[np.ndarray], float] | None,
    *,
    name: str,
    title: str,
    unit: Unit,
    level: float,
    margin: float,
    units: int,
    clustered: bool = False,
    weighted: bool = False,
    identical: str | None = None,
    words: Wording = RETRAINS,
) -> NoiseFloor:
    r"""Change, floor, ratio and verdict.

        ratio = d_0 / mean_i d_i;   log ratio ± max(t_{k−1} · s_log · sqrt(1 + 1/k), z · sqrt(V_E)), s_log the standard deviation of
        log d_i, V_E the example part of log ratio.   With retrains of both recipes: ratio = cross / ((within old + within new)/2);
        log ratio ± sqrt(t² V_J(old) + t² V_J(new) + z² V_E), V_J the jackknife over the models of one recipe

    Args:
        pairs, counts, rows: the models, how many rows change between those of each pair, and how many rows there are (sums of weights).
        variance_of: the example part of the variance of a linear form of ``counts``; None: counts then vary as Poisson counts do.
        units: independent units of the example part; with ``clustered`` they are clusters, with ``weighted`` the effective number of
            rows, and z becomes t with units − 1.
        identical: which models are bit-identical, in words; no verdict then.
    Source:
        docs/concepts/definitions.md, "Noise floor". Ours: where a count is zero, ½ is added to each.
    """
    one_unit = (clustered or weighted) and units <= 1
    edge = t_quantile(0.5 + level / 2, units - 1 if (clustered or weighted) and not one_unit else math.inf)
    shape = _Shape(pairs, counts.astype(np.float64), variance_of, edge, level)
    of_floor = pairs.floor(pairs.olds, pairs.news)
    change, floor = float(pairs.cross(pairs.olds, pairs.news) @ counts) / rows, float(of_floor @ counts) / rows
    value = change / floor if floor > 0 else math.nan if change == 0 else math.inf
    half, log_ratio, low, high, error = shape.half(), shape.log_ratio(pairs.olds, pairs.news), math.nan, math.nan, math.nan
    known = math.isfinite(half)
    if known:
        low, high = math.exp(log_ratio - half), math.exp(min(log_ratio + half, 700.0))
    if known and math.isfinite(value):
        error = half / t_quantile(0.5 + level / 2, math.inf) * value
    models = 2 + pairs.retrains + pairs.new_retrains
    estimate = partial(Estimate, replicas=models, examples=round(rows), level=level, target="both", units=units)
    ratio = estimate(value, 0.0 if change == 0 < floor else low, math.inf if floor == 0 < change else high, error)
    # Where ½ was added to each count, it cancels in the excess, and its bounds are those of the counts with ½ added.
    base = float(of_floor @ shape.counts) / rows
    excess = estimate(change - floor, base * (low - 1), base * (high - 1), error * floor)
    alike = not pairs.new_retrains and pairs.retrains > 1 and len(set(counts[1:].tolist())) == 1
    if identical is None and one_unit:
        identical = "all rows are in one cluster, which does not show how clusters vary"
        if not clustered:
            identical = "one row has nearly all the weight"
    if identical is not None or (alike and counts[1:].any()):
        ratio, excess = (replace(e, low=math.nan, high=math.nan) for e in (ratio, excess))
    if alike and identical is None:
        identical = words.alike if counts.any() else "no row changes between the old model and any other"
    few = min(pairs.retrains, pairs.new_retrains or pairs.retrains)
    verdict: Judgement = "inconclusive"
    more: int | None = 0
    if identical is not None:
        more = None if one_unit else ASK_FOR
    elif few < LEAST or not known:
        more = max(ASK_FOR - few, 1)
    elif (verdict := judged(low, high, margin)) == "inconclusive":
        more = shape.more(log_ratio, margin)
    inside = [float(pairs.mean_within(m) @ counts) / rows if pairs.new_retrains else None for m in (pairs.olds, pairs.news)]
    found = NoiseFloor(
        name=name,
        title=title,
        unit=unit,
        retrains=pairs.retrains,
        new_retrains=pairs.new_retrains,
        value=change,
        floor=floor,
        ratio=ratio,
        excess=excess,
        each=tuple(float(counts[i] / rows) for i, (a, b) in enumerate(pairs.pairs) if a == 0 and b in pairs.olds),
        within_old=inside[0],
        within_new=inside[1],
        verdict=verdict,
        margin=margin,
        more_retrains=more,
        reason="",
    )
    return replace(found, reason=_reason(found, identical, few, words))


def judged(low: float, high: float, margin: float) -> Judgement:
    return "within noise" if high < margin else "beyond noise" if low > 1 else "inconclusive"


class _Shape:
    """The log ratio of one comparison and how wide its interval is, now and with more retrains."""

    def __init__(
        self, pairs: Pairs, counts: np.ndarray, variance_of: Callable[[np.ndarray], float] | None, edge: float, level: float
    ) -> None:
        self.pairs, self.level, self._edge = pairs, level, edge
        relevant = counts
        if pairs.new_retrains:
            means = (pairs.cross(pairs.olds, pairs.news), pairs.mean_within(pairs.olds), pairs.mean_within(pairs.news))
            relevant = np.array([mean @ counts for mean in means])
        few = bool((relevant <= 0).any())
        self.counts = counts + 0.5 if few else counts
        p = pairs
        cross, floor = p.cross(p.olds, p.news), p.floor(p.olds, p.news)
        gradient = cross / max(float(cross @ self.counts), 1e-300) - floor / max(float(floor @ self.counts), 1e-300)
        poisson = float(np.sum(gradient**2 * self.counts))
        of_rows = math.nan if variance_of is None else variance_of(gradient)
        self.of_rows = float(np.fmax(of_rows, poisson)) if few or math.isnan(of_rows) else of_rows

    def log_ratio(self, olds: Sequence[int], news: Sequence[int]) -> float:
        """Log of the mean change of old against new over the floor."""
        cross, floor = (float(of(olds, news) @ self.counts) for of in (self.pairs.cross, self.pairs.floor))
        return math.log(cross / floor) if cross > 0 and floor > 0 else math.nan

    def half(self, more: int = 0) -> float:
        """Half the width of the interval of the log ratio with so many more retrains (of each recipe that has some)."""
        p, edge = self.pairs, self._edge
        if p.new_retrains:
            parts = [self._jackknife(models) for models in (p.olds, p.news)]
            if any(math.isnan(v) for v in parts):
                return math.nan
            of_models = sum(
                t_quantile(0.5 + self.level / 2, n + more - 1) ** 2 * v * n / (n + more)
                for v, n in zip(parts, (len(p.olds), len(p.news)), strict=True)
            )
            return math.sqrt(of_models + edge**2 * self.of_rows)
        if p.retrains < 2:
            return math.nan
        k = p.retrains + more
        spread = float(np.std(np.log(self.counts[1:]), ddof=1))
        return max(t_quantile(0.5 + self.level / 2, k - 1) * spread * math.sqrt(1 + 1 / k), edge * math.sqrt(self.of_rows))

    def more(self, log_ratio: float, margin: float) -> int | None:
        """How many more retrains would decide, if the ratio and its spread stayed as they are."""

        def decides(n: int) -> bool:
            half = self.half(n)
            return log_ratio + half < math.log(margin) or log_ratio - half > 0

        return least_that(decides, MOST_RETRAINS)

    def _jackknife(self, models: Sequence[int]) -> float:
        n, p = len(models), self.pairs
        if n < LEAST:
            return math.nan
        rests = [[m for m in models if m != left] for left in models]
        values = np.array(
            [self.log_ratio(rest if models is p.olds else p.olds, rest if models is p.news else p.news) for rest in rests]
        )
        return float((n - 1) / n * np.sum((values - values.mean()) ** 2))


def advice(found: NoiseFloor, words: Wording = RETRAINS) -> str:
    """What would decide an inconclusive verdict; "" where there is nothing to decide."""
    if found.verdict != "inconclusive" or found.more_retrains == 0:
        return ""
    if found.more_retrains is not None:
        return f"; about {found.more_retrains} more {words.one if found.more_retrains == 1 else words.many} would decide"
    if found.new_retrains:
        return f"; more {words.many} cannot resolve this, more rows may"
    return f"; {words.useless}"


def _reason(found: NoiseFloor, identical: str | None, few: int, words: Wording) -> str:
    what = found.title
    many = words.count(found.retrains)
    of_new = f" and {found.new_retrains}{words.of_new}" if found.new_retrains else ""
    given = f"{many}{of_new or words.given}"
    if identical is not None:
        return f"inconclusive: {identical}; {NO_VERDICT}"
    if few < LEAST or math.isnan(found.ratio.low):
        are = "is" if found.retrains + found.new_retrains == 1 else "are"
        wanted = words.wanted.format(ASK_FOR)
        return f"inconclusive: {many}{of_new} {are} too few to estimate the variance of a {words.one}; {wanted}"
    low, high = (times(end, word=False) for end in (found.ratio.low, found.ratio.high))
    verb = "are" if what.endswith("flips") else "is"
    ratio = f"{what} {verb} {times(found.ratio.value)} the floor ({low} to {high}; {given})"
    if found.verdict == "beyond noise":
        return f"{words.causes}: {ratio}"
    if found.verdict == "within noise":
        above = "; above the floor, by less than matters" if found.ratio.low > 1 else ""
        return f"within noise: {ratio}, below {found.margin:g} times{above}"
    return f"inconclusive: {ratio}{advice(found, words)}"


def floor_tallies(pairs: Pairs, *, regression: bool, thresholds: Sequence[float], clustered: bool) -> dict[str, Tally]:
    """Sums over rows of what changes between the models of each pair: churn, negative flips, decisions; or numbers."""
    of: dict[str, Callable[[int, int], Expression]] = {"churn": changed, "negative_flips": partial(_lost, pairs)}
    of |= {f"decisions({t:g})": partial(_decides_otherwise, t) for t in thresholds}
    if regression:
        of = {"regression_difference": lambda a, b: (number(a) - number(b)).size()}
    return {name: Tally(pair_quantities(pairs, expression), clustered=clustered) for name, expression in of.items()}


def floors_of(
    tallies: Mapping[str, Tally], pairs: Pairs, labelled: float, scale: float, floor_of: Callable[..., NoiseFloor]
) -> dict[str, NoiseFloor]:
    """The floors by name, from `floor_tallies`; ``labelled`` is the weight of rows with a label, ``scale`` of one row."""
    found = {}
    for name, tally in tallies.items():
        rows = labelled if name == "negative_flips" else float(tally.total(ONE).sum())
        if not rows:
            continue
        counts = np.array([tally.total(q)[0] for q in tally.quantities])

        def variance(form: np.ndarray, tally: Tally = tally) -> float:
            return float(tally.moments.variance(np.concatenate([[0.0], form / scale]))[0])

        found[name] = floor_of(
            pairs,
            counts / scale,
            rows / scale,
            variance,
            name=name,
            title=TITLES.get(name, name),
            unit="number" if name == "regression_difference" else "fraction",
            units=int(tally.moments.units[0]),
            clustered=tally.clustered,
            weighted=tally.weighted,
        )
    return found


def pair_quantities(pairs: Pairs, of: Callable[[int, int], Expression]) -> Mapping[str, Expression]:
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


def _decides_otherwise(threshold: float, a: int, b: int) -> Expression:
    return decided(a, threshold).differs(decided(b, threshold))
