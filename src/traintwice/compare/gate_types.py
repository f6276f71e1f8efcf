"""Budgets, and what became of them, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from traintwice.compare.results import Diff, plain
from traintwice.errors import BadInput
from traintwice.tables import gate_sheet
from traintwice.types import Estimate

Rule = Literal["point", "bound", "both"]
"""What is held against a limit: the number, the end of its interval on the wrong side, or both of them (which is the bound where
there is an interval, and the number where there is none)."""


@dataclass(frozen=True)
class Budget:
    """A limit on one measure.

    Attributes:
        measure: its name, such as "churn", "negative_flips", "excess", or "accuracy" for the change new minus old.
        max, min: the limits; at least one.
        by: a group column, or "predicted class": every slice must keep the limit; None for all rows.
        rule: see `Rule`; None takes the gate's.
        of: for a measure of quality, whether the limit is on the change (default), the old or the new model.
    """

    measure: str
    max: float | None = None
    min: float | None = None
    by: str | None = None
    rule: Rule | None = None
    of: Literal["change", "old", "new"] = "change"

    def __post_init__(self) -> None:
        if self.max is None and self.min is None:
            raise BadInput(f"budget on {self.measure}: give max or min")
        for limit in (self.max, self.min):
            if limit is not None and not math.isfinite(limit):
                raise BadInput(f"budget on {self.measure}: got a limit of {limit}, expected a finite number")


@dataclass(frozen=True)
class GateFile:
    """A gate as a TOML file says it; paths are relative to the file.

    Attributes:
        old, new: files of predictions.
        floor, new_floor: retrains of each recipe.
        id, label, weight, by, probs: columns; see `traintwice.diff`.
        classes: names of the classes in the order of the predictions.
        logits, regression, by_position, on_missing, memory: see `traintwice.diff`.
        rule: see `Rule`, for budgets that name none.
        level, min_support: of intervals and slices.
        no_rows: keep ids and rows out of every output.
        waive: ids of rows that do not count.
        budgets: the limits.
    """

    old: str | None = None
    new: str | None = None
    floor: tuple[str, ...] = ()
    new_floor: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    label: str | None = None
    weight: str | None = None
    by: tuple[str, ...] = ()
    probs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    logits: bool = False
    regression: bool = False
    by_position: bool = False
    on_missing: Literal["refuse", "drop"] = "refuse"
    memory: str | None = None
    rule: Rule = "point"
    level: float = 0.95
    min_support: int = 100
    no_rows: bool = False
    waive: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True)
class Check:
    """One budget held against one number.

    Attributes:
        budget: the limit.
        column, value: the slice; None for all rows.
        estimate: the number; None where it has no value.
        compared: the number or bound that was held against the limit; nan where it has none.
        limit: the limit that ``compared`` came closest to breaking.
        passed: whether it was kept.
        reason: in a sentence.
    """

    budget: Budget
    column: str | None
    value: str | None
    estimate: Estimate | None
    compared: float
    limit: float
    passed: bool
    reason: str


@dataclass(frozen=True)
class GateResult:
    """Every check of a gate, and the comparison it rests on.

    Attributes:
        checks: in the order of the budgets.
        diff: the comparison.
        waived: how many rows were waived.
    """

    checks: tuple[Check, ...]
    diff: Diff
    waived: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """True where every budget was kept."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that broke their limit."""
        return tuple(check for check in self.checks if not check.passed)

    def __str__(self) -> str:
        return gate_sheet(self).to_text()

    def _repr_html_(self) -> str:
        return gate_sheet(self).to_html()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found: Mapping[str, Any] = plain({"passed": self.passed, "waived": self.waived, "notes": self.notes})
        return {**found, "checks": plain(self.checks), "diff": self.diff.to_dict()}
