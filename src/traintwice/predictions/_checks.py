"""What arrays of predictions must hold, and which types their entries have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions._derived import Examples, namespace
from traintwice.types import Array

EXACT = 1 << 53
"""Integers up to this one are exact in float64."""
FLOATS, INTEGERS = (float, np.floating), (int, np.integer)
MISSING_TYPES = ("NoneType", "NAType", "NaTType")


def plain_objects(array: np.ndarray, name: str, source: str) -> np.ndarray:
    """An array of Python objects as text, truth values or numbers, where all entries are of one kind; None and NaN are missing.

    >>> plain_objects(np.array([1, None], dtype=object), "y", "a"), plain_objects(np.array(["a", np.nan], dtype=object), "y", "a")
    (array([ 1., nan]), array(['a', None], dtype=object))
    """
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as reason:
            raise BadInput(
                f"{source}: array {name!r} holds bytes that are not UTF-8 text ({reason}); decode them first"
            ) from None
    if array.dtype.kind != "O":
        return array
    types = set(map(type, array.flat))
    kinds = {_kind_of(one) for one in types}
    if "number" in kinds and all(entry != entry for entry in array.flat if isinstance(entry, FLOATS)):
        kinds = kinds - {"number"} | {"missing"}  # no number but NaN
    complete, kinds = "missing" not in kinds, kinds - {"missing"}
    if kinds == {"truth"} and complete:
        found = array.astype(bool)
    elif kinds <= {"text"} or kinds == {"truth"}:
        found = array if types <= {str, type(None)} else as_text(array)
    elif kinds == {"integer"} and complete and all(-(1 << 63) < entry < 1 << 63 for entry in array.flat):
        found = array.astype(np.int64)
    elif kinds <= {"integer", "number"} and all(abs(int(n)) <= EXACT for n in array.flat if isinstance(n, INTEGERS)):
        found = np.array([np.nan if _is_missing(n) else n for n in array.flat], dtype=np.float64).reshape(array.shape)
    else:
        shown = ", ".join(sorted({one.__name__ for one in types if _kind_of(one) in kinds})[:5])
        told = f"{source}: array {name!r} holds Python objects of several types or of a type that is not read ({shown})"
        raise BadInput(f"{told}; expected text, numbers or truth values alone")
    return found


def as_text(array: np.ndarray) -> np.ndarray:
    """An array as text; None where an entry is missing."""
    text = [None if _is_missing(entry) else str(entry) for entry in array.ravel().tolist()]
    return np.array(text, dtype=object).reshape(array.shape)


def _is_missing(entry: Any) -> bool:
    """True for None, NaN, and the missing values of pandas."""
    is_nan = isinstance(entry, FLOATS) and entry != entry
    return entry is None or is_nan or type(entry).__name__ in MISSING_TYPES


def _kind_of(one: type) -> str:
    """What the objects of a type are: missing, text, truth, integer, number, or the name of another type."""
    if one.__name__ in MISSING_TYPES:
        return "missing"
    kinds = {"text": (str,), "truth": (bool, np.bool_), "integer": INTEGERS, "number": FLOATS}
    return next((kind for kind, types in kinds.items() if issubclass(one, types)), one.__name__)


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
