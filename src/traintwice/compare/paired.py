"""One recipe against another, replica by replica and example by example; several against one baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from traintwice.compare.intervals import (
    example_variance,
    interval,
    p_value_of,
    replica_variance,
    t_quantile,
)
from traintwice.errors import BadInput
from traintwice.metrics import Measurement, Summary
from traintwice.types import Estimate

MOST_REPLICAS = 10_000
"""Beyond this many replicas a difference counts as not to be settled by replicas."""


@dataclass(frozen=True)
class Difference:
    """How much a measure of one recipe differs from another's, and whether that is beyond doubt.

    Attributes:
        estimate: recipe minus baseline, with its interval.
        p_value: two-sided, of no difference.
        adjusted: the p-value after Holm's adjustment over all comparisons made together.
        more_replicas: how many more replicas of both would make a difference of this size significant; 0 where it is,
            None where no number would (the examples are too few, or the difference is too small).
    """

    estimate: Estimate
    p_value: float
    adjusted: float
    more_replicas: int | None = None

    @property
    def settled(self) -> bool:
        """True where the difference is beyond doubt at the estimate's level."""
        return self.adjusted <= 1 - self.estimate.level


def paired(first: Measurement, second: Measurement) -> Measurement:
    """The difference first − second as a measurement, replica m of one paired with replica m of the other.

    Args:
        first, second: the same metric of two recipes of one study, on the same examples, with equally many replicas.
    Returns:
        A `Measurement` of the difference. Its leave-one-out values drop replica m from both together, which is right
        because the recipes of a study share their streams.
    Raises:
        BadInput: different numbers of replicas or examples.
    Source:
        Ours (spec section 2, recipe A against B).
    """
    if (first.replicas, first.examples) != (second.replicas, second.examples):
        raise BadInput(
            f"paired comparison: got {first.replicas} replicas x {first.examples} examples against {second.replicas} x "
            f"{second.examples}; expected the same numbers of both"
        )
    dropped = None if first.dropped is None or second.dropped is None else first.dropped - second.dropped
    return Measurement(first.value - second.value, first.rows - second.rows, dropped, first.influence - second.influence)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of one false claim among all is at most the level.

        the i-th smallest becomes max over j <= i of min(1, (n − j + 1) · p_(j))

    Source:
        Holm 1979.
    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def compare_with_baseline(recipes: Sequence[Measurement], baseline: Measurement, *, level: float = 0.95) -> list[Difference]:
    """Every recipe minus the baseline, paired by replica, p-values Holm-adjusted over the recipes.

    Args:
        recipes: the same metric of each recipe.
        baseline: the same metric of the baseline.
        level: nominal coverage of the (unadjusted) intervals, and one minus the level of the adjusted test.
    Returns:
        One `Difference` for each recipe, in their order.
    Source:
        Ours (spec section 2): jackknife of the difference, both parts, Holm.
    """
    differences = [paired(recipe, baseline) for recipe in recipes]
    estimates = [interval(d, level=level) for d in differences]
    p_values = [p_value_of(e) for e in estimates]
    by_size = sorted(range(len(p_values)), key=lambda i: p_values[i])
    results = []
    for i, adjusted in enumerate(holm(p_values)):
        result = Difference(estimates[i], p_values[i], adjusted, 0)
        if not result.settled:
            tests_left = len(p_values) - by_size.index(i)  # what Holm multiplies this p-value by
            result = replace(result, more_replicas=replicas_to_settle(differences[i], (1 - level) / tests_left))
        results.append(result)
    return results


def replicas_to_settle(difference: Measurement | Summary, significance: float) -> int | None:
    """How many more replicas of both recipes would make a difference of this size significant.

    The replica part shrinks as 1/M, the example part stays. Ours: a projection from these replicas, not a power
    calculation; with as many more, the chance of a clear answer is about one half.

    Args:
        difference: from `paired`.
        significance: two-sided, such as 0.05 divided by the number of comparisons.
    Returns:
        Number of further replicas, or None where up to 10,000 would not do.
    """
    replicas, examples = difference.replicas, difference.examples
    of_replicas, of_examples = replica_variance(difference), example_variance(difference)
    if math.isnan(of_replicas) or difference.value == 0:
        return None

    def enough(m: int) -> bool:
        part = of_replicas * replicas / m
        total = part + of_examples
        if total == 0:
            return True
        freedom = total**2 / (part**2 / (m - 1) + of_examples**2 / max(examples - 1, 1))
        return abs(difference.value) > t_quantile(1 - significance / 2, freedom) * math.sqrt(total)

    if not enough(MOST_REPLICAS):
        return None
    low, high = replicas, MOST_REPLICAS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return max(low - replicas, 1)
