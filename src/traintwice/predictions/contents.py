"""What the cells of a file must hold; every message counts the offending rows and shows the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from traintwice.errors import BadInput
from traintwice.predictions.canonical import View
from traintwice.predictions.predictions import SUM_TOLERANCE
from traintwice.predictions.session import Session
from traintwice.predictions.sql import all_of, any_of


@dataclass(frozen=True)
class Fault:
    """A condition no row may meet, what to say of the rows that do, what to show of the first, and what to do."""

    condition: str
    says: str
    shows: str
    advice: str


def count_rows(session: Session, view: View) -> int:
    """How many rows a file has; Parquet files say so without being read.

    Raises:
        BadInput: none.
    """
    ((rows,),) = session.rows(f"SELECT count(*) FROM {view.name}", doing=f"{view.source.name}: reading")
    if rows == 0:
        raise BadInput(f"{view.source.name} has columns but no rows")
    return int(rows)


def check_contents(session: Session, view: View) -> None:
    """Read a file once, in parallel, and raise `BadInput` where a row cannot be measured."""
    weight = "sum(w)" if view.layout.weight else "1"
    name = view.source.name
    found = session.record(
        f"SELECT count(*) AS total, {weight} AS weight, count_if(({_good(view)}) IS NOT TRUE) AS bad FROM {view.name}",
        doing=f"{name}: reading",
    )
    if found["bad"]:
        raise _explained(session, view, found["total"], found["bad"])
    if found["weight"] == 0:
        raise BadInput(f"{name}: all weights in {view.layout.weight!r} are zero; at least one row must count")


def is_checked_while_matching(view: View) -> bool:
    """Whether `suspicious` knows what the cells of this file must hold."""
    return view.over_source is not None and view.layout.weight is None and view.predictions != ("l",)


def suspicious(view: View, cell: Callable[[str], str], *, ids: bool) -> str:
    """An aggregate over all rows, cheap beside the sums of one pass, that is 0 only where `check_contents` finds no fault.

    It may be above 0 without a fault: a sum overflows, or a join found no partner for a row.

    Args:
        view: a file.
        cell: gives the SQL of each of its columns.
        ids: whether to look at its ids; a join finds no partner for those that are missing.
    """

    def not_finite(value: str) -> str:
        return f"CAST(NOT isfinite(coalesce(sum({value}), 0)) AS BIGINT)"

    def those(condition: str) -> str:
        return f"coalesce(count_if({condition}), 0)"

    kind, cells = view.layout.kind, [cell(column) for column in view.predictions]
    parts = [f"count(*) - count({cell(i)})" for i in view.ids] if ids else []
    if kind == "score":
        # Two comparisons are quicker than BETWEEN. Where a file's statistics say that all lies within, which leave NaN out, DuckDB compares
        # nothing, so that the sum is looked at too.
        parts += [f"count(*) - {those(f'{cells[0]} >= 0 AND {cells[0]} <= 1')}", not_finite(cells[0])]
    elif kind == "regression":
        parts += [f"count(*) - count({cells[0]})", not_finite(cells[0])]
    elif kind == "votes":
        parts.append(f"count(*) - {those(f'{cells[0]} >= 0')}")
    else:
        total = " + ".join(cells)
        parts.append(f"count(*) - {those(all_of(f'{c} >= 0' for c in cells))}")
        parts += [f"count(*) - {those(f'abs({total} - 1) <= {SUM_TOLERANCE}')}", not_finite(total)]
    if view.layout.cluster:
        parts.append(f"count(*) - count({cell('c')})")
    if view.layout.label:
        if not view.label_is_class:
            parts.append(f"{those(cell('raw_y'))} - count({cell('y')})")
        if kind == "regression":
            parts.append(not_finite(cell("y")))
        else:
            label = cell("y")
            among = ">= 0" if view.classes is None else f"BETWEEN 0 AND {view.classes - 1}"
            parts.append(f"count({cell('y')}) - {those(f'{label} {among}')}")
    return " + ".join(f"({part})" for part in parts)


def _explained(session: Session, view: View, total: int, bad: int) -> BadInput:
    """The first fault that a row has, after a pass found that some row has one."""
    name = view.source.name
    faults = _faults(view)
    counts = ", ".join(f"count(*) FILTER ({fault.condition}) AS bad{i}" for i, fault in enumerate(faults))
    found = session.record(f"SELECT {counts} FROM {view.name}", doing=f"{name}: reading")
    for i, fault in enumerate(faults):
        count = found[f"bad{i}"]
        if count:
            said = f"{name}: {count:,} of {total:,} rows {fault.says}"
            return BadInput(f"{said} ({_first(session, view, fault)}); {fault.advice}", without_cells=f"{said}; {fault.advice}")
    return BadInput(f"{name}: {bad:,} of {total:,} rows hold no valid prediction, id, label or weight")


def _good(view: View) -> str:
    """The condition that every row must meet.

    DuckDB decides comparisons from a file's statistics where it can, and these leave NaN out: a column with minimum 0 and
    maximum 1 passes "between 0 and 1" unread. `isfinite` has no such short cut, so it stands beside every comparison.
    """
    conditions = [f"{i} IS NOT NULL" for i in view.ids]
    cells, kind = view.predictions, view.layout.kind
    if cells == ("l",):
        conditions += [f"len(l) = {view.classes}", f"list_count(l) = {view.classes}", "list_min(l) >= 0"]
        conditions.append(f"isfinite(list_sum(l)) AND abs(list_sum(l) - 1) <= {SUM_TOLERANCE}")
    elif kind == "score":
        conditions.append("isfinite(s) AND s BETWEEN 0 AND 1")
    elif kind == "regression":
        conditions.append("isfinite(x)")
    elif kind == "votes":
        conditions.append("v >= 0")
    else:
        total = " + ".join(cells)
        conditions += [f"isfinite({total})", *[f"{cell} >= 0" for cell in cells], f"abs({total} - 1) <= {SUM_TOLERANCE}"]
    if view.layout.label:
        conditions.append(f"NOT raw_y OR ({_label_is_good(view)})")
    if view.layout.weight:
        conditions.append("w >= 0 AND isfinite(w)")
    if view.layout.cluster:
        conditions.append("c IS NOT NULL")
    return all_of(conditions)


def _label_is_good(view: View) -> str:
    if view.layout.kind == "regression":
        return "isfinite(y)"
    return "y >= 0" if view.classes is None else f"y BETWEEN 0 AND {view.classes - 1}"


def show_id(values: tuple[Any, ...]) -> str:
    """An id as it stands in messages.

    >>> show_id(("a17",)), show_id((3, "x"))
    ("'a17'", "(3, 'x')")
    """
    shown = [repr(v) if isinstance(v, int | str) else str(v) for v in values]
    shown = [text if len(text) <= 60 else text[:60] + "…" for text in shown]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


def _first(session: Session, view: View, fault: Fault) -> str:
    ids = "".join(f", {i}" for i in view.ids)
    doing = f"{view.source.name}: reading"
    # found by an aggregate: a WHERE would skip row groups whose statistics know nothing of NaN
    ((row,),) = session.rows(f"SELECT min(r) FILTER ({fault.condition}) FROM {view.name}", doing=doing)
    sql = f"SELECT CAST({fault.shows} AS VARCHAR){ids} FROM {view.name} WHERE r = {row}"
    shown, *values = session.rows(sql, doing=doing)[0]
    where = f", id {show_id(tuple(values))}" if values and None not in values else ""
    return f"first: row {row:,}{where}: {shown}"


def _faults(view: View) -> list[Fault]:
    faults = []
    if view.ids:
        faults.append(
            Fault(
                any_of(f"{i} IS NULL" for i in view.ids),
                "have no id",
                "'NULL'",
                "every row needs one; remove them or choose another --id",
            )
        )
    faults += _faults_of_predictions(view)
    if view.layout.label and view.layout.kind == "regression":
        faults.append(
            Fault("raw_y AND (y IS NULL OR NOT isfinite(y))", "have a label that is no finite number", "y", "fix or remove them")
        )
    elif view.layout.label:
        top = view.classes
        outside = "y < 0" + (f" OR y >= {top}" if top is not None else "")
        among = f"0 … {top - 1}" if top is not None else "0, 1, 2 …"
        faults.append(
            Fault(
                f"raw_y AND (y IS NULL OR {outside})",
                f"have a label in {view.layout.label!r} that is not one of the classes {among}",
                "y",
                "classes count from 0; pass another --label, or --classes with the names of the classes",
            )
        )
    if view.layout.cluster:
        faults.append(
            Fault(
                "c IS NULL",
                f"have no cluster in {' + '.join(repr(c) for c in view.layout.cluster)}",
                "'missing'",
                "every row needs a cluster; give rows that stand alone a cluster of their own, or leave out --cluster",
            )
        )
    if view.layout.weight:
        faults.append(
            Fault(
                "w IS NULL OR NOT isfinite(w) OR w < 0",
                f"have a weight in {view.layout.weight!r} that is missing, negative or not finite",
                "w",
                "weights are numbers >= 0",
            )
        )
    return faults


def _faults_of_predictions(view: View) -> list[Fault]:
    kind, cells = view.layout.kind, view.predictions
    column = view.layout.columns[0]
    if cells == ("l",):
        return _faults_of_lists(view)
    if kind == "votes":
        return [
            Fault("v IS NULL", f"have no predicted label in {column!r}", "'no class'", "every replica must predict every row"),
            Fault("v < 0", "have a negative predicted label", "v", "classes count from 0"),
        ]
    no_number = "is missing or not a number" if view.source.untyped else "is missing"
    logits = view.layout.logits
    what = "a logit" if logits else "a prediction" if kind == "regression" else "a probability"
    shown = f"concat_ws(', ', {', '.join(f'coalesce({c}::VARCHAR, {chr(39)}missing{chr(39)})' for c in cells[:12])})"
    faults = [
        Fault(
            any_of(f"{c} IS NULL" for c in cells), f"have {what} that {no_number}", shown, "every replica must predict every row"
        ),
        Fault(
            any_of(f"NOT isfinite({c})" for c in cells),
            f"have {what} that is NaN or infinite",
            shown,
            "find out why the model emits them, or leave those rows out of all files",
        ),
    ]
    if kind == "score" and not logits:
        faults.append(
            Fault(
                "s < 0 OR s > 1",
                f"have a score in {column!r} outside [0, 1]",
                "s",
                "pass --logits if it is a logit, --regression if it is no probability",
            )
        )
    elif kind in ("columns", "list") and not logits:
        faults += [
            Fault(any_of(f"{c} < 0" for c in cells), "have a negative probability", shown, "pass --logits if these are logits"),
            Fault(
                f"abs({' + '.join(cells)} - 1) > {SUM_TOLERANCE}",
                "have probabilities that do not sum to 1",
                f"'sum ' || ({' + '.join(cells)})",
                "choose the columns with --probs, or pass --logits if these are logits",
            ),
        ]
    return faults


def _faults_of_lists(view: View) -> list[Fault]:
    classes = view.classes
    return [
        Fault(
            f"l IS NULL OR len(l) <> {classes}",
            f"do not have {classes} probabilities, as the first row has",
            "coalesce(len(l) || ' entries', 'missing')",
            "every row needs one for each class",
        ),
        Fault("len(l) <> list_count(l)", "have a missing probability", "l", "every replica must predict every row"),
        Fault(
            "NOT isfinite(list_sum(l))",
            "have a probability that is NaN or infinite",
            "l",
            "find out why the model emits them, or leave those rows out of all files",
        ),
        Fault("list_min(l) < 0", "have a negative probability", "l", "pass --logits if these are logits"),
        Fault(
            f"abs(list_sum(l) - 1) > {SUM_TOLERANCE}",
            "have probabilities that do not sum to 1",
            "'sum ' || list_sum(l)",
            "choose the columns with --probs, or pass --logits if these are logits",
        ),
    ]
