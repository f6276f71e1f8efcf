"""Intervals for a measure: over new replicas, over new examples, or over both.

Pairs of replicas share replicas, so pairs are not independent, and neither the spread over pairs nor a resampling of pairs
gives the error of a churn. The replica part is a delete-one-replica jackknife; the example part is the variance of the
per-example contributions.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from traintwice.errors import BadInput
from traintwice.metrics import Measurement, Summary
from traintwice.types import Estimate, Target


def replica_variance(measurement: Measurement | Summary) -> float:
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
    dropped = measurement.dropped
    if dropped is None or not np.isfinite(dropped).all():
        return math.nan
    replicas = len(dropped)
    return float((replicas - 1) / replicas * np.sum((dropped - dropped.mean()) ** 2))


def example_variance(measurement: Measurement | Summary) -> float:
    """Example part V_E of the variance: what another draw of N examples would change, with these replicas.

        V_E = var_n(z_n)/N, with z_n the influence of example n (for a plain mean z_n = u_n − mean u)

    Args:
        measurement: of any metric; weights are already in its influences.
    Returns:
        A variance in squared units of the metric; nan with a single example, an infinite value, or a metric that has no
        first-order influence of single examples.
    Source:
        The usual variance of a mean; for ratios the linearised ratio.
    Example:
        >>> from traintwice.metrics import accuracy
        >>> example_variance(accuracy.measure(np.array([[0, 1, 1, 1]]), np.array([0, 1, 0, 1])))
        0.0625
    """
    return measurement.example_variance


def interval(measurement: Measurement | Summary, *, level: float = 0.95, target: Target = "both") -> Estimate:
    """The number with its interval.

        variance = V_J + V_E, degrees of freedom = (V_J + V_E)² / (V_J²/(M − 1) + V_E²/(N − 1)), Student's t

    Args:
        measurement: of any metric.
        level: nominal coverage, in (0, 1).
        target: "both" (new replicas and new examples), "replicas" (this test set) or "examples" (these models alone). Where
            leaving one replica out is undefined, two models of a pair metric say, "both" becomes "examples" and the
            estimate says so; where a metric has no example part, or there is one example, "both" becomes "replicas".
    Returns:
        An `Estimate`, its bounds symmetric about the value and not clipped.
    Raises:
        BadInput: level outside (0, 1); "replicas" asked where no replica can be left out.
    Source:
        Ours: the sum of both parts with Welch-Satterthwaite degrees of freedom; benchmarks measure what it covers.
    Example:
        >>> from traintwice.metrics import churn
        >>> votes = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
        >>> e = interval(churn.measure(votes))
        >>> round(e.value, 3), round(e.half_width, 3), e.target
        (0.25, 0.499, 'both')
    """
    if not 0 < level < 1:
        raise BadInput(f"level: got {level}, expected a number between 0 and 1, such as 0.95")
    of_replicas, of_examples = replica_variance(measurement), example_variance(measurement)
    if math.isnan(of_replicas):
        if target == "replicas":
            raise BadInput(_no_replica_part(measurement))
        target = "examples"
    elif math.isnan(of_examples) and target == "both":
        target = "replicas"
    if target == "examples":
        of_replicas = 0.0
    elif target == "replicas":
        of_examples = 0.0
    error, freedom = _combine(of_replicas, measurement.replicas, of_examples, measurement.examples)
    half = t_quantile(0.5 + level / 2, freedom) * error
    value = measurement.value
    return Estimate(value, value - half, value + half, error, freedom, measurement.replicas, measurement.examples, level, target)


def _no_replica_part(measurement: Measurement | Summary) -> str:
    if measurement.dropped is None:
        return f"an interval over new replicas needs at least 3 replicas, got {measurement.replicas}"
    return (
        f"an interval over new replicas: without one of the {measurement.replicas} replicas the measure has no finite value; "
        'ask for target="examples", or train more replicas'
    )


def _combine(of_replicas: float, replicas: int, of_examples: float, examples: int) -> tuple[float, float]:
    """Standard error and Welch-Satterthwaite degrees of freedom of two independent variance parts."""
    total = of_replicas + of_examples
    if not total > 0 or not math.isfinite(total):
        return (0.0 if total == 0 else math.nan), math.inf
    spread = of_replicas**2 / max(replicas - 1, 1) + of_examples**2 / max(examples - 1, 1)
    return math.sqrt(total), (total**2 / spread if spread > 0 else math.inf)


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t; the normal's for infinite degrees of freedom.

    >>> round(t_quantile(0.975, 9), 3), round(t_quantile(0.975, math.inf), 3)
    (2.262, 1.96)
    """
    return float(special.ndtri(probability) if math.isinf(freedom) else special.stdtrit(freedom, probability))


def t_two_sided(statistic: float, freedom: float) -> float:
    """Two-sided p-value of Student's t.

    >>> round(t_two_sided(2.262, 9), 3)
    0.05
    """
    tail = special.ndtr(-abs(statistic)) if math.isinf(freedom) else special.stdtr(freedom, -abs(statistic))
    return float(2 * tail)


def p_value_of(estimate: Estimate) -> float:
    """Two-sided p-value of the number being zero; 1 where it has no standard error.

    >>> round(p_value_of(Estimate(2.262, 0.0, 4.524, 1.0, 9, replicas=10, examples=800)), 3)
    0.05
    """
    if not math.isfinite(estimate.value) or math.isnan(estimate.standard_error):
        return 1.0
    if estimate.standard_error == 0:
        return 1.0 if estimate.value == 0 else 0.0
    return t_two_sided(estimate.value / estimate.standard_error, estimate.degrees_of_freedom)
