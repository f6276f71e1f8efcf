"""Budgets on an update: limits that decide whether a launch passes."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from traintwice._addresses import is_address
from traintwice._formatting import between, limits_in_words, value_of
from traintwice._typed import check_arguments, typed
from traintwice.compare import _ledger as ledger_lines
from traintwice.compare._diff import diff
from traintwice.compare._inputs import named, with_groups
from traintwice.compare._ledger import LAST
from traintwice.compare._ledger_floor import opened_for
from traintwice.compare._parts import PREDICTED, Slice
from traintwice.compare._results import Diff
from traintwice.errors import BadInput, unknown
from traintwice.gates._gate_file import read_gate
from traintwice.gates._gate_types import Budget, Check, GateResult, Outcome, Rule
from traintwice.metrics import ALL, Metric
from traintwice.predictions import Predictions
from traintwice.types import Estimate

SPECIAL = ("excess", "decisions(THRESHOLD)", "swapped(K)")
"""Budgets that are not a metric: of the noise floor of churn, of decisions at a threshold, of the k highest scores."""

FLOORS = ("churn", "negative_flips", "regression_difference")

_CALLED = re.compile(r"(decisions|swapped)\(([0-9.eE+-]+)\)")


@typed
def gate(
    old: Any,
    new: Any,
    budgets: Sequence[Budget],
    *,
    rule: Rule = "bound",
    inconclusive: Literal["pass", "fail"] | None = None,
    waive: Collection[str | int] = (),
    **options: Any,
) -> GateResult:
    r"""Compare the difference between two models with budgets.

        "bound": kept where the whole interval is within the limits, over where the whole interval is beyond one, else inconclusive
        "point": kept where the number is within the limits, else over

    Args:
        old, new: see `diff`.
        budgets: the limits; a budget with ``by`` is checked in every slice of at least ``min_support`` rows, or in one with ``where``.
        rule: for budgets that name none.
        inconclusive: what an inconclusive outcome counts as; None: an outcome of its own.
        waive: ids of rows that do not count.
        options: of `diff`, such as ``floor``, ``id``, ``label``, ``by`` and ``ledger``.
    Returns:
        A `GateResult`. A measure without value is inconclusive.
    Raises:
        BadInput: no budgets, a limit that a fraction cannot reach, a measure that has no value by slice, or see `diff`. UnknownName: no
            such measure.
    Source:
        Ours.
    Example:
        >>> rng = np.random.default_rng(0)
        >>> old, new = rng.integers(2, size=1000), rng.integers(2, size=1000)
        >>> result = gate(old, new, [Budget("churn", max=0.3)], by_position=True)
        >>> result.outcome, result.checks[0].reason.split(" (")[0]
        ('over', 'churn is 51.7 %')
    """
    check_arguments(diff, options)
    wanted = check_budgets(budgets, regression=bool(options.get("regression")))
    by_slice = {b.measure: m for b in budgets if b.by is not None and (m := metric_of_slice(b)) is not None}
    options = _with_columns(old, options, budgets)
    which = [*options.pop("which", ()), *(m for m in wanted.values() if m is not None)]
    slices = [*options.pop("by_slice", ()), *by_slice.values()]
    rank = options.pop("rank", False) or any(m is not None and not m.definition.one_pass for m in wanted.values())
    ledger = options.pop("ledger", None)
    opened = opened_for(options.get("floor", ()), ledger, options.pop("last", LAST), options.pop("other_rows", False))
    found = diff(old, new, which=which, by_slice=slices, rank=rank, waive=waive, ledger=opened, **options)
    result = checked(found, budgets, rule, inconclusive)
    if opened is not None:
        opened.append(result.diff, result.outcome, tuple(map(_in_ledger, result.checks)))
    return result


@typed
def check_budgets(budgets: Sequence[Budget], *, regression: bool = False) -> dict[str, Metric | None]:
    """The metric of each budget's measure.

    Raises:
        BadInput: no budgets, or a limit that cannot be. UnknownName: no such measure.
    """
    if not budgets:
        raise BadInput("gate: no budget was given; pass at least one, such as --max churn=2%")
    wanted = {b.measure: _metric(b) for b in budgets}
    for budget in budgets:
        check_limits(budget, regression=regression)
    return wanted


def checked(
    found: Diff, budgets: Sequence[Budget], rule: Rule, inconclusive: Literal["pass", "fail"] | None = None
) -> GateResult:
    """The budgets of a comparison.

    Raises:
        BadInput: a budget against a noise floor, and no retrains.
    """
    for b in budgets:
        if (b.measure == "excess" or b.against is not None) and not found.floors and found.launches is None:
            raise BadInput(
                f"gate: a budget on {b.measure} {b.against or ''} needs retrains of the old recipe; pass --floor".replace(
                    "  ", " "
                )
            )
    checks = [check for budget in budgets for check in _checks(budget, found, budget.rule or rule)]
    return GateResult(tuple(checks), found, inconclusive, _notes(budgets, found))


@typed
def gate_file(path: str | Path, **options: Any) -> GateResult:
    """Run the gate of a TOML file; paths in it are relative to it.

    Args:
        path: of the file.
        options: of `diff` and `gate`, which win over those of the file.
    Raises:
        BadSpec, UnknownName: a key or value that cannot be; the message names the path of the key. BadInput: see `gate`.
    """
    path = Path(path)
    asked = read_gate(path)
    for name in ("old", "new"):
        if getattr(asked, name) is None and name not in options:
            raise BadInput(f"{path}: {name} is missing; a gate compares two files of predictions")
    files = {}
    for name in ("old", "new", "floor", "new_floor"):
        value = getattr(asked, name)
        files[name] = [_relative(path, f) for f in value] if isinstance(value, tuple) else value and _relative(path, value)
    own = ("budgets", "rule", "inconclusive", "level", "min_support", "margin", "same_within", "no_rows", "waive")
    settings = {**files, **asked.read_with, **{name: getattr(asked, name) for name in own}, **options}
    return gate(**settings)


def check_limits(budget: Budget, *, regression: bool = False) -> None:
    """Refuse limits that a fraction cannot reach: percent without its sign.

    Raises:
        BadInput: a limit above 1, or below −1, on a fraction; the message has both readings.
    """
    if unit_of(budget) != "fraction" or (regression and budget.measure == "excess"):
        return
    for name, limit in (("max", budget.max), ("min", budget.min)):
        if limit is not None and abs(limit) > 1:
            said = f"{limit:g}"
            raise BadInput(
                f"budget on {budget.measure}: {name} = {said} reads as {100 * limit:g} %, which a fraction cannot reach; write "
                f"{said}% ({limit / 100:g}) for {said} percent, or a fraction between -1 and 1"
            )


def unit_of(budget: Budget) -> str:
    """The unit of a budget's limits: "fraction", or "number" for measures that are not in percent."""
    if budget.against == "times floor":
        return "number"
    metric = _metric(budget)
    if metric is None:
        return "fraction"
    return metric.definition.unit


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


def _with_columns(old: Any, options: dict[str, Any], budgets: Sequence[Budget]) -> dict[str, Any]:
    """The options with the group columns, thresholds and top-k of the budgets."""
    found = dict(options)
    if not isinstance(old, Predictions):
        columns = [b.by for b in budgets if b.by not in (None, PREDICTED, found.get("time"))]
        found["by"] = with_groups(found.get("by"), columns) or None
    for name, option in (("decisions", "thresholds"), ("swapped", "top_k")):
        asked = [float(m[2]) for b in budgets if (m := _CALLED.fullmatch(b.measure)) and m[1] == name]
        if asked:
            found[option] = tuple(dict.fromkeys([*found.get(option, ()), *asked]))
    return found


def _metric(budget: Budget) -> Metric | None:
    if budget.measure == "excess":
        return None
    if called := _CALLED.fullmatch(budget.measure):
        if parse_limit(called[2]) is None:
            raise BadInput(f"budget on {budget.measure}: got {called[2]!r}, expected a number such as 0.5")
        return None
    known = [m.__name__ for m in ALL]
    if budget.measure not in known:
        raise unknown("measure", budget.measure, [*known, *SPECIAL])
    return named(budget.measure)


def metric_of_slice(budget: Budget) -> Metric | None:
    """The metric whose value in every slice is compared with the limit; None if slices always have it."""
    metric = _metric(budget)
    if _CALLED.fullmatch(budget.measure) or budget.against is not None:
        raise BadInput(f"budget on {budget.measure}{' against the floor' if budget.against else ''}: has no value by slice")
    if metric is None or (budget.measure in ("churn", "negative_flips", "accuracy", "recall") and budget.of == "change"):
        return None
    if not metric.definition.between_replicas and budget.of != "change":
        raise BadInput(f"budget on {budget.measure}: by slice only the change from old to new has a limit")
    return metric


def _checks(budget: Budget, found: Diff, rule: Rule) -> Iterator[Check]:
    differs = _is_difference(budget, found)
    if budget.by is None:
        yield _check(budget, None, _overall(budget, found), rule, _why_not(budget, found), is_difference=differs)
        return
    every = (*found.slices, *found.predicted, *found.periods)
    parts = [s for s in every if s.column == budget.by and (budget.where is None or s.value == budget.where)]
    if budget.where is not None and not parts:
        why = f"no slice {budget.by}={budget.where} has {found.min_support:,} rows or more"
        yield replace(_check(budget, None, None, rule, why, is_difference=differs), column=budget.by, value=budget.where)
    for part in sorted(parts, key=lambda s: s.value or ""):
        yield _check(budget, part, _in_slice(budget, part), rule, "it has no value in this slice", is_difference=differs)


def _is_difference(budget: Budget, found: Diff) -> bool:
    """Whether the number is a difference: a change of quality, or an excess over the noise floor."""
    if budget.against == "minus floor" or budget.measure == "excess":
        return True
    return budget.of == "change" and any(q.name == budget.measure for q in found.quality)


def _why_not(budget: Budget, found: Diff) -> str:
    if found.launches is not None and (budget.against is not None or budget.measure == "excess"):
        return "the ledger has no earlier launch to compare it with"
    called = _CALLED.fullmatch(budget.measure)
    name = {"decisions": "thresholds", "swapped": "top_k"}[called[1]] if called else budget.measure
    return found.left_out.get(name, "it has no value here")


def _overall(budget: Budget, found: Diff) -> Estimate | None:
    called = _CALLED.fullmatch(budget.measure)
    floors = {f.name: f for f in found.floors}
    value: Estimate | None = None
    if called and called[1] == "decisions":
        (decisions,) = (d for d in found.decisions if d.threshold == float(called[2])) if found.decisions else (None,)
        value, floor = (None, None) if decisions is None else (decisions.changed, decisions.floor)
    elif called:
        swap = next((s for s in found.swap_sets if s.asked == float(called[2])), None)
        floor = None if swap is None else swap.floor
        if swap is not None:
            e = swap.overlap
            value = replace(e, value=1 - e.value, low=1 - e.high, high=1 - e.low)
    elif budget.measure == "excess":
        return None if found.floor is None else found.floor.excess
    else:
        floor = floors.get(budget.measure)
        quality = next((q for q in found.quality if q.name == budget.measure), None)
        if quality is not None:
            value = {"old": quality.old, "new": quality.new, "change": quality.change}[budget.of]
        else:
            value = next((m.estimate for m in found.measures if m.name == budget.measure), None)
    if budget.against is None:
        return value
    if floor is None and value is not None and found.launches is None:
        raise BadInput(
            f"budget on {budget.measure} {budget.against}: only {', '.join((*FLOORS, *SPECIAL[1:]))} have a noise floor"
        )
    return None if floor is None else floor.excess if budget.against == "minus floor" else floor.ratio


def _in_slice(budget: Budget, part: Slice) -> Estimate | None:
    if budget.measure == "churn":
        return part.churn
    if budget.measure == "negative_flips":
        return part.negative_flips
    if budget.measure == "excess":
        return part.excess
    if budget.measure == "accuracy":
        return part.accuracy_change
    if budget.measure == "recall":
        return next((t.change for t in part.tests if t.question == "recall"), None)
    metric = metric_of_slice(budget)
    return None if metric is None else part.measures.get(metric.__name__)


def in_words(budget: Budget, column: str | None, value: str | None) -> str:
    """What a budget compares: "old accuracy", "churn minus its floor", "churn where country is BR"."""
    where = "" if column is None else f" where {column} is {'missing' if value is None else value}"
    floor = {None: "", "minus floor": " minus its floor", "times floor": " / floor"}[budget.against]
    return f"{'' if budget.of == 'change' else budget.of + ' '}{budget.measure}{floor}{where}"


def _check(budget: Budget, part: Slice | None, estimate: Estimate | None, rule: Rule, why: str, *, is_difference: bool) -> Check:
    unit = "points" if is_difference and unit_of(budget) == "fraction" else unit_of(budget)
    column, value = (None, None) if part is None else (part.column, part.value)
    name = in_words(budget, column, value)
    if estimate is None or math.isnan(estimate.value):
        return Check(budget, column, value, unit, estimate, "inconclusive", f"{name} cannot be checked: {why}")
    outcomes = [_outcome(limit, estimate, rule, sign) for limit, sign in ((budget.max, 1), (budget.min, -1)) if limit is not None]
    outcome: Outcome = "over" if "over" in outcomes else "inconclusive" if "inconclusive" in outcomes else "kept"
    ends = between(estimate, unit)
    reason = f"{name} is {value_of(estimate, unit)}{f' ({ends})' if ends else ''}; allowed is "
    reason += limits_in_words(budget.max, budget.min, unit)
    if outcome == "inconclusive":
        reason += "; the limit is inside the interval" if ends else "; there is no interval"
    return Check(budget, column, value, unit, estimate, outcome, reason)


def _outcome(limit: float, e: Estimate, rule: Rule, sign: int) -> Outcome:
    """Outcome of an upper limit (sign 1) or a lower limit (−1)."""
    near, far = (e.low, e.high) if sign > 0 else (e.high, e.low)
    if rule == "point" or math.isinf(e.value):
        return "kept" if sign * e.value <= sign * limit else "over"
    if math.isnan(near) or math.isnan(far):
        return "inconclusive"
    return "kept" if sign * far <= sign * limit else "over" if sign * near > sign * limit else "inconclusive"


def _relative(path: Path, name: str) -> str:
    """A path or glob relative to a file; only ``name`` is read as a glob, not the folder."""
    if is_address(name):
        return name
    together = path.parent / name
    return str(together) if together.exists() else str(Path(glob.escape(str(path.parent))) / name)


def _notes(budgets: Sequence[Budget], found: Diff) -> tuple[str, ...]:
    if not any(b.by for b in budgets) or not found.slices_left_out:
        return ()
    return (f"{found.slices_left_out:,} slices of fewer than {found.min_support:,} rows were not checked",)


def _in_ledger(check: Check) -> ledger_lines.Check:
    """A budget as a ledger has it."""
    where = "" if check.column is None else f"@{check.column}={check.value}"
    against = {None: "", "minus floor": "-floor", "times floor": "/floor"}[check.budget.against]
    number = None if check.estimate is None else check.estimate.value
    return ledger_lines.Check(
        f"{check.budget.measure}{against}{where}", check.outcome, number, check.budget.max, check.budget.min
    )
