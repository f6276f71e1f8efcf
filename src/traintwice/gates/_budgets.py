"""Budgets on an update: what they limit, in which unit, and what came of them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from traintwice._typed import check_types, typed
from traintwice.compare._inputs import named
from traintwice.compare._results import Diff
from traintwice.compare._shown import Drawn, Shown
from traintwice.errors import BadInput, BadSpec, unknown
from traintwice.metrics import ALL, Metric
from traintwice.types import Estimate

SPECIAL = ("excess", "decisions(THRESHOLD)", "swapped(K)")
"""Budgets that are not a metric: of the noise floor of churn, of decisions at a threshold, of the k highest scores."""

_CALLED = re.compile(r"(decisions|swapped)\(([0-9.eE+-]+)\)")

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


def called(budget: Budget) -> tuple[Literal["thresholds", "top_k"], float] | None:
    """The option of `diff` that a budget on decisions or swapped rows needs, and the number in its brackets; None for others."""
    match = _CALLED.fullmatch(budget.measure)
    if match is None:
        return None
    number = parse_limit(match[2])
    if number is None:
        raise BadInput(f"budget on {budget.measure}: got {match[2]!r}, expected a number such as 0.5")
    return "thresholds" if match[1] == "decisions" else "top_k", number


def metric_of(budget: Budget) -> Metric | None:
    """The metric that a budget limits; None for the special ones; raise `UnknownName` where there is none."""
    if budget.measure == "excess" or called(budget) is not None:
        return None
    known = [m.__name__ for m in ALL]
    if budget.measure not in known:
        raise unknown("measure", budget.measure, [*known, *SPECIAL])
    return named(budget.measure)


def metric_of_slice(budget: Budget) -> Metric | None:
    """The metric whose value in every slice is compared with the limit; None if slices always have it."""
    metric = metric_of(budget)
    if called(budget) is not None or budget.against is not None:
        raise BadInput(
            f"{budget.measure}{' against the floor' * bool(budget.against)} has no value by slice; leave out @COLUMN and --by"
        )
    if metric is None or (budget.measure in ("churn", "negative_flips", "accuracy", "recall") and budget.of == "change"):
        return None
    if not metric.definition.between_replicas and budget.of != "change":
        raise BadInput(f"budget on {budget.measure}: by slice only the change from old to new has a limit")
    return metric


@typed
def check_budgets(budgets: Sequence[Budget], *, regression: bool = False) -> dict[str, Metric | None]:
    """The metric of each budget's measure; raise `BadInput` where there are none, for percent without its sign, and for a limit on the
    change of a share that is meant for the share itself.
    """
    if not budgets:
        raise BadInput("gate: no budget was given; pass at least one, such as --max churn=2%")
    wanted = {b.measure: metric_of(b) for b in budgets}
    for budget in budgets:
        is_fraction = unit_of(budget) == "fraction" and not (regression and budget.measure == "excess")
        metric = wanted[budget.measure]
        of_change = metric is not None and not metric.definition.between_replicas and budget.of == "change"
        if is_fraction and of_change and budget.min is not None and 0.5 <= budget.min <= 1:
            raise BadInput(
                f"budget on {budget.measure}: min = {budget.min:g} limits the change from old to new, such as -0.01; to limit the "
                f'{budget.measure} of the new model, write of = "new" in the [[budgets]] of a gate file'
            )
        for name, limit in (("max", budget.max), ("min", budget.min)):
            if is_fraction and limit is not None and abs(limit) > 1:
                raise BadInput(
                    f"budget on {budget.measure}: {name} = {limit:g} reads as {100 * limit:g} %, which a fraction cannot reach; write "
                    f"{limit:g}% ({limit / 100:g}) for {limit:g} percent, or a fraction between -1 and 1"
                )
    return wanted


def unit_of(budget: Budget) -> str:
    """The unit of a budget's limits: "fraction", or "number" for measures that are not in percent."""
    metric = metric_of(budget)
    return "number" if budget.against == "times floor" else "fraction" if metric is None else metric.definition.unit


def parse_limit(text: str) -> float | None:
    """The number of a limit: "2%", "0.02"; None if the text is not a number.

    >>> parse_limit("2%"), parse_limit(" 2.5 % "), parse_limit("0.02"), parse_limit("two")
    (0.02, 0.025, 0.02, None)
    """
    match = re.fullmatch(r"\s*([^%\s]+)\s*(%?)\s*", text)
    try:
        value = float(match[1]) if match else math.nan
    except ValueError:
        return None
    return None if match is None or math.isnan(value) else value / 100 if match[2] else value


def in_words(budget: Budget, column: str | None, value: str | None) -> str:
    """What a budget compares: "old accuracy", "churn minus its floor", "churn where country is BR"."""
    where = "" if column is None else f" where {column} is {'missing' if value is None else value}"
    floor = {None: "", "minus floor": " minus its floor", "times floor": " / floor"}[budget.against]
    return f"{'' if budget.of == 'change' else budget.of + ' '}{budget.measure}{floor}{where}"
