"""Gates: a comparison against budgets, from arguments or a file, and the self-test of a gate on retrains."""

from __future__ import annotations

import glob
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from traintwice._addresses import is_address
from traintwice._formatting import between, limits_in_words, value_of
from traintwice._typed import check_arguments, typed
from traintwice.compare import _ledger as ledger_lines
from traintwice.compare._diff import diff, opened_for
from traintwice.compare._floor import LEAST
from traintwice.compare._inputs import open_replicas, with_groups
from traintwice.compare._ledger import LAST, numbers_of
from traintwice.compare._parts import PREDICTED, Slice
from traintwice.compare._results import Diff
from traintwice.errors import BadInput
from traintwice.gates._budgets import (
    EXIT_STATUS,
    SPECIAL,
    Budget,
    Check,
    GateResult,
    Outcome,
    Rule,
    SelfTest,
    called,
    check_budgets,
    in_words,
    metric_of_slice,
    unit_of,
    worst_outcome,
)
from traintwice.gates._gate_files import read_gate
from traintwice.predictions import Predictions, Reading, replicas_of
from traintwice.predictions._reading import OPTIONS
from traintwice.progress import report
from traintwice.statistics._inference import scaled_bounds, wilson
from traintwice.statistics._special import t_quantile
from traintwice.types import Estimate

FLOORS = ("churn", "negative_flips", "regression_difference")


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
        BadInput: no budgets, no slice with enough rows for any, a limit that a fraction cannot reach, a measure that has no value by
            slice, or see `diff`. UnknownName: no such measure.
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


def checked(
    found: Diff, budgets: Sequence[Budget], rule: Rule, inconclusive: Literal["pass", "fail"] | None = None
) -> GateResult:
    """The budgets of a comparison; raise `BadInput` for a budget against a noise floor without retrains, and where there is no check."""
    for b in budgets:
        if (b.measure == "excess" or b.against is not None) and not found.floors and found.launches is None:
            said = " ".join(filter(None, (b.measure, b.against)))
            raise BadInput(f"gate: a budget on {said} needs retrains of the old recipe; pass --floor")
    checks = [check for budget in budgets for check in _checks(budget, found, budget.rule or rule)]
    if not checks:
        raise BadInput("gate: nothing was checked: no slice has enough rows; lower --min-support, or give a budget on all rows")
    notes: tuple[str, ...] = ()
    if (count := found.slices_left_out) and any(b.by for b in budgets):
        many = "1 slice" if count == 1 else f"{count:,} slices"
        notes = (
            f"{many} of fewer than {found.min_support:,} rows {'was' if count == 1 else 'were'} not checked (--min-support)",
        )
    idle = dict.fromkeys(b.measure for b in budgets if unit_of(b) == "fraction" and b.max in (None, 1) and b.min in (None, -1))
    notes += tuple(f"{name}: a limit of 1 is 100 %, which no number passes; one percent is 1% or 0.01" for name in idle)
    return GateResult(tuple(checks), found, inconclusive, notes)


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


def _with_columns(old: Any, options: dict[str, Any], budgets: Sequence[Budget]) -> dict[str, Any]:
    """The options with the group columns, thresholds and top-k of the budgets."""
    found = dict(options)
    if not isinstance(old, Predictions):
        found["by"] = with_groups(found.get("by"), _columns(budgets, found)) or None
    for option, number in filter(None, map(called, budgets)):
        found[option] = tuple(dict.fromkeys([*found.get(option, ()), number]))
    return found


def _columns(budgets: Sequence[Budget], options: dict[str, Any]) -> list[str]:
    """The group columns of budgets."""
    return [b.by for b in budgets if b.by is not None and b.by not in (PREDICTED, options.get("time"))]


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
    option = called(budget)
    reason = found.left_out.get(budget.measure if option is None else option[0], "it has no value here")
    return f"{reason}; pass --label COLUMN" if reason == "needs labels" else reason


def _overall(budget: Budget, found: Diff) -> Estimate | None:
    if budget.measure == "excess":
        return None if found.floor is None else found.floor.excess
    name, option = budget.measure, called(budget)
    if option is not None:
        name = f"{name.partition('(')[0]}({option[1]:g})"
    value = numbers_of(found).get(name)
    quality = next((q for q in found.quality if q.name == name), None)
    if quality is not None:
        value = {"old": quality.old, "new": quality.new, "change": quality.change}[budget.of]
    if budget.against is None:
        return value
    every = (*found.floors, *(d.floor for d in found.decisions), *(s.floor for s in found.swap_sets))
    floor = next((f for f in every if f is not None and f.name == name), None)
    if floor is None and value is not None and found.launches is None:
        raise BadInput(
            f"budget on {budget.measure} {budget.against}: only {', '.join((*FLOORS, *SPECIAL[1:]))} have a noise floor"
        )
    return None if floor is None else floor.excess if budget.against == "minus floor" else floor.ratio


def _in_slice(budget: Budget, part: Slice) -> Estimate | None:
    recall = next((t.change for t in part.tests if t.question == "recall"), None)
    known = {"churn": part.churn, "negative_flips": part.negative_flips, "accuracy": part.accuracy_change, "recall": recall}
    return ({**part.measures, **known, "excess": part.excess}).get(budget.measure)


def _check(budget: Budget, part: Slice | None, estimate: Estimate | None, rule: Rule, why: str, *, is_difference: bool) -> Check:
    unit = "points" if is_difference and unit_of(budget) == "fraction" else unit_of(budget)
    column, value = (None, None) if part is None else (part.column, part.value)
    name = in_words(budget, column, value)
    if estimate is None or math.isnan(estimate.value):
        return Check(budget, column, value, unit, estimate, "inconclusive", f"{name} cannot be checked: {why}")
    # An infinite loss is a number; an infinite ratio to a floor of 0 is judged by its bounds, which copies do not have.
    by_number = rule == "point" or (math.isinf(estimate.value) and budget.against is None)
    limits = [(limit, sign) for limit, sign in ((budget.max, 1), (budget.min, -1)) if limit is not None]
    outcomes = [_outcome(limit, estimate, sign, by_number=by_number) for limit, sign in limits]
    outcome = worst_outcome(outcomes)
    ends = between(estimate, unit)
    reason = f"{name} is {value_of(estimate, unit)}{f' ({ends})' if ends else ''}; allowed is "
    reason += limits_in_words(budget.max, budget.min, unit)
    if outcome == "inconclusive":
        reason += "; the limit is inside the interval" if ends else "; there is no interval"
    return Check(budget, column, value, unit, estimate, outcome, reason)


def _outcome(limit: float, e: Estimate, sign: int, *, by_number: bool) -> Outcome:
    """Outcome of an upper limit (sign 1) or a lower limit (−1), which a number may reach: 0.98 − 1 is −0.02 but for rounding."""
    near, far = (e.value, e.value) if by_number else (e.low, e.high) if sign > 0 else (e.high, e.low)
    if math.isnan(near) or math.isnan(far):
        return "inconclusive"
    within = [sign * end <= sign * limit or math.isclose(end, limit, rel_tol=1e-12, abs_tol=1e-12) for end in (near, far)]
    return "kept" if within[1] else "inconclusive" if within[0] else "over"


def _relative(path: Path, name: str) -> str:
    """A path or glob relative to a file; only ``name`` is read as a glob, not the folder."""
    if is_address(name):
        return name
    together = path.parent / name
    return str(together) if together.exists() else str(Path(glob.escape(str(path.parent))) / name)


def _in_ledger(check: Check) -> ledger_lines.Check:
    """A budget as a ledger has it."""
    where = "" if check.column is None else f"@{check.column}={check.value}"
    against = {None: "", "minus floor": "-floor", "times floor": "/floor"}[check.budget.against]
    number = None if check.estimate is None else check.estimate.value
    return ledger_lines.Check(
        f"{check.budget.measure}{against}{where}", check.outcome, number, check.budget.max, check.budget.min
    )


@typed
def self_test(retrains: Any, budgets: Sequence[Budget], *, level: float = 0.95, **options: Any) -> SelfTest:
    """Every ordered pair of retrains through a gate as old and new model, the others being the floor where a budget needs one.

    Args:
        retrains: of one recipe, three or more: files, tables or arrays.
        budgets: of the gate.
        level: of the gate's intervals, and of the intervals of the shares.
        options: of `gate`.
    Returns:
        A `SelfTest`. A share of 0.05 over reads: the gate stops 5 of 100 launches of a plain retrain. Intervals are over new
        retrains, by the jackknife over models; where it shows no variation, as at a share of 0 or 1, Wilson's interval
        (at 0 and 1 the exact bound) of the m/2 pairs that share no model.
    Raises:
        BadInput: fewer than three retrains; see `gate`.
    Source:
        Ours.
    Example:
        >>> rng = np.random.default_rng(0)
        >>> again = [np.where(rng.random(500) < 0.9, 0, 1) for _ in range(4)]
        >>> found = self_test(again, [Budget("churn", max=0.3)], by_position=True)
        >>> found.pairs, found.over.value
        (12, 0.0)
    """
    models = replicas_of(retrains)
    m = len(models)
    if m < LEAST:
        raise BadInput(f"self-test: expected at least {LEAST} retrains, got {m}")
    if options.get("floor") or options.get("new_floor"):
        raise BadInput("self-test: takes the other retrains as the floor of each pair; leave out --floor and --new-floor")
    needs_floor = any(b.against is not None or b.measure == "excess" for b in budgets)
    if needs_floor and m < LEAST + 2:
        raise BadInput(f"self-test: expected at least {LEAST + 2} retrains, got {m}: the others are the floor of each pair")
    outcomes: dict[tuple[int, int], Outcome] = {}
    by_budget: dict[str, Counter[str]] = {}
    pairs = list(permutations(range(m), 2))
    reading = {name: options.pop(name) for name in OPTIONS if name in options}
    reading["by"] = with_groups(reading.get("by"), _columns(budgets, reading))
    with open_replicas(retrains, None, Reading(**reading)) as rows:  # type: ignore[typeddict-item]
        names, whole = rows.summary.files, rows.read()
    for done, (a, b) in enumerate(pairs, start=1):
        others = [i for i in range(m) if i not in (a, b)] if needs_floor else []
        old, new, *floor = (whole.models(i, i + 1) for i in (a, b, *others))
        found = gate(old, new, budgets, floor=floor, level=level, **options)
        outcomes[a, b] = found.outcome
        for check in found.checks:
            by_budget.setdefault(in_words(check.budget, check.column, check.value), Counter())[check.outcome] += 1
        report(100 * done / len(pairs), 100, "%")
    over, inconclusive = (_share(outcomes, m, outcome, level) for outcome in ("over", "inconclusive"))
    counts = tuple((name, *(c[o] for o in EXIT_STATUS)) for name, c in by_budget.items())
    return SelfTest(names, len(pairs), over, inconclusive, counts, _sentence(over, inconclusive, m, len(pairs)))  # type: ignore[arg-type]


def _share(outcomes: dict[tuple[int, int], Outcome], m: int, outcome: Outcome, level: float) -> Estimate:
    hit = np.array([[outcomes.get((a, b)) == outcome for b in range(m)] for a in range(m)], dtype=float)
    value = float(hit.sum() / (m * (m - 1)))
    dropped = np.array([(hit.sum() - hit[i].sum() - hit[:, i].sum()) / ((m - 1) * (m - 2)) for i in range(m)])
    variance = float((m - 1) / m * np.sum((dropped - dropped.mean()) ** 2))
    half = t_quantile(0.5 + level / 2, m - 1) * math.sqrt(variance)
    # Where every model takes part in equally many such pairs, the jackknife shows no variation.
    low, high = wilson(value, m // 2, level) if half == 0 else scaled_bounds(value, half, "logit")
    return Estimate(value, low, high, math.sqrt(variance), m, m * (m - 1), level, "replicas")


def _sentence(over: Estimate, inconclusive: Estimate, m: int, pairs: int) -> str:
    def said(e: Estimate) -> str:
        return f"{100 * e.value:.0f} % ({100 * e.low:.0f} to {100 * e.high:.0f})"

    return (
        f"With nothing changed this gate is over in {said(over)} and inconclusive in {said(inconclusive)} of the launches "
        f"({pairs} pairs of {m} retrains, of which {m // 2} share no retrain; more retrains make the intervals shorter)."
    )
