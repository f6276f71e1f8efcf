"""Arrays as columns: npz, npy and safetensors files, and arrays from Python. Nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput

CLASS_NAMES = ("classes", "class_names", "classes_")
"""Arrays of these names hold the names of the K classes and are not columns."""


def load(path: Path, kind: str) -> dict[str, np.ndarray]:
    """The arrays in a file by name; the one array of an npy file is called ``""``."""
    try:
        if kind == "safetensors":
            from safetensors.numpy import load_file

            return dict(load_file(path))
        with path.open("rb") as stream:  # opened here, so that it is closed whatever the file holds
            loaded = np.load(stream, allow_pickle=False)
            return {"": loaded} if kind == "npy" else {name: loaded[name] for name in loaded.files}
    except MemoryError:
        raise
    except Exception as reason:  # zip, header, dtype and format errors of three libraries have no common class
        if "pickle" in str(reason):
            raise BadInput(
                f"{path}: holds Python objects, which are never unpickled; save numbers or fixed-width text (dtype 'U'), "
                "not dtype object"
            ) from reason
        raise BadInput(f"{path}: cannot be read as {kind} ({reason}); it may be cut short or of another format") from reason


def as_columns(arrays: Mapping[str, Any], source: str) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """One-dimensional columns of equal length, and the names of the classes where an array gives them.

    An array ``name`` of shape ``N K`` becomes the columns name_0 … name_{K-1}; without a name they are p_0 …

    >>> columns, names = as_columns({"probs": np.array([[0.9, 0.1]]), "classes": np.array(["cat", "dog"])}, "a.npz")
    >>> list(columns), names
    (['probs_0', 'probs_1'], ('cat', 'dog'))
    """
    columns: dict[str, np.ndarray] = {}
    names: tuple[str, ...] | None = None
    for name, given in arrays.items():
        array = _plain(np.asarray(given), name, source)
        if name in CLASS_NAMES and array.ndim == 1:
            names = tuple(str(entry) for entry in array)
        elif array.ndim == 1:
            columns[name or _usual_name(array)] = array
        elif array.ndim == 2:
            columns |= {f"{name or 'p'}_{k}": np.ascontiguousarray(array[:, k]) for k in range(array.shape[1])}
        elif array.ndim > 2:
            raise BadInput(
                f"{source}: array {name!r} has shape {array.shape}, expected (examples, classes): a file holds one replica. "
                "Save one file for each, or pass the whole array to traintwice.measure in Python"
            )
    lengths = {name: len(column) for name, column in columns.items() if len(column) != 1}
    longest = max(lengths.values(), default=1)
    if len(set(lengths.values())) > 1:
        other = next(name for name, length in lengths.items() if length != longest)
        same = next(name for name, length in lengths.items() if length == longest)
        raise BadInput(
            f"{source}: array {other!r} has {lengths[other]:,} entries and {same!r} has {longest:,}; "
            "expected one entry for each example in all"
        )
    return {name: column for name, column in columns.items() if len(column) == longest}, names


def _usual_name(array: np.ndarray) -> str:
    return "p" if array.dtype.kind == "f" else "pred"


def _plain(array: np.ndarray, name: str, source: str) -> np.ndarray:
    """The array in a type that DuckDB reads without loss."""
    kind = array.dtype.kind
    if kind == "O":
        kinds = sorted({type(entry).__name__ for entry in array.flat if entry is not None})
        if kinds not in ([], ["str"]):
            raise BadInput(f"{source}: array {name!r} mixes Python objects ({', '.join(kinds[:5])}); give it one type")
        return array
    if kind not in "fiubUM" or (array.dtype.itemsize > 8 and kind == "f"):
        raise BadInput(
            f"{source}: array {name!r} has dtype {array.dtype}, expected floating point up to 64 bits, integers, text or dates"
        )
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
