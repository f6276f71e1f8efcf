"""Types that every layer shares: the array, the estimate, its interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Array: TypeAlias = Any
"""Any array of the Python array API (NumPy, PyTorch, JAX, CuPy ...); NumPy is the only one required."""

Target: TypeAlias = Literal["both", "replicas", "examples"]
"""What an interval is a claim about: new replicas and new examples; new replicas on this test set; or new
examples with these very replicas."""

TARGET_IN_WORDS: dict[Target, str] = {
    "both": "new replicas of the recipe and new examples",
    "replicas": "new replicas of the recipe, this test set",
    "examples": "these models alone, new examples",
}


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and what the interval is a claim about.

    Attributes:
        value: the measure; fractions are in [0, 1], logarithms are in nats.
        low, high: bounds of the interval, inside the measure's range and not symmetric about the value in general;
            nan where no interval exists (one replica and one example, or an infinite value).
        standard_error: square root of the sum of the variance parts.
        replicas, examples: M and N, how many the number rests on.
        level: nominal coverage.
        target: what varies in the imagined repetition (see `TARGET_IN_WORDS`).
        units: independent units of the examples: N, or the number of clusters; None means N.

    Example:
        >>> round(Estimate(0.05, 0.03, 0.07, 0.01, replicas=10, examples=800).half_width, 12)
        0.02
    """

    value: float
    low: float
    high: float
    standard_error: float
    replicas: int
    examples: int
    level: float = 0.95
    target: Target = "both"
    units: int | None = None

    def __float__(self) -> float:
        return self.value

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan and infinity become None and "infinite" (JSON has neither)."""
        return {key: plain_number(value) for key, value in asdict(self).items()}


def plain_number(value: Any) -> Any:
    """A value JSON can hold: nan becomes None, infinity the word "infinite"; anything else is returned as it is.

    >>> plain_number(float("inf")), plain_number(float("nan")), plain_number(0.5)
    ('infinite', None, 0.5)
    """
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return value
