"""Types of all layers: array, estimate, target of an interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Estimate", "plain_number"]

Array: TypeAlias = Any
"""Any array of the Python array API (NumPy, PyTorch, JAX, CuPy ...); NumPy is the only one required."""

Target: TypeAlias = Literal["both", "replicas", "examples"]
"""What varies in the imagined repetition behind an interval: replicas and examples; replicas, on this test set; or examples, with these
replicas."""

TARGET_IN_WORDS: dict[Target, str] = {
    "both": "new replicas of the recipe and new examples",
    "replicas": "new replicas of the recipe, this test set",
    "examples": "these models alone, new examples",
}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the measure; fractions are in [0, 1], logarithms are in nats.
        low, high: bounds of the interval, inside the range of the measure and in general not symmetric about the value;
            nan if there is no interval (one replica and one example, or an infinite value).
        standard_error: square root of the sum of the variance parts.
        replicas, examples: M and N.
        level: nominal coverage.
        target: what varies in the imagined repetition (see `TARGET_IN_WORDS`).
        units: number of independent units: examples, or clusters; None means N.

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

    def __str__(self) -> str:
        """The value and its interval; fractions stay fractions.

        >>> print(Estimate(0.0512, 0.0301, 0.0725, 0.01, replicas=10, examples=800))
        0.0512 (0.0301 to 0.0725)
        """
        value, *ends = (f"{number:.4g}" for number in (self.value, self.low, self.high))
        return value if math.isnan(self.low) else f"{value} ({' to '.join(ends)})"

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2

    def bounded(self) -> tuple[float, ...]:
        """Value, low and high; the value alone where there is no interval; nothing where the value is not finite.

        >>> Estimate(0.05, 0.03, 0.07, 0.01, 10, 800).bounded()
        (0.05, 0.03, 0.07)
        """
        if not math.isfinite(self.value):
            return ()
        bounds = (self.low, self.high)
        return (self.value, *bounds) if all(map(math.isfinite, bounds)) else (self.value,)

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside the interval; False without an interval.

        >>> Estimate(0.05, 0.03, 0.07, 0.01, 10, 800).excludes_zero, Estimate(0.05, -0.01, 0.11, 0.03, 10, 800).excludes_zero
        (True, False)
        """
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which has no nan and no infinity: None and "infinite"."""
        return {key: plain_number(value) for key, value in asdict(self).items()}


def plain_number(value: Any) -> Any:
    """A value for JSON: nan becomes None, infinity becomes "infinite"; other values are unchanged.

    >>> plain_number(float("inf")), plain_number(float("nan")), plain_number(0.5)
    ('infinite', None, 0.5)
    """
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return value
