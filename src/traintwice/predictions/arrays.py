"""Arrays as columns, a block of rows at a time: from Python, or from npy, npz and safetensors files, of which nothing is unpickled."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from traintwice.errors import BadInput
from traintwice.predictions.predictions import Predictions
from traintwice.predictions.session import Session, check_target, identifier
from traintwice.types import Array

TENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
TENSORS |= {"I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"}
"""NumPy's name for each dtype of safetensors; bfloat16 is read as its bits."""

CLASS_NAMES = ("classes", "class_names", "classes_")
"""Arrays of these names hold the names of the K classes and are not columns."""

BLOCK_BYTES = 1 << 25
"""Memory of a block of rows."""


@dataclass(frozen=True)
class Slices:
    """An array of which any rows can be had without the others.

    Attributes:
        shape, dtype: of the whole.
        rows: the rows from start to stop.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Columns:
    """Columns of equal length.

    Attributes:
        source: the file or table, for messages.
        length: N.
        parts: the names of the columns that each array brings, and the array.
        class_names: the names of the classes where an array gives them.
    """

    source: str
    length: int
    parts: tuple[tuple[tuple[str, ...], Slices], ...]
    class_names: tuple[str, ...] | None

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        return [name for names, _ in self.parts for name in names]

    @property
    def texts(self) -> set[str]:
        """Names of the columns of text."""
        return {name for names, array in self.parts for name in names if array.dtype.kind in "UO"}

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The columns in blocks of rows, each in a type that DuckDB reads without loss."""
        width = sum(array.dtype.itemsize * len(names) for names, array in self.parts)
        rows = max(BLOCK_BYTES // max(width, 1), 2048)
        for start in range(0, self.length, rows):
            yield self.block(start, min(start + rows, self.length))

    def block(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """The rows from start to stop."""
        found: dict[str, np.ndarray] = {}
        for names, array in self.parts:
            rows = _plain(array.rows(start, stop), names[0], self.source)
            found |= {n: np.ascontiguousarray(rows if rows.ndim == 1 else rows[:, k]) for k, n in enumerate(names)}
        return found


def as_columns(arrays: Mapping[str, Any], source: str) -> Columns:
    """The columns of arrays, or of `Slices` of files.

    An array ``name`` of shape ``N K`` becomes the columns name_0 … name_{K-1}; without a name they are p_0 …

    Raises:
        BadInput: an array has a type or shape that no column has, or the lengths differ.

    >>> columns = as_columns({"probs": np.array([[0.9, 0.1]]), "classes": np.array(["cat", "dog"])}, "a.npz")
    >>> columns.names, columns.class_names, columns.block(0, 1)["probs_1"].tolist()
    (['probs_0', 'probs_1'], ('cat', 'dog'), [0.1])
    """
    parts: list[tuple[tuple[str, ...], Slices]] = []
    class_names: tuple[str, ...] | None = None
    for name, given in arrays.items():
        array = given if isinstance(given, Slices) else _in_memory(np.asarray(given))
        kind, axes = array.dtype.kind, len(array.shape)
        if kind not in "fiubUMO" or (array.dtype.itemsize > 8 and kind == "f"):
            raise BadInput(
                f"{source}: array {name!r} has dtype {array.dtype}, expected floating point up to 64 bits, integers, text or dates"
            )
        if name in CLASS_NAMES and axes == 1:
            class_names = tuple(str(entry) for entry in array.rows(0, array.shape[0]))
        elif axes == 1:
            parts.append(((name or ("p" if kind == "f" else "pred"),), array))
        elif axes == 2:
            parts.append((tuple(f"{name or 'p'}_{k}" for k in range(array.shape[1])), array))
        elif axes > 2:
            raise BadInput(
                f"{source}: array {name!r} has shape {array.shape}, expected (examples, classes): a file holds one replica. "
                "Save one file for each, or pass the whole array to traintwice.measure in Python"
            )
    lengths = {names[0]: array.shape[0] for names, array in parts if names and array.shape[0] != 1}
    longest = max(lengths.values(), default=1)
    if len(set(lengths.values())) > 1:
        other = next(name for name, length in lengths.items() if length != longest)
        same = next(name for name, length in lengths.items() if length == longest)
        raise BadInput(
            f"{source}: array {other!r} has {lengths[other]:,} entries and {same!r} has {longest:,}; "
            "expected one entry for each example in all"
        )
    return Columns(source, longest, tuple(p for p in parts if p[0] and p[1].shape[0] == longest), class_names)


def open_arrays(path: Path, kind: str, folder: Path) -> dict[str, Slices]:
    """The arrays in a file by name; the one array of an npy file is called ``""``.

    Args:
        path: of the file.
        kind: "npy", "npz" or "safetensors".
        folder: where the members of an npz are unpacked to, since they cannot be read from the middle.
    Raises:
        BadInput: the file cannot be read, or holds Python objects.
    """
    try:
        if kind == "safetensors":
            return _tensors(path)
        if kind == "npy":
            return {"": _npy(path, str(path))}
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _member(archive, name, folder, str(path)) for name in archive.namelist()}
    except (MemoryError, BadInput):
        raise
    except OSError as reason:
        room = "; npz files are unpacked into the temporary folder, which TMPDIR names" if kind == "npz" else ""
        raise BadInput(f"{path}: cannot be read ({reason.strerror or reason}){room}") from reason
    except Exception as reason:  # zip, header, dtype and format errors of three libraries have no common class
        raise BadInput(f"{path}: cannot be read as {kind} ({reason}); it may be cut short or of another format") from reason


def write_predictions(
    path: str | Path,
    probs: Array,
    *,
    ids: Array | None = None,
    labels: Array | None = None,
    weights: Array | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Write one replica's predictions as Parquet, in the order of the ids, so that later comparisons are fast.

    Args:
        path: where to; ends in ``.parquet``. A file that is there is replaced only once the new one is complete.
        probs: probabilities ``N K`` (columns p_0 … or, with names, p_<name>), or predicted labels ``N`` (column pred).
        ids: what identifies each row, integers or text, shape ``N`` (column id). Without them the file can only be compared
            by position.
        labels: true labels, integers ``N`` (column y).
        weights: weights ``N`` (column w).
        class_names: names of the K classes.
    Returns:
        The path.
    Raises:
        BadInput: the arrays are not predictions, an id is repeated, or the file cannot be written (a full disk, a read-only
            folder, a limit on file size); then nothing is left behind.
    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_predictions(f"{folder}/a.parquet", np.array([[0.9, 0.1], [0.3, 0.7]]), ids=np.array([8, 5]))
        ...     with open_predictions(path) as one:
        ...         print(one.read().ids, one.read().votes)
        [5 8] [[1 0]]
    """
    path, predicted = check_target(path), np.asarray(probs)
    if predicted.ndim not in (1, 2):
        raise BadInput(f"{path}: got predictions of shape {predicted.shape}, expected (examples, classes) or (examples,)")
    Predictions(predicted[None], labels, weights, ids=ids, class_names=class_names)  # the checks
    names = None if class_names is None else np.asarray(class_names)
    given: dict[str, Any] = {} if ids is None else {"id": ids}
    if predicted.ndim == 1:
        given["pred"] = predicted if names is None else names[predicted]
    else:
        given |= {"p": predicted} if names is None else {f"p_{c}": predicted[:, k] for k, c in enumerate(names)}
    if labels is not None:
        given["y"] = np.asarray(labels) if names is None else names[np.asarray(labels)]
    if weights is not None:
        given["w"] = weights
    columns = as_columns(given, str(path))
    texts = columns.texts  # as text: DuckDB takes NumPy's for an enumeration, whose order is its own
    select = ", ".join(f"CAST({q} AS VARCHAR) AS {q}" if n in texts else q for n in columns.names for q in [identifier(n)])
    session = Session()
    try:
        with session.explained(f"{path}: reading the arrays"):
            session.connection.register("columns_to_write", columns.block(0, columns.length))
        if ids is not None:
            repeated = "SELECT 1 FROM columns_to_write GROUP BY id HAVING count(*) > 1"
            sql = f"SELECT (SELECT count(*) FROM ({repeated})), count(*) FILTER (id IS NULL) FROM columns_to_write"
            ((twice, missing),) = session.rows(sql, doing=f"{path}: reading the ids")
            if twice or missing:
                told = f"{twice:,} ids are on more than one row" if twice else f"{missing:,} rows have no id"
                raise BadInput(f"{path}: {told}; an id must name one example")
        session.write(path, f"SELECT {select} FROM columns_to_write{' ORDER BY id' if ids is not None else ''}")
    finally:
        session.close()
    return path


def _in_memory(array: np.ndarray) -> Slices:
    return Slices(array.shape, array.dtype, lambda start, stop: array[start:stop])


def _plain(array: np.ndarray, name: str, source: str) -> np.ndarray:
    """The array in a type that DuckDB reads without loss."""
    if array.dtype.kind == "O":
        kinds = sorted({type(entry).__name__ for entry in array.flat if entry is not None})
        if kinds not in ([], ["str"]):
            raise BadInput(f"{source}: array {name!r} mixes Python objects ({', '.join(kinds[:5])}); give it one type")
        return array
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _member(archive: zipfile.ZipFile, name: str, folder: Path, shown: str) -> Slices:
    if not name.endswith(".npy"):
        raise BadInput(f"{shown}: cannot be read as npz: {name!r} in it is not an array")
    with archive.open(name) as packed, tempfile.NamedTemporaryFile(dir=folder, delete=False) as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    return _npy(Path(unpacked.name), shown)


def _npy(path: Path, shown: str) -> Slices:
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read_header(stream)
        at = stream.tell()
    if dtype.hasobject:
        raise BadInput(
            f"{shown}: holds Python objects, which are never unpickled; save numbers or fixed-width text (dtype 'U'), not dtype object"
        )
    size, least = path.stat().st_size, at + math.prod(shape) * dtype.itemsize
    if size < least:
        raise ValueError(f"{size:,} bytes, {least:,} expected")
    return Slices(shape, dtype, partial(_rows_of_file, path, at, shape, dtype, shown, by_column and len(shape) == 2))


def _tensors(path: Path) -> dict[str, Slices]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):  # which checks the header and where each tensor is
        pass
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in TENSORS:
            raise BadInput(
                f"{path}: array {name!r} has dtype {entry['dtype']}, expected floating point, integers or truth values"
            )
        shape, dtype = tuple(entry["shape"]), np.dtype(TENSORS[entry["dtype"]])
        read = partial(_rows_of_file, path, 8 + length + entry["data_offsets"][0], shape, dtype, str(path), False)
        is_brain = entry["dtype"] == "BF16"
        found[name] = Slices(shape, np.dtype("f4"), partial(_widened, read)) if is_brain else Slices(shape, dtype, read)
    return found


def _widened(read: Callable[[int, int], np.ndarray], start: int, stop: int) -> np.ndarray:
    """The upper half of a float32 is a bfloat16."""
    return (read(start, stop).astype(np.uint32) << 16).view(np.float32)


def _rows_of_file(
    path: Path, at: int, shape: tuple[int, ...], dtype: np.dtype, shown: str, by_column: bool, start: int, stop: int
) -> np.ndarray:
    """Rows of an array at some place of a file; read and not mapped, so that a file cut short meanwhile is an error."""

    def read(first: int, count: int) -> np.ndarray:
        with path.open("rb") as stream:
            stream.seek(at + first * dtype.itemsize)
            found = np.fromfile(stream, dtype, count)
        if len(found) < count:
            raise BadInput(f"{shown} was cut short while it was read; run again when it is no longer written to")
        return found

    if by_column:
        return np.stack([read(k * shape[0] + start, stop - start) for k in range(shape[1])], axis=1)
    width = math.prod(shape[1:])
    return read(start * width, (stop - start) * width).reshape(-1, *shape[1:])
