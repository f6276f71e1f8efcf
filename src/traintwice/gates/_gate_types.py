"""Budgets, their checks, and the self-test of a gate, as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from traintwice._typed import check_types
from traintwice.compare._results import Diff
from traintwice.compare._shown import Drawn, Shown
from traintwice.errors import BadInput, BadSpec
from traintwice.types import Estimate

Rule = Literal["point", "bound"]
"""What is compared with a limit: the number, or its interval. By "bound" a budget is kept where the whole interval keeps it, over where
the whole interval breaks it, and inconclusive in between; a number without an interval is inconclusive."""

Outcome = Literal["kept", "over", "inconclusive"]

AgainstFloor = Literal["minus floor", "times floor"]

EXIT_STATUS: dict[Outcome, int] = {"kept": 0, "over": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Budget:
    """A limit on one measure.

    Attributes:
        measure: its name, such as "churn", "negative_flips", "decisions(0.5)", "swapped(100)", or "accuracy" for the change new minus
            old.
        max, min: the limits; at least one.
        by: a group column, or "predicted class": every slice must keep the limit; None for all rows.
        where: one value of that column: only its slice must.
        against: the limit is on the measure less its noise floor ("minus floor"), or in units of the floor ("times floor").
        rule: see `Rule`; None takes the gate's.
        of: for a measure of quality, whether the limit is on the change (default), the old or the new model.
    """

    measure: str
    max: float | None = None
    min: float | None = None
    by: str | None = None
    where: str | None = None
    against: AgainstFloor | None = None
    rule: Rule | None = None
    of: Literal["change", "old", "new"] = "change"

    def __post_init__(self) -> None:
        try:
            check_types(self)
        except BadSpec as error:
            raise BadInput(str(error)) from None
        if self.max is None and self.min is None:
            raise BadInput(f"budget on {self.measure}: give max or min")
        if self.where is not None and self.by is None:
            raise BadInput(f"budget on {self.measure}: where={self.where!r} needs by, the column of that value")
        for limit in (self.max, self.min):
            if limit is not None and not math.isfinite(limit):
                raise BadInput(f"budget on {self.measure}: got a limit of {limit}, expected a finite number")


@dataclass(frozen=True)
class Check:
    """One budget compared with one number.

    Attributes:
        budget: the limit.
        column, value: the slice; None for all rows.
        unit: "fraction", "points" (a difference of fractions) or "number"; the estimate and the limits stay fractions.
        estimate: the number; None where it has no value.
        outcome: kept, over, or inconclusive.
        reason: in a sentence.
    """

    budget: Budget
    column: str | None
    value: str | None
    unit: str
    estimate: Estimate | None
    outcome: Outcome
    reason: str


@dataclass(frozen=True, repr=False)
class GateResult(Drawn):
    """Every check of a gate, and the comparison that it rests on.

    Attributes:
        checks: in the order of the budgets.
        diff: the comparison.
        inconclusive: what an inconclusive gate counts as: "pass", "fail", or None for an outcome of its own.
        notes: notes on the checks.
    """

    checks: tuple[Check, ...]
    diff: Diff
    inconclusive: Literal["pass", "fail"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Over where any check is; else inconclusive where any is; else kept."""
        return worst_outcome([c.outcome for c in self.checks])

    @property
    def exit_status(self) -> int:
        """0 kept, 1 over, 3 inconclusive (0 or 1 where inconclusive counts as "pass" or "fail")."""
        if self.outcome == "inconclusive" and self.inconclusive is not None:
            return EXIT_STATUS["kept" if self.inconclusive == "pass" else "over"]
        return EXIT_STATUS[self.outcome]

    @property
    def passed(self) -> bool:
        """Whether the exit status is 0."""
        return self.exit_status == 0

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that are over their limit."""
        return tuple(c for c in self.checks if c.outcome == "over")


@dataclass(frozen=True, repr=False)
class SelfTest(Shown):
    """How often a gate does not pass with nothing changed: every ordered pair of retrains as old and new. Made by `self_test`.

    Attributes:
        models: names of the retrains.
        pairs: how many ordered pairs were compared.
        over, inconclusive: share of pairs with that outcome, each with an interval over new retrains (jackknife over models).
        by_budget: budget in words to the counts of its outcomes: kept, over, inconclusive.
        sentence: the result in words.
    """

    models: tuple[str, ...]
    pairs: int
    over: Estimate
    inconclusive: Estimate
    by_budget: tuple[tuple[str, int, int, int], ...]
    sentence: str


def worst_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Over before inconclusive before kept."""
    return "over" if "over" in outcomes else "inconclusive" if "inconclusive" in outcomes else "kept"
