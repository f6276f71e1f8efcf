"""What an array of predictions must be; every message counts the offending rows and names the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.types import Array


def _first(xp: Any, bad: Array) -> tuple[int, list[int]]:
    """How many entries are true, and the indices of the first."""
    count = int(xp.sum(xp.astype(bad, xp.int64)))
    return count, [int(axis[0]) for axis in xp.nonzero(bad)] if count else []


def check_probabilities(xp: Any, probs: Array, *, tolerance: float) -> None:
    """Raise `BadInput` unless every row of ``M N K`` is a probability distribution."""
    replicas, examples, classes = probs.shape
    if not xp.isdtype(probs.dtype, "real floating"):
        raise BadInput(f"probabilities: got dtype {probs.dtype}, expected floating point numbers of shape (M, N, K)")
    if min(replicas, examples) < 1 or classes < 2:
        raise BadInput(
            f"probabilities: got shape {tuple(probs.shape)}, expected (replicas, examples, classes) with at least one "
            "replica and example and two classes; a single score s of a binary model becomes the two columns 1 − s, s"
        )
    total = _row_sums(xp, probs)
    if bool(xp.min(probs) >= 0) and bool(xp.all(xp.abs(total - 1.0) <= tolerance)):
        return  # NaN fails both comparisons, infinity the second: two cheap passes show that all is well
    count, at = _first(xp, ~xp.isfinite(probs))
    if count:
        raise BadInput(
            f"probabilities: {count:,} of {replicas * examples * classes:,} entries are NaN or infinite (first: replica {at[0]}, "
            f"example {at[1]}, class {at[2]}); find out why the model emits them, or leave those examples out for all replicas"
        )
    count, at = _first(xp, probs < 0)
    if count:
        raise BadInput(
            f"probabilities: {count:,} entries are negative (first: replica {at[0]}, example {at[1]}, class {at[2]}); "
            "these look like logits: pass softmax(logits)"
        )
    count, at = _first(xp, xp.abs(total - 1.0) > tolerance)
    raise BadInput(
        f"probabilities: {count:,} of {replicas * examples:,} rows do not sum to 1 (first: replica {at[0]}, example "
        f"{at[1]}, sum {float(total[at[0], at[1]]):.6g}); the last axis must hold the probabilities of the classes"
    )


def _row_sums(xp: Any, probs: Array) -> Array:
    """Sums over classes, ``M N``; as a product with ones where that is fast and precise enough."""
    if isinstance(probs, np.ndarray) and probs.dtype in (np.float32, np.float64):
        with np.errstate(invalid="ignore", over="ignore"):  # infinities are reported by the caller
            return probs @ np.ones(probs.shape[2], dtype=probs.dtype)
    return xp.sum(probs, axis=2, dtype=xp.float64)


def check_votes(xp: Any, votes: Array) -> None:
    """Raise `BadInput` unless predicted labels are integers of shape ``M N`` that count from 0."""
    if votes.ndim != 2:
        raise BadInput(
            f"predictions: got shape {tuple(votes.shape)}, expected (replicas, examples, classes) with probabilities or "
            "(replicas, examples) with predicted labels"
        )
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
    """Raise `BadInput` unless ``scores`` are finite floating point numbers of shape ``M N`` or ``M N K``."""
    if scores.ndim not in (2, 3) or min(scores.shape) < 1:
        raise BadInput(f"scores: got shape {tuple(scores.shape)}, expected (replicas, examples) or (replicas, examples, classes)")
    if not xp.isdtype(scores.dtype, "real floating"):
        raise BadInput(f"scores: got dtype {scores.dtype}, expected floating point numbers")
    count, at = _first(xp, ~xp.isfinite(scores))
    if count:
        raise BadInput(f"scores: {count:,} are NaN or infinite (first: replica {at[0]}, example {at[1]})")


def _of_examples(xp: Any, values: Array, known: Array, name: str, entry: str) -> Array:
    """``values`` as an array ``N`` of the kind and on the device of the predictions ``known``; or `BadInput`."""
    if not array_api_compat.is_array_api_obj(values) or array_api_compat.array_namespace(values) is not xp:
        values = xp.asarray(values, device=array_api_compat.device(known))
    if values.ndim != 1 or values.shape[0] != known.shape[1]:
        raise BadInput(f"{name}: got shape {tuple(values.shape)}, expected ({known.shape[1]},), one {entry} for each example")
    return values


def check_labels(xp: Any, labels: Array, known: Array, *, classes: int | None) -> Array:
    """Labels as an int64 array of shape ``N``, of the same kind as the predictions ``known``; or `BadInput`."""
    labels = _of_examples(xp, labels, known, "labels", "label")
    if not xp.isdtype(labels.dtype, "integral"):
        raise BadInput(f"labels: got dtype {labels.dtype}, expected integers that count classes from 0")
    labels = xp.astype(labels, xp.int64)
    count, at = _first(xp, labels < 0 if classes is None else (labels < 0) | (labels >= classes))
    if count:
        top = "" if classes is None else f" to {classes - 1}"
        raise BadInput(f"labels: {count:,} lie outside 0{top} (first: example {at[0]}, label {int(labels[at[0]])})")
    return labels


def check_weights(xp: Any, weights: Array, known: Array) -> Array:
    """Weights as a float64 array of shape ``N``, of the same kind as the predictions ``known``; or `BadInput`."""
    weights = xp.astype(_of_examples(xp, weights, known, "weights", "weight"), xp.float64)
    count, at = _first(xp, ~(xp.isfinite(weights) & (weights >= 0)))
    if count:
        raise BadInput(f"weights: {count:,} are negative or not finite (first: example {at[0]})")
    if float(xp.sum(weights)) <= 0:
        raise BadInput("weights: all are zero; at least one example must count")
    return weights


def check_targets(xp: Any, targets: Array, known: Array) -> Array:
    """True values as a float64 array of shape ``N``, nan where there is none; or `BadInput`."""
    targets = xp.astype(_of_examples(xp, targets, known, "targets", "number"), xp.float64)
    count, at = _first(xp, xp.isinf(targets))
    if count:
        raise BadInput(f"targets: {count:,} are infinite (first: example {at[0]}); a missing target is nan")
    return targets


def check_lengths(columns: Mapping[str, Any], examples: int) -> None:
    """Raise `BadInput` unless every column that is there has one entry for each example."""
    for name, column in columns.items():
        if column is not None and len(column) != examples:
            raise BadInput(f"{name}: got {len(column):,} entries, expected {examples:,}, one for each example")
