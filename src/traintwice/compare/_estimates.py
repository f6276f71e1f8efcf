"""From a summary to an estimate with its interval; from two summaries to their difference and its p-value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from traintwice._typed import typed
from traintwice.compare._inputs import check_level
from traintwice.errors import BadInput, TooFewReplicas, Undefined
from traintwice.metrics import Accumulator, Measurement, Metric, Summary
from traintwice.metrics._summaries import effective_units
from traintwice.predictions import Predictions
from traintwice.statistics._inference import (
    NO_BOUNDS,
    Bounds,
    Part,
    Scale,
    half_width,
    holm,
    least_that,
    p_of_zero,
    scaled_bounds,
    wilson,
)
from traintwice.types import Estimate, Target

MOST_REPLICAS = 10_000
"""Largest number of replicas that is searched."""

FEW_CLUSTERS = 8
"""Below so many effective clusters an interval is wide, and a sentence says so."""

NEGLIGIBLE = 1e-12
"""A distance, or a variance, below this is what rounding leaves of none."""


@typed
def replica_variance(measurement: Summary) -> float:
    """Replica part V_J of the variance: what another draw of M replicas would change, on these examples.

        V_J = (M − 1)/M · Σ_m (θ_(−m) − mean θ_(−·))²

    Args:
        measurement: of any metric.
    Returns:
        A variance in squared units of the metric; nan where leaving one replica out is undefined (two replicas of a pair
        metric) or leaves no finite value. Conservative: for exchangeable noise up to 2(M − 1)/(M − 2) times the true variance.
    Source:
        Efron & Stein 1981. Ours: used for churn and every other mean over pairs.
    Example:
        >>> from traintwice.metrics import accuracy
        >>> replica_variance(accuracy.measure(np.array([[0, 1], [0, 0], [1, 1]]), np.array([0, 1])))
        0.02777777777777778
    """
    return measurement.replica_variance


@typed
def example_variance(measurement: Summary) -> float:
    """Example part V_E of the variance: what another draw of examples (or clusters) would change, with these replicas.

        V_E = U/(U − 1) · Σ_g (Σ_{n in g} z_n)² / N², z_n the influence of example n (for a plain mean z_n = u_n − mean u), over U
        independent units g: examples, or clusters of examples

    Args:
        measurement: of any metric; weights are already in its influences.
    Returns:
        A variance in squared units of the metric; nan with a single unit, an infinite value, or a metric that has no
        first-order influence of single examples.
    Source:
        The usual variance of a mean, and the cluster-robust ("sandwich") variance; for ratios the linearised ratio.
    Example:
        >>> from traintwice.metrics import accuracy
        >>> example_variance(accuracy.measure(np.array([[0, 1, 1, 1]]), np.array([0, 1, 0, 1])))
        0.0625
    """
    return measurement.example_variance


@typed
def interval(measurement: Summary, *, level: float = 0.95, target: Target = "both") -> Estimate:
    """The number with its interval.

        half-width h = sqrt(t²_{M−1} V_J + t²_{df} V_E), formed on the scale of the metric (log for measures >= 0, logit for
        fractions that may be near 1), see `scaled_bounds`; df = U − 1 of rows, of clusters one less than the effective number that
        carry the measure; a share between two models: Wilson's interval at n = θ(1 − θ)/V_E (z²/t²_{df} times that, for clusters); a
        measure that is 0, or as large as it can be, on all units has the bound of the exact binomial, about 3.7/U at 95 %

    Args:
        measurement: of any metric.
        level: nominal coverage, in (0, 1).
        target: "both" (new replicas and new examples), "replicas" (this test set) or "examples" (these models alone). Where
            leaving one replica out is undefined, two models of a pair metric for one, "both" becomes "examples" and the
            estimate says so; where a metric has no example part, or there is one example, "both" becomes "replicas".
    Returns:
        An `Estimate`; no bound leaves the range of the metric.
    Raises:
        BadInput: level outside (0, 1); "replicas" asked where no replica can be left out.
    Source:
        docs/concepts/definitions.md, "Intervals"; Zou & Donner 2008 for the sum of parts, Carter et al. 2017 for
        clusters. benchmarks/coverage.py measures the coverage.
    Example:
        >>> from traintwice.metrics import churn
        >>> votes = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
        >>> e = interval(churn.measure(votes))
        >>> round(e.value, 3), round(e.low, 3), round(e.high, 3), e.target
        (0.25, 0.019, 1.0, 'both')
    """
    check_level(level)
    s = measurement
    of_replicas, of_examples = s.replica_variance, s.example_variance
    if math.isnan(of_replicas):
        if target == "replicas":
            if s.jackknife_values is None:
                raise BadInput(f"an interval over new replicas needs at least 3 replicas, got {s.replicas}")
            raise BadInput(
                f"an interval over new replicas: without one of the {s.replicas} replicas the measure has no finite value; "
                'pass target="examples", or train more replicas'
            )
        if target == "both" and s.jackknife_values is not None:
            # Without one of its replicas the measure has no value: an interval over examples alone would hide how little is known.
            return Estimate(s.value, math.nan, math.nan, math.nan, s.replicas, s.examples, level, target, s.units)
        target = "examples"
    elif math.isnan(of_examples) and target == "both":
        target = "replicas"
    parts = []
    if target != "examples":
        parts.append(Part(of_replicas, s.replicas - 1))
    if target != "replicas":
        parts.append(Part(of_examples, s.freedom))
    variance = sum(p.variance for p in parts)
    low, high = _bounds(s, tuple(parts), level, alone=target == "examples")
    error = math.sqrt(variance) if variance >= 0 and s.scale != "none" else math.nan
    return Estimate(s.value, low, high, error, s.replicas, s.examples, level, target, s.units)


def summed_estimate(name: str, summed: Accumulator, level: float, left_out: dict[str, str]) -> Estimate | None:
    """A metric from its sums, with its interval; None, and in ``left_out`` the reason, where it has no value."""
    try:
        return interval(summed.compute(), level=level)
    except (Undefined, TooFewReplicas, BadInput) as reason:
        left_out[name] = summed.missing or str(reason)
        return None


def whole_estimate(metric: Metric, predictions: Predictions, level: float, left_out: dict[str, str]) -> Estimate | None:
    """A metric of predictions in memory, with its interval; None, and in ``left_out`` the reason, where it has no value."""
    missing = metric.definition.missing(predictions)
    try:
        if missing is None:
            return interval(metric.measure(predictions), level=level)
    except (Undefined, TooFewReplicas) as reason:
        missing = str(reason)
    left_out[metric.__name__] = missing
    return None


def p_of_no_change(change: Estimate) -> float:
    """Two-sided p-value of a change being zero, by a t test over its units."""
    return p_of_zero(change.value, change.standard_error**2, (change.units or change.examples) - 1)


def few_clusters(s: Summary) -> str | None:
    """A clause about a churn that rests on few clusters; None where enough carry it."""
    if not s.clustered or s.carriers >= FEW_CLUSTERS or not s.value > 0:
        return None
    if s.units == 1:
        return "all rows are in one cluster, so nothing is known about other clusters; more rows of the same cluster do not help"
    rests = f"churn rests on few clusters (effective number {s.carriers:.1f}, of {s.units:,}), so its interval is wide"
    return f"{rests}; more rows of the same clusters do not help"


def _bounds(s: Summary, parts: tuple[Part, ...], level: float, *, alone: bool) -> Bounds:
    if s.scale == "none" or not math.isfinite(s.value):
        return NO_BOUNDS
    units = s.independent
    if s.share and alone and s.replicas <= 2:
        variance = parts[0].variance * (units - 1) / units if units > 1 else 0.0
        rows = (s.examples if s.effective is None else s.effective) * s.base
        worth = fewest = min(rows, units * s.base)  # where nothing was seen, only clusters count
        share = s.value if NEGLIGIBLE < s.value < 1 - NEGLIGIBLE else float(round(s.value))
        if 0 < share < 1 and (units > 1 or not s.clustered):  # one cluster does not show how clusters vary
            worth = effective_units(share, variance, rows, level, s.freedom if s.clustered else math.inf)
        if s.clustered:  # a cluster counts as one row at least; its rows may be independent
            worth = max(worth, min(fewest, s.effective_clusters or units))
        return wilson(share, worth, level)
    return _bounds_of(s.value, half_width(parts, level), s.scale, s.most, units * s.base, level)


def _bounds_of(value: float, half: float, scale: Scale, most: float, units: float, level: float) -> Bounds:
    """Bounds on a scale; of a measure at an end of its range on all units, or of a change that all share, those of the exact binomial."""
    ends = (0.0, most, -most) if math.isfinite(most) else (0.0,) if scale != "plain" else ()
    end = next((e for e in ends if half < math.sqrt(NEGLIGIBLE) and abs(value - e) < NEGLIGIBLE), None)
    rest, equal = wilson(0.0, units, level)[1], scale == "plain" and half < math.sqrt(NEGLIGIBLE) * abs(value)
    if end is None or (equal and end):
        opposite = 2 * rest * abs(value) if equal else 0.0  # 0 is outside the bounds where the sign test rejects it
        return scaled_bounds(value, max(half, opposite), scale, most=most)
    if math.isinf(most):
        return 0.0, rest / (1 - rest) if rest < 1 else math.inf
    return max(end - rest * most, -most if scale == "plain" else 0.0), min(end + rest * most, most)


@dataclass(frozen=True)
class Difference:
    """How much a measure of one recipe differs from another's, and whether the difference is significant.

    Attributes:
        estimate: recipe minus baseline, with its interval.
        p_value: two-sided, of no difference: the larger of the replica part's and the example part's.
        adjusted: the p-value after Holm's adjustment over all comparisons made together.
        more_replicas: how many more replicas of both would make a difference of this size significant; 0 where it is,
            None where no number would (the examples are too few, or the difference is too small).
    """

    estimate: Estimate
    p_value: float
    adjusted: float
    more_replicas: int | None = None

    @property
    def significant(self) -> bool:
        """True where the interval excludes 0 and the adjusted p-value is at most one minus the level, as a claim about the recipes.

        Two replicas of each say nothing about new replicas, so no difference of theirs is significant.
        """
        e = self.estimate
        return e.target == "both" and e.replicas > 2 and e.excludes_zero and self.adjusted <= 1 - e.level


@dataclass(frozen=True)
class Gap:
    """The difference of two recipes and the parts of its variance.

    Attributes:
        value, most: second minus first; the largest difference possible.
        of_replicas: one part where the recipes are paired by replica, else one of each recipe; empty where replicas cannot be left out.
        of_examples: the example part.
        replicas, examples, units: as in `Summary`; the smaller number of replicas.
    """

    value: float
    of_replicas: tuple[Part, ...]
    of_examples: Part
    replicas: int
    examples: int
    units: int
    most: float = math.inf

    def estimate(self, level: float) -> Estimate:
        """The difference with its interval."""
        parts = (*self.of_replicas, self.of_examples)
        low, high = _bounds_of(self.value, half_width(parts, level), "plain", self.most, self.units, level)
        target: Target = "both" if self.of_replicas else "examples"
        error, seen = math.sqrt(sum(p.variance for p in parts)), (self.replicas, self.examples)
        return Estimate(self.value, low, high, error, *seen, level, target, self.units)

    def p_value(self) -> float:
        """The larger p-value of the two parts (see `docs/concepts/definitions.md`)."""
        of_examples = p_of_zero(self.value, self.of_examples.variance, self.of_examples.freedom)
        replicas = sum(p.variance for p in self.of_replicas)
        if not self.of_replicas or replicas <= NEGLIGIBLE * self.value**2:  # replicas that are equal but for rounding
            return of_examples
        of_replicas = p_of_zero(self.value, replicas, min(p.freedom for p in self.of_replicas))
        return max(of_replicas, of_examples)

    def with_replicas(self, factor: float) -> Gap:
        """The same difference were there so many times as many replicas of both."""
        parts = tuple(Part(p.variance / factor, (p.freedom + 1) * factor - 1) for p in self.of_replicas)
        return replace(self, of_replicas=parts)

    def difference(self, level: float, adjusted: float | None = None, tests: int = 1) -> Difference:
        """The difference with its p-value, and how many replicas more would make it significant among so many tests."""
        p = self.p_value()
        found = Difference(self.estimate(level), p, p if adjusted is None else adjusted, 0)
        if found.significant:
            return found

        def decides(more: int) -> bool:
            then = self.with_replicas((self.replicas + more) / self.replicas)
            return then.p_value() <= (1 - level) / tests and then.estimate(level).excludes_zero

        more = least_that(decides, MOST_REPLICAS - self.replicas) if self.of_replicas and self.value else None
        return replace(found, more_replicas=more)


@typed
def paired(first: Measurement, second: Measurement) -> Gap:
    """The difference first − second, replica m of one paired with replica m of the other.

    Args:
        first, second: the same metric of two recipes of one study, on the same examples, with equally many replicas.
    Returns:
        A `Gap`. Its leave-one-out values drop replica m from both together, which is right because the recipes of a study share
        their streams; its example part is that of the difference of influences, summed within clusters where there are some.
    Raises:
        BadInput: different numbers of replicas or examples.
    Source:
        docs/concepts/definitions.md, "Comparisons".
    """
    if (first.replicas, first.examples) != (second.replicas, second.examples):
        raise BadInput(
            f"paired comparison: got {first.replicas} replicas x {first.examples} examples against {second.replicas} x "
            f"{second.examples}; expected the same numbers of both"
        )
    variance, units = first.variance_of(first.influence - second.influence)
    return gap(second, first, variance, units, is_paired=True)


def gap(first: Summary, second: Summary, of_examples: float, units: int, *, is_paired: bool) -> Gap:
    """The difference second − first of two summaries; paired, replica m leaves both together, else the two replica parts add."""
    equal = math.isclose(first.value, second.value, rel_tol=NEGLIGIBLE)
    value = 0.0 if equal else second.value - first.value
    if is_paired and first.jackknife_values is not None and second.jackknife_values is not None:
        summaries = [replace(second, value=value, jackknife_values=second.jackknife_values - first.jackknife_values)]
    else:
        summaries = [first, second]
    parts = tuple(Part(s.replica_variance, s.replicas - 1) for s in summaries)
    known = all(math.isfinite(p.variance) for p in parts)
    return Gap(
        value,
        parts if known else (),
        Part(of_examples, units - 1),
        min(first.replicas, second.replicas),
        first.examples,
        units,
        math.inf if first.scale == "plain" else first.most,
    )


@typed
def compare_with_baseline(pairs: Sequence[tuple[Measurement, Measurement]], *, level: float = 0.95) -> list[Difference]:
    """Every recipe minus the baseline, paired by replica, p-values Holm-adjusted over the recipes.

    Args:
        pairs: the same metric of each recipe and of the baseline, on the same replicas.
        level: nominal coverage of the (unadjusted) intervals, and one minus the level of the adjusted test.
    Returns:
        One `Difference` for each recipe, in their order.
    Source:
        docs/concepts/definitions.md, "Comparisons": the larger p-value of the two parts; Holm.
    """
    gaps = [paired(recipe, baseline) for recipe, baseline in pairs]
    p_values = [g.p_value() for g in gaps]
    by_size = sorted(range(len(gaps)), key=lambda i: p_values[i])
    return [
        g.difference(level, adjusted, len(gaps) - by_size.index(i))  # what Holm multiplies the i-th smallest p-value by
        for i, (g, adjusted) in enumerate(zip(gaps, holm(p_values), strict=True))
    ]
