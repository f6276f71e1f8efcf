"""What the rows of files may not hold, rows that cannot be matched, and the errors for both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from traintwice._database import Session, all_of, any_of, show_id
from traintwice.errors import BadInput
from traintwice.predictions._checks import LEAST_WEIGHT, MOST_WEIGHT, PERCENT_TOLERANCE, SUM_TOLERANCE
from traintwice.predictions._source import WIDE, family
from traintwice.predictions._views import ROLES, View, shared_columns

SHOWN = 5
"""Ids that a message shows."""


@dataclass(frozen=True)
class Fault:
    """A condition that no row may meet, the words for rows that do, what to show of the first of them, and what to do.

    Attributes:
        once: the condition on the column that all files share, which suffices where the files agree on it.
    """

    condition: str
    says: str
    shows: str
    advice: str
    once: str | None = None


def faults(view: View, suffix: str = "") -> Iterator[Fault]:
    """What the rows of a file may not hold, in the order in which it is reported, over columns whose names end in a suffix.

    DuckDB decides comparisons from a file's statistics where it can, and statistics leave NaN out: with minimum 0 and maximum 1 every
    row counts as "between 0 and 1". `isfinite` reads the rows, so NaN has a fault of its own.
    """
    layout, columns = view.layout, [k + suffix for k in view.predictions]
    kind, first, one, y, w = layout.kind, columns[0], layout.columns[0], f"y{suffix}", f"w{suffix}"
    every = "every replica must predict every row; --on-missing drop leaves these rows out"
    if view.source.untyped and any(family(view.source.columns[c]) == "text" for c in layout.columns):
        every += ". A number is written with a point, as 1234.5"
    logits = "pass --logits if these are logits"
    emits = "find out why the model emits them, or leave those rows out of all files"
    if view.ids:
        missing = any_of(f"{i}{suffix} IS NULL" for i in view.ids)
        yield Fault(missing, "have no id", "'NULL'", "every row needs one; remove them or choose another --id")
    as_list = view.predictions == ("l",) or len(columns) > WIDE
    first = f"[{', '.join(columns)}]" if len(columns) > WIDE else first
    total = f"list_sum({first})" if as_list else " + ".join(columns)
    if kind == "votes":
        yield Fault(f"{first} IS NULL", f"have no predicted label in {one!r}", "'no class'", every)
        yield Fault(f"{first} < 0", "have a negative predicted label", first, "classes count from 0")
    elif as_list:
        length, says = f"{first} IS NULL OR len({first}) <> {layout.classes}", f"do not have {layout.classes} probabilities"
        shown = f"coalesce(len({first}) || ' entries', 'missing')"
        yield Fault(length, f"{says}, as the first row has", shown, "every row needs one for each class")
        some = f"({first})[1:12]"
        yield Fault(f"len({first}) <> list_count({first})", "have a missing probability", some, every)
        yield Fault(f"NOT isfinite({total})", "have a probability that is NaN or infinite", some, emits)
        yield Fault(f"list_min({first}) < 0", "have a negative probability", some, logits)
    else:
        what = "a logit" if layout.logits else "a prediction" if kind == "regression" else "a probability"
        no_number = "is missing or not a number" if view.source.untyped else "is missing"
        shown = f"concat_ws(', ', {', '.join(f'coalesce({c}::VARCHAR, {chr(39)}missing{chr(39)})' for c in columns[:12])})"
        yield Fault(any_of(f"{c} IS NULL" for c in columns), f"have {what} that {no_number}", shown, every)
        yield Fault(f"NOT isfinite({total})", f"have {what} that is NaN or infinite", shown, emits)
        if kind == "score":
            advice = "pass --logits if it is a logit, --regression if it is not a probability; write predicted labels as integers or text"
            yield Fault(f"{first} < 0 OR {first} > 1", f"have a score in {one!r} outside [0, 1]", first, advice)
        elif kind == "columns":
            yield Fault(any_of(f"{c} < 0" for c in columns), "have a negative probability", shown, logits)
    if kind in ("columns", "list"):
        sums, advice = "have probabilities that do not sum to 1", f"choose the columns with --probs, or {logits}"
        entries = first if as_list else f"[{', '.join(columns)}]"
        fine = f"len(list_filter({entries}, lambda e: abs(100 * e - round(100 * e)) >= 1e-4)) > 0"
        wide = f"abs({total} - 1) > {PERCENT_TOLERANCE * (layout.classes or 0) + 1e-9}"
        unequal = f"CASE WHEN abs({total} - 1) > {SUM_TOLERANCE} THEN {wide} OR {fine} ELSE false END"
        yield Fault(unequal, sums, f"'sum ' || ({total})", advice)
    if layout.label is not None and kind == "regression":
        bad = f"raw_y{suffix} AND ({y} IS NULL OR isinf({y}))"
        yield Fault(bad, "have a label that is not a finite number", y, "fix or remove them")
    elif layout.label is not None:
        among = "0, 1, 2 …" if layout.classes is None else f"0 … {layout.classes - 1}"
        outside = f"{y} < 0" + (f" OR {y} >= {layout.classes}" if layout.classes is not None else "")
        whole = view.cells["raw_y"] == f"{view.cells['y']} IS NOT NULL"  # then no label is lost by being read as a class
        bad = outside if whole else f"raw_y{suffix} AND ({y} IS NULL OR {outside})"
        advice = "classes count from 0; pass another --label, or --classes with the names of the classes"
        once = outside.replace(y, "y") if whole else None
        yield Fault(bad, f"have a label in {layout.label!r} that is not one of the classes {among}", y, advice, once=once)
    if layout.weight is not None:
        bad, says = f"{w} IS NULL OR NOT isfinite({w}) OR {w} < 0", "that is missing, negative or not finite"
        yield Fault(bad, f"have a weight in {layout.weight!r} {says}", w, "weights are numbers >= 0")
        bad, says = f"{w} > {MOST_WEIGHT} OR ({w} > 0 AND {w} < {LEAST_WEIGHT})", f"above {MOST_WEIGHT} or below {LEAST_WEIGHT}"
        advice = "divide all weights by their mean"
        yield Fault(bad, f"have a weight in {layout.weight!r} {says} and not 0", w, advice)
    if layout.cluster:
        says, advice = f"have no cluster in {view.names['c']!r}", "every row needs a cluster, or none: leave out --cluster"
        yield Fault(f"c{suffix} IS NULL", says, "'missing'", advice)
    if layout.draws is not None:
        says, advice = f"have no draw in {layout.draws!r}", "every row needs one, so that no draw of an item counts twice"
        yield Fault(f"d{suffix} IS NULL", says, "'missing'", advice)


def check_contents(session: Session, view: View) -> None:
    """Read a file once, in parallel, and raise `BadInput` where a row cannot be measured, with a count and the first row."""
    name, doing, every = view.source.name, f"{view.source.name}: reading", list(faults(view))
    counts = ", ".join(f"count(*) FILTER ({fault.condition})" for fault in every)
    weight = "sum(w)" if view.layout.weight else "1"
    ((total, of_weight, *bad),) = session.rows(f"SELECT count(*), {weight}, {counts} FROM {view.name}", doing=doing)
    for fault, count in zip(every, bad, strict=True):
        if count:
            # by an aggregate: a WHERE skips row groups by their statistics, which leave NaN out
            ((row,),) = session.rows(f"SELECT min(r) FILTER ({fault.condition}) FROM {view.name}", doing=doing)
            ids = "".join(f", {i}" for i in view.ids)
            sql = f"SELECT CAST({fault.shows} AS VARCHAR){ids} FROM {view.name} WHERE r = {row}"
            shown, *values = session.rows(sql, doing=doing)[0]
            where = f", id {show_id(values)}" if values and None not in values else ""
            told = f"{name}: {count:,} of {total:,} rows {fault.says}"
            raise BadInput(
                f"{told} (first: row {row:,}{where}: {shown}); {fault.advice}", without_cells=f"{told}; {fault.advice}"
            )
    if of_weight == 0:
        raise BadInput(f"{name}: all weights in {view.layout.weight!r} are zero; at least one row must count")


def duplicates(session: Session, view: View, rows: int, *, allowed: bool) -> int:
    """How many ids are on more than one of the rows of a file; they are in the table ``duplicated_`` and the name of the view."""
    ids, table, doing = ", ".join(view.ids), f"duplicated_{view.name}", f"{view.source.name}: looking for duplicated ids"
    sql = f"SELECT {ids}, min(r) AS r FROM {view.name} GROUP BY {ids} HAVING count(*) > 1"
    session.rows(f"CREATE OR REPLACE TABLE {table} AS {sql}", doing=doing)
    ((count,),) = session.rows(f"SELECT count(*) FROM {table}", doing=doing)
    if count and not allowed:
        shown = session.rows(f"SELECT {ids} FROM {table} ORDER BY r LIMIT {SHOWN}", doing=doing)
        raise repeated(view.source.name, count, rows, f" (first: {', '.join(map(show_id, shown))})")
    return int(count)


def repeated(name: str, count: int, rows: int, shown: str = "") -> BadInput:
    """The error for ids that are on several rows."""
    told = f"{name}: {count:,} ids are on more than one of its {rows:,} rows"
    advice = (
        "an id must name one row. Pass to --id the columns that together name a row (and to --cluster the column by which rows belong "
        "together), or --draws COLUMN where a model answered an item several times, or --on-missing drop to leave those ids out"
    )
    return BadInput(f"{told}{shown}; {advice}", without_cells=f"{told}; {advice}")


def unmatched_in(session: Session, views: tuple[View, View], alone: tuple[int, int], rows: tuple[int, int]) -> BadInput:
    """The error for ids that only one of two files has."""
    shown = []
    for m in (0, 1):
        same, ids = all_of(f"a.{i} = b.{i}" for i in views[0].ids), ", ".join(f"a.{i}" for i in views[0].ids)
        sql = f"SELECT {ids} FROM {views[m].name} a ANTI JOIN {views[1 - m].name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
        found = session.rows(sql, doing="comparing ids") if alone[m] else []
        shown.append(f" (first: {', '.join(map(show_id, found))})")
    return unmatched((views[0].source.name, views[1].source.name), alone, rows, shown)


def unmatched(names: tuple[str, str], alone: Sequence[int], rows: Sequence[int], shown: Sequence[str] = ("", "")) -> BadInput:
    """The error for ids that only one of two models has: how many of how many rows, and the first of them."""
    what = (f"are missing from {names[1]}", f"are extra, not in {names[0]}")
    told = [f"{alone[m]:,} of {rows[m]:,} ids of {names[m]} {what[m]}" if alone[m] else "" for m in (0, 1)]
    shared = f"Pass --on-missing drop to compare the {rows[0] - alone[0]:,} rows that both have"
    advice = shared if rows[0] > alone[0] else "They share no id: choose another --id"
    whole = "; ".join(part + ids for part, ids in zip(told, shown, strict=True) if part)
    return BadInput(f"{whole}. {advice}", without_cells=f"{'; '.join(filter(None, told))}. {advice}")


def conflict(session: Session, views: Sequence[View], rows: int) -> BadInput:
    """The error for rows on which two files have different values in a column that belongs to the example."""
    keys = views[0].ids or ("r",)
    same, ids = all_of(f"a.{i} = b.{i}" for i in keys), ", ".join(f"a.{i}" for i in keys)
    told = "the files disagree"
    for column, files in shared_columns(views).items():
        for one, other in itertools.combinations([views[m] for m in files], 2):
            sql = f"SELECT count(*) OVER (), a.r, a.{column}, b.{column}, {ids} FROM {one.name} a JOIN {other.name} b ON {same}"
            sql += f" WHERE a.{column} <> b.{column} ORDER BY a.r LIMIT 1"
            for count, row, a, b, *values in session.rows(sql, doing="comparing the files") if column[0] != "o" else []:
                role, called = ROLES.get(column, "group"), other.names[column]
                told = (
                    f"{other.source.name}: {count:,} of {rows:,} rows have another {role} in {called!r} than in {one.source.name}"
                )
                where, advice = f", id {show_id(values)}" if views[0].ids else "", "the files must be about the same examples"
                return BadInput(f"{told} (first: row {row:,}{where}: {a} and {b}); {advice}", without_cells=f"{told}; {advice}")
    return BadInput(told)
