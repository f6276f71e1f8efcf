"""A claim as a comparison of two rows, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["lower", "higher", "same", "not lower", "open"]
"""Claimed direction of the first row against the second: "same" is a difference within the margin that is not significant, "not lower" is
at most the margin lower, "open" is a question of ours without a direction."""

Outcome = Literal["yes", "no", "open"]
"""Result of one study: the claim holds, the opposite is significant, or neither."""

MARGIN = 0.1
"""Share of the reference up to which a difference counts as none. Ours."""

NEAR = (0.005, 0.5)
"""Holm-adjusted p-values between these are near the line of 0.05."""

NOT_RUN = "not run for this version yet"


@dataclass(frozen=True)
class Claim:
    """A claim as a comparison of two rows of a study.

    Args:
        source: paper and section, table or figure.
        text: the claim in our words.
        row, reference: rows of the study.
        metric: name; "(T)" at matched temperature.
        direction: of the claim.
    """

    source: str
    text: str
    row: str
    reference: str
    metric: str
    direction: Direction

    @property
    def key(self) -> str:
        """Key of the comparison in kept results."""
        return f"{self.row} | {self.reference} | {self.metric}"


def margin(metric: str, reference: float) -> float:
    """Largest difference that counts as none: a tenth of the reference; of accuracy, a tenth of the error.

    >>> round(margin("churn", 0.05), 4), round(margin("accuracy", 0.94), 4)
    (0.005, 0.006)
    """
    return MARGIN * abs(1 - reference if metric.startswith("accuracy") else reference)


def outcome(claim: Claim, found: Mapping[str, Any]) -> Outcome:
    """Result of one study for a claim.

    Args:
        claim: with a direction.
        found: kept comparison: "difference" (value, low, high), "reference", "significant".
    """
    value, low, high = found["difference"]
    within = margin(claim.metric, found["reference"])
    if claim.direction == "same":
        return "no" if found["significant"] else "yes" if low >= -within and high <= within else "open"
    if claim.direction == "not lower":
        return "no" if found["significant"] and value < 0 else "yes" if low >= -within else "open"
    wanted = -1 if claim.direction == "lower" else 1
    return ("yes" if value * wanted > 0 else "no") if found["significant"] else "open"


def verdict(claim: Claim, outcomes: Mapping[str, Outcome]) -> str:
    """Verdict over data sets, by name.

    "Holds in part" needs more data sets with the claimed result than with the opposite.
    """
    if claim.direction == "open":
        return ""
    if not outcomes:
        return NOT_RUN
    good, bad = ([name for name, o in outcomes.items() if o == which] for which in ("yes", "no"))
    if len(good) == len(outcomes):
        return "holds"
    if bad and len(bad) >= len(good):
        against = f"contradicted on {len(bad)} of {len(outcomes)}"
        return f"{against}; holds on {', '.join(good)}" if good else against
    if good:
        return f"holds in part{f'; contradicted on {_listed(bad)}' if bad else ''}"
    return "inconclusive"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def is_near(found: Mapping[str, Any]) -> bool:
    """Whether the Holm-adjusted p-value of a comparison is near the line."""
    return NEAR[0] <= float(found["p_holm"]) <= NEAR[1]
