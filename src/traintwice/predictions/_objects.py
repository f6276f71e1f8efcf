"""Arrays of Python objects and of bytes in the type that their entries have."""

from __future__ import annotations

from typing import Any

import numpy as np

from traintwice.errors import BadInput

EXACT = 1 << 53
"""Integers up to this one are exact in float64."""


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
    entries = [None if _is_missing(entry) else entry for entry in array.flat]
    given = [entry for entry in entries if entry is not None]
    kinds = {_kind(entry) for entry in given}
    if kinds == {"truth"} and len(given) == len(entries):
        found = array.astype(bool)
    elif kinds <= {"text"} or kinds == {"truth"}:
        found = np.array([None if entry is None else str(entry) for entry in entries], dtype=object)
    elif kinds == {"integer"} and len(given) == len(entries) and max(map(abs, given)) < 1 << 63:
        found = np.array(given, dtype=np.int64)
    elif kinds <= {"integer", "number"} and all(abs(entry) <= EXACT for entry in given if _kind(entry) == "integer"):
        found = np.array([np.nan if entry is None else entry for entry in entries], dtype=np.float64)
    else:
        shown = ", ".join(sorted({type(entry).__name__ for entry in given})[:5])
        told = f"{source}: array {name!r} holds Python objects of several types or of a type that is not read ({shown})"
        raise BadInput(f"{told}; expected text, numbers or truth values alone")
    return found.reshape(array.shape)


def _is_missing(entry: Any) -> bool:
    """True for None, NaN, and the missing values of pandas."""
    is_nan = isinstance(entry, float | np.floating) and np.isnan(entry)
    return entry is None or bool(is_nan) or type(entry).__name__ in ("NAType", "NaTType")


def _kind(entry: Any) -> str:
    """What an object is: text, truth, integer, number, or the name of another type."""
    kinds = {"text": str, "truth": bool | np.bool_, "integer": int | np.integer, "number": float | np.floating}
    return next((kind for kind, types in kinds.items() if isinstance(entry, types)), type(entry).__name__)
