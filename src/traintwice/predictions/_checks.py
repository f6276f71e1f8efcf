"""What predictions may not hold, as arrays and as rows of files; and the errors for rows that cannot be matched."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat
import numpy as np

from traintwice._arrays import namespace
from traintwice._database import Session, all_of, show_id
from traintwice.errors import BadInput, hidden
from traintwice.predictions._derived import Examples
from traintwice.predictions._faults import LEAST_WEIGHT, MOST_WEIGHT, PERCENT_TOLERANCE, SUM_TOLERANCE
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
    return BadInput(
        f"{told}{hidden(shown)}; an id must name one row. Pass to --id the columns that together name a row (and to --cluster the "
        "column by which rows belong together), or --draws COLUMN where a model answered an item several times, or --on-missing drop "
        "to leave those ids out"
    )


def unmatched_in(session: Session, views: tuple[View, View], alone: tuple[int, int], rows: tuple[int, int]) -> BadInput:
    """The error for ids that only one of two files has."""
    shown, first = [], []
    for m in (0, 1):
        same, ids = all_of(f"a.{i} = b.{i}" for i in views[0].ids), ", ".join(f"a.{i}" for i in views[0].ids)
        sql = f"SELECT {ids} FROM {views[m].name} a ANTI JOIN {views[1 - m].name} b ON {same} ORDER BY a.r LIMIT {SHOWN}"
        found = session.rows(sql, doing="comparing ids") if alone[m] else []
        shown.append(f" (first: {', '.join(map(show_id, found))})")
        first.append({_plain(values): values for values in found})
    if both := first[0].keys() & first[1].keys():
        one, other = (", ".join(map(ascii, ids[min(both)])) for ids in first)
        shown[1] += f"; {one} and {other} differ only in how they are written: write ids alike in all files"
    return unmatched((views[0].source.name, views[1].source.name), alone, rows, shown)


def _plain(values: Sequence[Any]) -> tuple[str, ...]:
    """An id without capitals, spaces, forms of Unicode, quotes, zeros before a number and a fraction of 0."""
    texts = (unicodedata.normalize("NFKC", str(value)).casefold().strip(" '\"=") for value in values)
    return tuple(re.sub(r"^(\d{4}-\d\d-\d\d)t", r"\1 ", re.sub(r"^\+?0*(\d+)(\.0*)?$", r"\1", text)) for text in texts)


def unmatched(names: tuple[str, str], alone: Sequence[int], rows: Sequence[int], shown: Sequence[str] = ("", "")) -> BadInput:
    """The error for ids that only one of two models has: how many of how many rows, and the first of them."""
    what = (f"are missing from {names[1]}", f"are extra, not in {names[0]}")
    told = [f"{alone[m]:,} of {rows[m]:,} ids of {names[m]} {what[m]}{hidden(shown[m])}" for m in (0, 1) if alone[m]]
    shared = f"Pass --on-missing drop to compare the {rows[0] - alone[0]:,} rows that both have"
    return BadInput(f"{'; '.join(told)}. {shared if rows[0] > alone[0] else 'They share no id: choose another --id'}")


def conflict(session: Session, views: Sequence[View], rows: int) -> BadInput:
    """The error for rows on which two files have different values in a column that belongs to the example."""
    keys = views[0].ids or ("r",)
    same, ids = all_of(f"a.{i} = b.{i}" for i in keys), ", ".join(f"a.{i}" for i in keys)
    for column, files in shared_columns(views).items():
        for one, other in itertools.combinations([views[m] for m in files], 2):
            sql = f"SELECT count(*) OVER (), a.r, a.{column}, b.{column}, {ids} FROM {one.name} a JOIN {other.name} b ON {same}"
            sql += f" WHERE a.{column} <> b.{column} ORDER BY a.r LIMIT 1"
            for count, row, a, b, *values in session.rows(sql, doing="comparing the files") if column[0] != "o" else []:
                role, called = ROLES.get(column, "group"), other.names[column]
                told = f"{other.source.name}: {count:,} of {rows:,} rows have another {role} in {called!r} than in"
                where = f", id {show_id(values)}" if views[0].ids else ""
                first = hidden(f" (first: row {row:,}{where}: {a} and {b})")
                return BadInput(f"{told} {one.source.name}{first}; the files must be about the same examples")
    return BadInput("the files disagree")
