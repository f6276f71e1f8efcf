"""Budgets on an update: a launch passes or fails by numbers agreed on before."""

from __future__ import annotations

import glob
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from traintwice.compare.both_models import change_of
from traintwice.compare.diff import diff, named
from traintwice.compare.gate_file import read_gate
from traintwice.compare.gate_types import Budget, Check, GateResult, Rule
from traintwice.compare.results import PREDICTED, Diff, Slice
from traintwice.errors import BadInput, unknown
from traintwice.metrics import ALL, Metric
from traintwice.types import Estimate

SPECIAL = ("excess",)
"""Names of budgets that are no metric."""


def gate(
    old: Any, new: Any, budgets: Sequence[Budget], *, rule: Rule = "point", waive: Collection[str] = (), **options: Any
) -> GateResult:
    r"""Hold the difference between two models against budgets.

        "point": value <= max;   "bound": upper end of the interval <= max;   likewise with min and the lower end

    Args:
        old, new: see `diff`.
        budgets: the limits; a budget with ``by`` is checked in every slice of at least ``min_support`` rows.
        rule: for budgets that name none.
        waive: ids of rows that do not count.
        options: of `diff`, such as ``floor``, ``id``, ``label`` and ``by``.
    Returns:
        A `GateResult`. A measure without value does not pass.
    Raises:
        BadInput: no budgets, a measure that has no value by slice, or see `diff`. UnknownName: no such measure.
    Source:
        Ours.
    Example:
        >>> old, new, y = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 0]), np.array([0, 1, 1, 0])
        >>> result = gate(old, new, [Budget("churn", max=0.3), Budget("negative_flips", max=0.1)], label=y)
        >>> result.passed, [check.reason for check in result.failed]
        (False, ['negative_flips is 0.25, more than the 0.1 allowed'])
    """
    if not budgets:
        raise BadInput("gate: no budget was given; pass at least one, such as --max churn=0.02")
    metrics = {b.measure: _metric(b) for b in budgets}
    by_slice = {_key(b): m for b in budgets if b.by is not None and (m := _of_slice(b)) is not None}
    columns = [b.by for b in budgets if b.by not in (None, PREDICTED)]
    if not isinstance(options.get("by"), Mapping):
        given = options.get("by") or ()
        options["by"] = list(dict.fromkeys([*([given] if isinstance(given, str) else given), *columns])) or None
    which = [m for m in metrics.values() if m is not None]
    found = diff(old, new, which=which, by_slice=list(by_slice.values()), waive=waive, **options)
    if "excess" in metrics and found.floor is None:
        raise BadInput("gate: a budget on excess needs retrains of the old recipe; pass --floor")
    checks = [check for budget in budgets for check in _checks(budget, found, budget.rule or rule)]
    return GateResult(tuple(checks), found, found.waived, _notes(budgets, found))


def gate_file(path: str | Path, **options: Any) -> GateResult:
    """Run the gate of a TOML file; paths in it are relative to it.

    Args:
        path: of the file.
        options: of `diff`, which win over those of the file.
    Raises:
        BadSpec, UnknownName: the file says something that cannot be; the message names the path of the key. BadInput: see `gate`.
    """
    path = Path(path)
    asked = read_gate(path)
    for name in ("old", "new"):
        if getattr(asked, name) is None and name not in options:
            raise BadInput(f"{path}: {name} is missing; a gate compares two files of predictions")
    beside = {name: getattr(asked, name) for name in ("old", "new", "floor", "new_floor")}
    files = {
        name: [_beside(path, f) for f in value] if isinstance(value, tuple) else value and _beside(path, value)
        for name, value in beside.items()
    }
    settings: dict[str, Any] = {
        **files,
        **{name: list(getattr(asked, name)) or None for name in ("id", "probs", "classes", "by")},
        **{
            name: getattr(asked, name)
            for name in ("label", "weight", "logits", "regression", "by_position", "on_missing", "memory")
        },
        **{name: getattr(asked, name) for name in ("level", "min_support", "no_rows", "rule", "waive")},
        "budgets": asked.budgets,
        **options,
    }
    probs = settings["probs"]
    settings["probs"] = probs[0] if probs and len(probs) == 1 else probs
    return gate(**settings)


def _beside(path: Path, name: str) -> str:
    """A path or glob relative to a file; only ``name`` is read as a glob, not the folder."""
    together = path.parent / name
    return str(together) if together.exists() else str(Path(glob.escape(str(path.parent))) / name)


def _metric(budget: Budget) -> Metric | None:
    if budget.measure in SPECIAL:
        return None
    known = [m.__name__ for m in ALL]
    if budget.measure not in known:
        raise unknown("measure", budget.measure, [*known, *SPECIAL])
    return named(budget.measure)


def _of_slice(budget: Budget) -> Metric | None:
    """The metric whose value in every slice is held against the limit; None where slices have it anyway."""
    metric = _metric(budget)
    if metric is None or budget.measure == "churn":
        return None
    if metric.definition.between_replicas:
        return metric
    if budget.of != "change":
        raise BadInput(f"budget on {budget.measure}: by slice only the change from old to new has a limit")
    return change_of(metric)


def _key(budget: Budget) -> str:
    return budget.measure


def _checks(budget: Budget, found: Diff, rule: Rule) -> Iterator[Check]:
    if budget.by is None:
        estimate = _overall(budget, found)
        yield _check(budget, None, None, estimate, rule, found.left_out.get(budget.measure, "it has no value here"))
        return
    for part in sorted((s for s in found.slices if s.column == budget.by), key=lambda s: s.value or ""):
        yield _check(budget, part.column, part.value, _in_slice(budget, part), rule, "it has no value in this slice")


def _overall(budget: Budget, found: Diff) -> Estimate | None:
    if budget.measure == "excess":
        return None if found.floor is None else found.floor.excess
    for quality in found.quality:
        if quality.name == budget.measure:
            return {"old": quality.old, "new": quality.new, "change": quality.change}[budget.of]
    return next((m.estimate for m in found.measures if m.name == budget.measure), None)


def _in_slice(budget: Budget, part: Slice) -> Estimate | None:
    if budget.measure == "churn":
        return part.churn
    if budget.measure == "excess":
        return part.excess
    metric = _of_slice(budget)
    return None if metric is None else part.measures.get(metric.__name__)


def _check(budget: Budget, column: str | None, value: str | None, estimate: Estimate | None, rule: Rule, why: str) -> Check:
    where = "" if column is None else f" where {column} is {'missing' if value is None else value}"
    name = f"{'' if budget.of == 'change' else budget.of + ' '}{budget.measure}{where}"
    if estimate is None or math.isnan(estimate.value):
        limit = budget.max if budget.max is not None else budget.min
        return Check(budget, column, value, estimate, math.nan, limit or 0.0, False, f"{name} cannot be checked: {why}")
    broken = None
    shown: tuple[float, float] = (estimate.value, 0.0)
    for limit, end, sign in ((budget.max, estimate.high, 1), (budget.min, estimate.low, -1)):
        if limit is None:
            continue
        compared = estimate.value if rule == "point" or (rule == "both" and math.isnan(end)) else end
        shown = (compared, limit)
        if not sign * compared <= sign * limit:
            broken = (compared, limit, sign)
            break
    if broken is None:
        ends = [
            f"at most {budget.max:g}" if budget.max is not None else "",
            f"at least {budget.min:g}" if budget.min is not None else "",
        ]
        reason = f"{name} is {estimate.value:.4g}, {' and '.join(e for e in ends if e)} allowed"
        return Check(budget, column, value, estimate, *shown, True, reason)
    compared, limit, sign = broken
    more = "more" if sign > 0 else "less"
    if math.isnan(compared):
        reason = f"{name} is {estimate.value:.4g} and has no interval to hold against {limit:g}"
    elif compared == estimate.value:
        reason = f"{name} is {estimate.value:.4g}, {more} than the {limit:g} allowed"
    else:
        reason = f"{name} is {estimate.value:.4g} but may be {compared:.4g}, {more} than the {limit:g} allowed"
    return Check(budget, column, value, estimate, compared, limit, False, reason)


def _notes(budgets: Sequence[Budget], found: Diff) -> tuple[str, ...]:
    if not any(b.by for b in budgets) or not found.slices_left_out:
        return ()
    return (f"{found.slices_left_out} slices of fewer than {found.min_support} rows were not checked",)
