"""What predictions may not hold, as arrays and as rows of files; and the errors for rows that cannot be matched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from traintwice._arrays import namespace
from traintwice._database import Session, all_of, any_of, show_id
from traintwice.errors import BadInput
from traintwice.predictions._derived import Examples
from traintwice.predictions._source import WIDE, family
from traintwice.predictions._views import ROLES, View, shared_columns
from traintwice.types import Array

PROBS_OR_LABELS = "(replicas, examples, classes) with probabilities or (replicas, examples) with predicted labels"


def namespace_of(given: Any, name: str, shape: str) -> Any:
    """The functions of the library that an array comes from; or `BadInput` for what is not an array."""
    if not array_api_compat.is_array_api_obj(given):
        raise BadInput(f"{name}: got {type(given).__name__}, expected an array of shape {shape}")
    return namespace(given)


def _first(xp: Any, bad: Array) -> tuple[int, list[int]]:
    """How many entries are true, and the indices of the first."""
    count = int(xp.sum(xp.astype(bad, xp.int64)))
    return count, [int(axis[0]) for axis in xp.nonzero(bad)] if count else []


SUM_TOLERANCE, PERCENT_TOLERANCE = 1e-2, 5e-3
"""How far a row of probabilities may be from summing to one: bfloat16 and three decimals are off by a few 1e-3. Probabilities that all
have at most two decimals may be off by half a unit of the second decimal for each class."""


LEAST_WEIGHT, MOST_WEIGHT = 1e-100, 1e100
"""Bounds of weights other than 0: squares of weights, and their sums, stay finite and above 0."""


def check_probabilities(xp: Any, probs: Array) -> None:
    """Raise `BadInput` unless every row of ``M N K`` is a probability distribution."""
    replicas, examples, classes = probs.shape
    if not xp.isdtype(probs.dtype, "real floating"):
        raise BadInput(f"probabilities: got dtype {probs.dtype}, expected floating point numbers of shape (M, N, K)")
    if min(replicas, examples) < 1 or classes < 2:
        raise BadInput(
            f"probabilities: got shape {tuple(probs.shape)}, expected (replicas, examples, classes) with at least one "
            "replica and example and two classes; a single score s of a binary model becomes the two columns 1 − s, s"
        )
    if isinstance(probs, np.ndarray) and probs.dtype in (np.float32, np.float64):  # fast, and precise enough
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are reported below
            total = probs @ np.ones(classes, dtype=probs.dtype)
    else:
        total = xp.sum(probs, axis=2, dtype=xp.float64)
    if bool(xp.min(probs) >= 0) and bool(xp.all(xp.abs(total - 1.0) <= SUM_TOLERANCE)):
        return  # NaN fails both comparisons, infinity the second: two cheap passes show that all is well
    count, at = _first(xp, ~xp.isfinite(probs))
    if count:
        raise BadInput(
            f"probabilities: {count:,} of {replicas * examples * classes:,} entries are NaN or infinite (first: replica {at[0]}, "
            f"example {at[1]}, class {at[2]}); find out why the model emits them, or leave those examples out for all replicas"
        )
    count, at = _first(xp, probs < 0)
    if count:
        told = f"probabilities: {count:,} entries are negative (first: replica {at[0]}, example {at[1]}, class {at[2]})"
        raise BadInput(f"{told}; these look like logits: pass softmax(logits)")
    off, percent = xp.abs(total - 1.0), xp.astype(probs, xp.float64) * 100
    two_decimals = xp.all(xp.abs(percent - xp.round(percent)) < 1e-4, axis=2)
    count, at = _first(xp, (off > SUM_TOLERANCE) & ~(two_decimals & (off <= PERCENT_TOLERANCE * classes + 1e-9)))
    if count:
        raise BadInput(
            f"probabilities: {count:,} of {replicas * examples:,} rows do not sum to 1 (first: replica {at[0]}, example "
            f"{at[1]}, sum {float(total[at[0], at[1]]):.6g}); the last axis must hold the probabilities of the classes"
        )


def check_votes(xp: Any, votes: Array) -> None:
    """Raise `BadInput` unless predicted labels are integers of shape ``M N`` that count from 0."""
    if votes.ndim != 2:
        raise BadInput(f"predictions: got shape {tuple(votes.shape)}, expected {PROBS_OR_LABELS}")
    if not xp.isdtype(votes.dtype, "integral"):
        raise BadInput(
            f"predicted labels: got dtype {votes.dtype} of shape {tuple(votes.shape)}, expected integers; probabilities "
            "need a third axis, (replicas, examples, classes)"
        )
    if min(votes.shape) < 1:
        raise BadInput(f"predicted labels: got shape {tuple(votes.shape)}, expected at least one replica and one example")
    if not xp.isdtype(votes.dtype, "unsigned integer") and bool(xp.min(votes) < 0):
        count, at = _first(xp, votes < 0)
        raise BadInput(
            f"predicted labels: {count:,} are negative (first: replica {at[0]}, example {at[1]}); classes count from 0"
        )


def check_scores(xp: Any, scores: Array) -> None:
    """Raise `BadInput` unless the scores are finite floating point numbers of shape ``M N`` or ``M N K``."""
    if scores.ndim not in (2, 3) or min(scores.shape) < 1:
        raise BadInput(f"scores: got shape {tuple(scores.shape)}, expected (replicas, examples) or (replicas, examples, classes)")
    if not xp.isdtype(scores.dtype, "real floating"):
        raise BadInput(f"scores: got dtype {scores.dtype}, expected floating point numbers")
    count, at = _first(xp, ~xp.isfinite(scores))
    if count:
        raise BadInput(f"scores: {count:,} are NaN or infinite (first: replica {at[0]}, example {at[1]})")


def check_class_names(names: Sequence[str] | None, classes: int | None) -> None:
    """Raise `BadInput` unless there is one name for each class."""
    if names is not None and not isinstance(names, list | tuple):
        raise BadInput(f"class_names: got {type(names).__name__}, expected a list of names")
    if names is not None and classes is not None and len(names) != classes:
        raise BadInput(f"class_names: got {len(names)}, expected {classes}, one for each class")


def _of_examples(xp: Any, values: Array, known: Array, name: str, entry: str) -> Array:
    """``values`` as an array ``N`` of the kind and on the device of the predictions ``known``; or `BadInput`."""
    if not array_api_compat.is_array_api_obj(values) or namespace(values) is not xp:
        values = xp.asarray(values, device=array_api_compat.device(known))
    if values.ndim != 1 or values.shape[0] != known.shape[1]:
        raise BadInput(f"{name}: got shape {tuple(values.shape)}, expected ({known.shape[1]},), one {entry} for each example")
    return values


def check_examples(
    xp: Any,
    predicted: Array,
    classes: int | None,
    labels: Array | None = None,
    weights: Array | None = None,
    targets: Array | None = None,
    **others: Any,
) -> Examples:
    """What is known of the examples: arrays ``N`` like the predictions, labels int64, weights and targets float64; or `BadInput`."""
    if labels is not None:
        labels = _of_examples(xp, labels, predicted, "labels", "label")
        if not xp.isdtype(labels.dtype, "integral"):
            raise BadInput(f"labels: got dtype {labels.dtype}, expected integers that count classes from 0")
        labels = xp.astype(labels, xp.int64)
        count, at = _first(xp, labels < 0 if classes is None else (labels < 0) | (labels >= classes))
        if count:
            told = f"labels: {count:,} are {'negative' if classes is None else f'outside 0 to {classes - 1}'}"
            raise BadInput(f"{told} (first: example {at[0]}, label {int(labels[at[0]])})")
    if weights is not None:
        weights = xp.astype(_of_examples(xp, weights, predicted, "weights", "weight"), xp.float64)
        count, at = _first(xp, ~(xp.isfinite(weights) & (weights >= 0)))
        if count:
            raise BadInput(f"weights: {count:,} are negative or not finite (first: example {at[0]})")
        count, at = _first(xp, (weights > MOST_WEIGHT) | ((weights < LEAST_WEIGHT) & (weights > 0)))
        if count:
            told = f"weights: {count:,} are above {MOST_WEIGHT} or below {LEAST_WEIGHT} and not 0 (first: example {at[0]})"
            raise BadInput(f"{told}; divide all weights by their mean")
        if float(xp.sum(weights)) <= 0:
            raise BadInput("weights: all are zero; at least one example must count")
    if targets is not None:
        targets = xp.astype(_of_examples(xp, targets, predicted, "targets", "number"), xp.float64)
        count, at = _first(xp, xp.isinf(targets))
        if count:
            raise BadInput(f"targets: {count:,} are infinite (first: example {at[0]}); a missing target is nan")
    groups = others.pop("groups", None)
    if not isinstance(groups := {} if groups is None else groups, Mapping):
        raise BadInput(f"groups: got {type(groups).__name__}, expected a mapping from names to arrays")
    known = Examples(labels, weights, targets, groups=dict(groups), **others)
    for name, column in (("ids", known.ids), ("clusters", known.clusters), *known.groups.items(), *known.shown.items()):
        if column is not None and (not hasattr(column, "__len__") or getattr(column, "ndim", 1) == 0):
            raise BadInput(f"{name}: got {type(column).__name__}, expected one entry for each example")
        if column is not None and len(column) != predicted.shape[1]:
            raise BadInput(f"{name}: got {len(column):,} entries, expected {predicted.shape[1]:,}, one for each example")
    return known


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
