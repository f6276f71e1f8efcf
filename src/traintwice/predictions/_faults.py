"""What the rows of files may not hold, and the error for the first row that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from traintwice._database import Session, any_of, show_id
from traintwice._formatting import listed
from traintwice.errors import BadInput, hidden
from traintwice.predictions._layout import Layout, predicted_next_to
from traintwice.predictions._reading import Reading
from traintwice.predictions._source import PRESENT, WIDE, Source, family
from traintwice.predictions._views import View

SUM_TOLERANCE, PERCENT_TOLERANCE = 1e-2, 5e-3
"""How far a row of probabilities may be from summing to one: bfloat16 and three decimals are off by a few 1e-3. Probabilities that all
have at most two decimals may be off by half a unit of the second decimal for each class."""


LEAST_WEIGHT, MOST_WEIGHT = 1e-100, 1e100
"""Bounds of weights other than 0: squares of weights, and their sums, stay finite and above 0."""


NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
NUMBERS = rf"\s*\[\s*{NUMBER}([,\s]+{NUMBER})*\s*\]\s*"
"""A list of numbers as text."""
ZERO, ONE = ("0", "0.0", "false"), ("1", "1.0", "true")
"""Predicted labels of class 0 and of class 1."""
Pairs: TypeAlias = Sequence[tuple[str, int]]
"""Predicted labels and the class of the larger probability."""
LABELS_APART = ". Where a row may have several labels, compare one label at a time: --probs COLUMN --label COLUMN"


@dataclass(frozen=True)
class Fault:
    """A condition that no row may meet, the words for rows that do, what to show of the first of them, and what to do.

    Attributes:
        once: the condition on the column that all files share, which suffices where the files agree on it.
        column: the column of the file whose cell is shown instead, as it is there.
    """

    condition: str
    says: str
    shows: str
    advice: str
    once: str | None = None
    column: str | None = None


def faults(view: View, suffix: str = "") -> Iterator[Fault]:
    """What the rows of a file may not hold, in the order in which it is reported, over columns whose names end in a suffix.

    DuckDB decides comparisons from a file's statistics where it can, and statistics leave NaN out: with minimum 0 and maximum 1 every
    row counts as "between 0 and 1". `isfinite` reads the rows, so NaN has a fault of its own.
    """
    layout, columns = view.layout, [k + suffix for k in view.predictions]
    kind, first, one, y, w = layout.kind, columns[0], layout.columns[0], f"y{suffix}", f"w{suffix}"
    every = "every replica must predict every row; --on-missing drop leaves these rows out"
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
        shown = f"concat_ws(', ', {', '.join(f'coalesce({c}::VARCHAR, {chr(39)}missing{chr(39)})' for c in columns[:12])})"
        yield Fault(any_of(f"{c} IS NULL" for c in columns), f"have {what} that is missing", shown, every)
        yield Fault(f"NOT isfinite({total})", f"have {what} that is NaN or infinite", shown, emits)
        if kind == "score":
            advice = "pass --logits if it is a logit, --regression if it is not a probability; write predicted labels as integers or text"
            yield Fault(f"{first} < 0 OR {first} > 1", f"have a score in {one!r} outside [0, 1]", first, advice)
        elif kind == "columns":
            yield Fault(any_of(f"{c} < 0" for c in columns), "have a negative probability", shown, logits)
    if kind in ("columns", "list"):
        sums, advice = "have probabilities that do not sum to 1", f"choose the columns with --probs, or {logits}{LABELS_APART}"
        entries = first if as_list else f"[{', '.join(columns)}]"
        fine = f"len(list_filter({entries}, lambda e: abs(100 * e - round(100 * e)) >= 1e-4)) > 0"
        wide = f"abs({total} - 1) > {PERCENT_TOLERANCE * (layout.classes or 0) + 1e-9}"
        unequal = f"CASE WHEN abs({total} - 1) > {SUM_TOLERANCE} THEN {wide} OR {fine} ELSE false END"
        yield Fault(unequal, sums, f"'sum ' || ({total})", advice)
    if layout.label is not None and kind == "regression":
        bad = f"raw_y{suffix} AND ({y} IS NULL OR isinf({y}))"
        yield Fault(bad, "have a label that is not a finite number", y, "fix or remove them")
    elif layout.label is not None:
        among = "" if layout.class_names else " 0, 1, 2 …" if layout.classes is None else f" 0 … {layout.classes - 1}"
        outside = f"{y} < 0" + (f" OR {y} >= {layout.classes}" if layout.classes is not None else "")
        whole = view.cells["raw_y"] == f"{view.cells['y']} IS NOT NULL"  # then no label is lost by being read as a class
        bad = outside if whole else f"raw_y{suffix} AND ({y} IS NULL OR {outside})"
        advice = "classes count from 0; pass another --label, or --classes with the names of the classes"
        advice += ". A score is for two classes; pass --probs for more" if kind == "score" else ""
        once = outside.replace(y, "y") if whole else None
        yield Fault(bad, f"have a label in {layout.label!r} that is not one of the classes{among}", y, advice, once, layout.label)
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


def refuse_contradiction(session: Session, source: Source, layout: Layout, reading: Reading) -> None:
    """Raise `BadInput` where the predicted labels next to scores or probabilities are not those of the larger probability."""
    if (label := predicted_next_to(source, layout, reading)) is None:
        return
    vote, is_score = f"lower(CAST({source.cell(label)} AS VARCHAR))", layout.kind == "score"
    if is_score:
        half, number = 0 if layout.logits else 0.5, source.number(source.cell(layout.columns[0]))
        known, largest = f"isfinite(e) AND e <> {half}", f"CAST(e > {half} AS INTEGER)"
    else:
        cells = [source.cell(column) for column in layout.columns]
        number = cells[0] if layout.kind == "list" else f"[{', '.join(map(source.number, cells))}]"
        known = "isfinite(list_sum(e)) AND len(list_filter(e, lambda x: x = list_max(e))) = 1"
        largest = "list_position(e, list_max(e)) - 1"
    sql = f"SELECT {vote} AS v, {number} AS e FROM {source.relation}"
    sql = f"SELECT DISTINCT v, {largest} FROM ({sql}) WHERE v IS NOT NULL AND {known} LIMIT {(layout.classes or 0) + 1}"
    pairs = session.rows(sql, doing=f"{source.name}: reading")
    contradictory = bool(pairs) and len(pairs) > min(len(set(ends)) for ends in zip(*pairs, strict=True))
    if is_score:
        _refuse_score(source, layout, label, half, pairs, reading, contradictory=contradictory)
        return
    names = [
        name.lower() for name in source.class_names or layout.class_names or reading["classes"] or map(str, range(len(pairs)))
    ]
    plain = [({"false": "0", "true": "1"} if "0" in names else {}).get(v, re.sub(r"\.0+$", "", v)) for v, _ in pairs]
    other_order = set(plain) <= set(names) and any(names.index(v) != k for v, (_, k) in zip(plain, pairs, strict=True))
    if contradictory or other_order:
        told = f"{source.name}: {listed(layout.columns)} and {label!r} may both be the predictions, and "
        told += "the largest probability is not always that of the predicted label"
        advice = "as where another rule chose the label, or where the columns are in another order than the classes"
        choice = f"--probs {label} to compare labels, or --probs {','.join(layout.columns[:WIDE])} to compare probabilities"
        raise BadInput(f"{told}, {advice}. Pass {choice}")


def _refuse_score(
    source: Source, layout: Layout, label: str, half: float, pairs: Pairs, reading: Reading, *, contradictory: bool
) -> None:
    """Raise `BadInput` where a score is not that of one class, by the predicted labels next to it."""
    column = layout.columns[0]
    if contradictory:
        told = f"{source.name}: {column!r} and {label!r} may both be the predictions, and {label!r} does not say on which side of {half}"
        advice = (
            f"{column!r} is, as where a score is the confidence of the predicted label. Pass --probs {label} to compare labels, or "
            f"--probs {column} where it is the probability of one class"
        )
        raise BadInput(f"{told} {advice}")
    other = [(vote, above) for vote, above in pairs if vote in (ZERO if above else ONE)]
    if other and reading["positive"] is None:
        (vote, above), *_ = other
        told = f"{source.name}: {column!r} is {'above' if above else 'below'} {half} where {label!r} is {vote}"
        advice = f"pass --positive with the class that {column!r} is the probability of"
        raise BadInput(f"{told}, as the probability of the other class is; {advice}")


def refuse_text(session: Session, source: Source, layout: Layout) -> None:
    """Raise `BadInput` where a column of numbers of a text file holds other text. Missing cells are reported with the other rows."""
    numbers = layout.columns if layout.kind in ("columns", "score", "regression") else ()
    numbers += (layout.weight,) if layout.weight else ()
    numbers += (layout.label,) if layout.label and layout.kind == "regression" else ()
    for column in numbers if source.untyped else ():
        if family(source.columns[column]) not in ("text", "boolean"):
            continue
        cell = source.cell(column)
        bad = f"{cell} IS NOT NULL AND {PRESENT.format(cell)} AND {source.number(cell)} IS NULL"
        others = f"{bad} AND NOT regexp_full_match({cell}, '{NUMBERS}')"
        of_rows = ("count(*)", f"min({source.row})", f"arg_min({cell}, {source.row})")
        select = ", ".join(f"{sql} FILTER ({condition})" for condition in (others, bad) for sql in of_rows)
        ((rows, *found),) = session.rows(f"SELECT count(*), {select} FROM {source.relation}", doing=f"{source.name}: reading")
        # where there are lists of numbers, and other text among them, the other text is wrong
        count, row, text = found[:3] if 0 < found[0] < found[3] else found[3:]
        if count:
            told = f"{source.name}: {count:,} of {rows:,} rows have no number in {column!r}"
            advice = "write numbers as 0.1234 or 1234.5: with a point, without signs of percent, currency or thousands; lists as [0.1, 0.9]"
            raise BadInput(f"{told}{hidden(f' (first: row {row:,}: {show_id((text,))})')}; {advice}")


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
            if fault.column is not None:
                cell = f"CAST({view.source.cell(fault.column)} AS VARCHAR)"
                place = f"{view.source.relation} AS {view.source.table} WHERE {view.source.table}.{view.source.row} = {row}"
                ((text,),) = session.rows(f"SELECT {cell} FROM {place}", doing=doing)
                shown = show_id((text,)) if family(view.source.columns[fault.column]) == "text" else text
                shown += f"; the classes are {listed(view.layout.class_names)}" if view.layout.class_names else ""
            where = f", id {show_id(values)}" if values and None not in values else ""
            first = hidden(f" (first: row {row:,}{where}: {shown})")
            raise BadInput(f"{name}: {count:,} of {total:,} rows {fault.says}{first}; {fault.advice}")
    if of_weight == 0:
        raise BadInput(f"{name}: all weights in {view.layout.weight!r} are zero; at least one row must count")
