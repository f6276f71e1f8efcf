"""Arrays of any library, and of Python objects, as arrays of NumPy."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from traintwice.errors import BadInput
from traintwice.types import Array

EXACT = 1 << 53
"""Integers up to this one are exact in float64."""
FLOATS, INTEGERS = (float, np.floating), (int, np.integer)
MISSING_TYPES = ("NoneType", "NAType", "NaTType")


def namespace(array: Array) -> Any:
    """The functions of the library that an array comes from. NumPy has all of the standard; its copy by array_api_compat loads slowly."""
    return np if isinstance(array, np.ndarray) else array_api_compat.array_namespace(array)


def to_numpy(array: Array) -> np.ndarray:
    """A NumPy array of the same numbers, from any device; masked entries are NaN, and refused where they are whole numbers or text."""
    if isinstance(array, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(array)
        if not masked.any():
            return np.asarray(array.data)
        if array.dtype.kind != "f":
            told = f"got a masked array of {array.dtype}, {int(masked.sum()):,} of {array.size:,} entries are masked"
            raise BadInput(f"{told}; leave these rows out, or pass numbers with NaN")
        return np.asarray(array.filled(np.nan))
    if isinstance(array, np.ndarray):
        if array.dtype.names is not None:
            told = f"got a structured array with the fields {', '.join(array.dtype.names)}"
            raise BadInput(f"{told}; pass the table pandas.DataFrame(array), or an array of one field")
        small = array.dtype.kind == "V" and array.dtype.type is not np.void  # bfloat16 and others that NumPy does not have
        return array.astype(np.float32) if small else np.asarray(array)
    if is_series(array):
        return np.asarray(array.to_numpy())
    try:
        return to_numpy(np.asarray(_on_cpu(array) if hasattr(array, "detach") else array))
    except ValueError as reason:
        told = f"got a {type(array).__name__} that is not an array ({reason}); its parts have different lengths"
        raise BadInput(told) from None


def _on_cpu(tensor: Any) -> Any:
    """A tensor of PyTorch that NumPy can read: bfloat16 and smaller numbers become float32, which has all their values."""
    tensor = tensor.detach().cpu()
    small = tensor.is_floating_point() and str(tensor.dtype) not in ("torch.float16", "torch.float32", "torch.float64")
    return tensor.float() if small else tensor


def refuse_ones(probs: np.ndarray, name: str) -> None:
    """Raise `BadInput` where a single column of probabilities is 1 in every row."""
    if len(probs) and bool((probs == 1).all()):
        raise BadInput(
            f"{name}: has one column, and every probability is 1, as the softmax of a single logit is; write the sigmoid of the logit"
        )


def are_whole(numbers: np.ndarray) -> np.ndarray:
    """Which floating point numbers are whole numbers that int64 has exactly."""
    return np.asarray((np.abs(numbers) <= EXACT) & (numbers == np.round(numbers)))


def as_classes(labels: np.ndarray) -> np.ndarray:
    """Truth values and whole floating point numbers as int64; other labels are unchanged.

    >>> as_classes(np.array([True, False])), as_classes(np.array([1.0, 2.0])), as_classes(np.array([1.0, np.inf]))
    (array([1, 0]), array([1, 2]), array([ 1., inf]))
    """
    whole = labels.dtype.kind == "b" or (labels.dtype.kind == "f" and bool(are_whole(labels).all()))
    return labels.astype(np.int64) if whole else labels


def is_series(given: Any) -> bool:
    """True for one column of pandas, Polars or Arrow, False for a table or an array."""
    table = any(hasattr(given, name) for name in ("columns", "column_names", "collect"))
    return hasattr(given, "to_numpy") and not table


def plain_objects(given: Any, name: str, source: str) -> np.ndarray:
    """An array; one of Python objects as text, truth values or numbers where all entries are of one kind. None and NaN are missing.

    >>> plain_objects(np.array([1, None], dtype=object), "y", "a"), plain_objects(np.array(["a", np.nan], dtype=object), "y", "a")
    (array([ 1., nan]), array(['a', None], dtype=object))
    """
    try:
        array = to_numpy(given)
    except BadInput as error:
        raise BadInput(f"{source}: array {name!r}: {error}") from None
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


def as_ids(ids: Array, source: str) -> np.ndarray:
    """Ids of a type that identifies rows exactly."""
    found = plain_objects(ids, "ids", source)
    if found.dtype.kind in "fc":
        told = f"{source}: ids: got dtype {found.dtype}, which does not identify rows exactly"
        raise BadInput(f"{told}; expected integers or text: pass ids.astype(int) where all are whole numbers")
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
