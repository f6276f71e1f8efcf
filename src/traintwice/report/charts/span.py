"""An axis that one odd row does not squeeze."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FAR = 3.0
"""Beyond so many interquartile ranges from the quartiles an interval's end is far out (Tukey 1977)."""


def span_of_most(ends: Sequence[float]) -> tuple[float, float]:
    """From the smallest to the largest end of intervals that is not far out, with a little room.

    Args:
        ends: of all intervals, lower and upper.
    Returns:
        Low and high; what lies outside must be named beside the chart. Where half the ends are equal, nothing counts as far out.
    Example:
        >>> span_of_most([0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
        (-0.24, 4.24)
    """
    values = np.asarray(ends, dtype=np.float64)
    lower, upper = np.quantile(values, [0.25, 0.75])
    reach = FAR * (upper - lower)
    near = values[(values >= lower - reach) & (values <= upper + reach)] if reach > 0 else values
    room = 0.06 * float(near.max() - near.min()) or 1.0
    return float(near.min()) - room, float(near.max()) + room
