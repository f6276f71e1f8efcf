"""Arrays as columns of a table: from Python, from npy, npz and safetensors files (nothing is unpickled), and written as Parquet."""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, cast

import numpy as np

from traintwice._arrays import as_ids, plain_objects, refuse_ones
from traintwice._database import Session, check_target, identifier, registered
from traintwice._files import WORKBOOK, copy_unpacked
from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.predictions._inputs import format_of
from traintwice.predictions._layout import LABELS
from traintwice.predictions._predictions import Predictions
from traintwice.predictions._source import Source, Table, packs, refuse_repeated
from traintwice.types import Array

TENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
TENSORS |= {"I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"}
"""NumPy's name for each dtype of safetensors, bfloat16 as its bits."""
CLASS_NAMES = ("classes", "class_names", "classes_")
"""Arrays of these names hold the names of the K classes and are not columns."""
BLOCK_BYTES = 1 << 25
"""Memory of a block of rows."""


@dataclass(frozen=True)
class Slices:
    """An array whose rows from start to stop can be read without the other rows."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: Callable[[int, int], np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> Slices:
        return cls(array.shape, array.dtype, lambda start, stop: array[start:stop])


@dataclass(frozen=True)
class Columns:
    """Columns of equal length: for each array the names of its columns; the names of the classes, where one array has them."""

    length: int
    parts: tuple[tuple[tuple[str, ...], Slices], ...]
    class_names: tuple[str, ...] | None

    @property
    def names(self) -> list[str]:
        return [name for names, _ in self.parts for name in names]

    def select(self, prefix: str = "", lists: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
        """The columns in SQL; ``lists`` names columns of lists and their entries.

        Text is cast to VARCHAR, since DuckDB makes an enumeration of NumPy's text in the first block.
        """
        inside = {name for columns in lists.values() for name in columns}
        cast = {name for names, array in self.parts for name in names if array.dtype.kind in "UO"}
        cells = {n: f"CAST({identifier(n)} AS VARCHAR)" if n in cast else identifier(n) for n in self.names}
        whole = {name: f"[{', '.join(cells[column] for column in columns)}]" for name, columns in lists.items()}
        kept = {name: cell for name, cell in cells.items() if name not in inside} | whole
        return ", ".join(f"{cell} AS {identifier(prefix + name)}" for name, cell in kept.items())

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The columns in blocks of rows, each in a type that DuckDB reads without loss."""
        width = sum(array.dtype.itemsize * len(names) for names, array in self.parts)
        rows = max(BLOCK_BYTES // max(width, 1), 2048)
        for start in range(0, self.length, rows):
            yield self.block(start, min(start + rows, self.length))

    def block(self, start: int, stop: int) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for names, array in self.parts:
            rows = _plain(array.rows(start, stop))
            found |= {n: np.ascontiguousarray(rows if rows.ndim == 1 else rows[:, k]) for k, n in enumerate(names)}
        return found


def as_columns(arrays: Mapping[str, Any], source: str) -> Columns:
    """The columns of arrays, or of `Slices` of files.

    An array ``name`` of shape ``N K`` becomes the columns name_0 … name_{K-1}; without a name they are p_0 … One of shape ``N 1`` is one
    column.

    >>> columns = as_columns({"probs": np.array([[0.9, 0.1]]), "classes": np.array(["cat", "dog"])}, "a.npz")
    >>> columns.names, columns.class_names, columns.block(0, 1)["probs_1"].tolist()
    (['probs_0', 'probs_1'], ('cat', 'dog'), [0.1])
    """
    parts: list[tuple[tuple[str, ...], Slices]] = []
    class_names: tuple[str, ...] | None = None
    for name, given in arrays.items():
        array = given if isinstance(given, Slices) else Slices.of(plain_objects(given, name, source))
        kind, axes = array.dtype.kind, len(array.shape)
        if kind not in "fiubUMO" or (array.dtype.itemsize > 8 and kind == "f"):
            raise BadInput(
                f"{source}: array {name!r} has dtype {array.dtype}, expected floating point up to 64 bits, integers, text or dates"
            )
        shape = f"{source}: array {name!r} has shape {array.shape}, expected"
        if axes > 2:
            raise BadInput(f"{shape} (examples, classes): a file holds one replica; traintwice.measure takes whole arrays")
        if name in CLASS_NAMES and axes == 1:
            class_names = tuple(str(entry) for entry in array.rows(0, array.shape[0]))
        elif axes == 1 or (axes == 2 and array.shape[1] == 1):
            if axes == 2 and kind == "f":
                refuse_ones(array.rows(0, array.shape[0]), f"{source}: array {name!r}" if name else source)
            parts.append(((name or ("p" if kind == "f" else "pred"),), array))
        elif axes == 2 and name.lower() in LABELS:
            raise BadInput(f"{shape} one label for each example: y.argmax(axis=1)")
        elif axes == 2:
            parts.append((tuple(f"{name or 'p'}_{k}" for k in range(array.shape[1])), array))
    lengths = {names[0]: array.shape[0] for names, array in parts if names and array.shape[0] != 1}
    longest = max(lengths.values(), default=1)
    shorter = next((name for name, length in lengths.items() if length != longest), None)
    if shorter is not None:
        same = next(name for name, length in lengths.items() if length == longest)
        told = f"{source}: array {shorter!r} has {lengths[shorter]:,} entries and {same!r} has {longest:,}"
        raise BadInput(f"{told}; expected one entry for each example in all")
    return Columns(longest, tuple(p for p in parts if p[0] and p[1].shape[0] == longest), class_names)


def from_arrays(table: Table, arrays: Mapping[str, Any], name: str) -> Source:
    """Arrays go into their table block by block, so that memory does not grow with rows."""
    columns = as_columns(arrays, name)
    if not columns.names or not columns.length:
        raise BadInput(f"{name} holds no rows; expected arrays with an entry for each row, such as id, p and y")
    lists = packs(dict.fromkeys(columns.names, ""), set(columns.names), table.named)
    refuse_repeated(columns.names, name)
    for at, block in enumerate(columns.blocks()):
        with registered(table.session, f"object_{table.name}", block, name) as relation:
            into = f"INSERT INTO {table.name}" if at else f"CREATE TABLE {table.name} AS"
            table.session.rows(f"{into} SELECT {columns.select('c_', lists)} FROM {relation}", doing=f"{name}: reading")
    return replace(table.source(name, lists), class_names=columns.class_names)


def open_arrays(path: Path, folder: Path, shown: str) -> dict[str, Slices]:
    """The arrays of an npy, npz (unpacked to the folder) or safetensors file by name; the array of an npy file is called ``""``."""
    kind = format_of(path, shown)[0]
    try:
        if kind == "safetensors":
            return _tensors(path, shown)
        if kind == "npy":
            return {"": _npy(path, shown)}
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _member(archive, name, folder, shown) for name in archive.namelist()}
    except (MemoryError, BadInput):
        raise
    except OSError as reason:
        room = "; npz files are unpacked into the temporary folder, which TMPDIR names" if kind == "npz" else ""
        raise BadInput(f"{shown}: cannot be read ({reason.strerror or reason}){room}") from reason
    except Exception as reason:  # the errors of three libraries have no common class
        raise BadInput(f"{shown}: cannot be read as {kind} ({reason}); it may be cut short or of another format") from reason


def array_file(table: Table, path: Path, name: str) -> Source:
    """The arrays of a file as a table."""
    with tempfile.TemporaryDirectory(dir=table.session.folder) as members:
        return from_arrays(table, open_arrays(path, Path(members), name), name)


def _plain(array: np.ndarray) -> np.ndarray:
    """The array in a type that DuckDB reads without loss."""
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _member(archive: zipfile.ZipFile, name: str, folder: Path, shown: str) -> Slices:
    if not name.endswith(".npy"):
        workbook = f"{shown}: is a workbook; save its sheet as CSV (UTF-8)" if name in WORKBOOK else ""
        told = f"{shown}: cannot be read as npz: {name!r} in it is not an array; unpack a zip file of tables first"
        raise BadInput(workbook or told)
    with archive.open(name) as packed, tempfile.NamedTemporaryFile(dir=folder, delete=False) as unpacked:
        copy_unpacked(packed, cast(IO[bytes], unpacked), shown)
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
    return _in_file(path, at, shape, dtype, shown, by_column=by_column and len(shape) > 1)


def _tensors(path: Path, shown: str) -> dict[str, Slices]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):  # checks the header and the place of each tensor
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
                f"{shown}: array {name!r} has dtype {entry['dtype']}, expected floating point, integers or truth values"
            )
        shape, dtype = tuple(entry["shape"]), np.dtype(TENSORS[entry["dtype"]])
        widened = entry["dtype"] == "BF16"  # the upper half of a float32
        found[name] = _in_file(path, 8 + length + entry["data_offsets"][0], shape, dtype, shown, widened=widened)
    return found


def _in_file(
    path: Path, at: int, shape: tuple[int, ...], dtype: np.dtype, shown: str, *, by_column: bool = False, widened: bool = False
) -> Slices:
    """An array at some place of a file; read and not mapped, so that truncation while it is read is an error."""

    def read(first: int, count: int) -> np.ndarray:
        with path.open("rb") as stream:
            stream.seek(at + first * dtype.itemsize)
            found = np.fromfile(stream, dtype, count)
        if len(found) < count:
            raise BadInput(f"{shown} was cut short while it was read; run again when nothing writes to it")
        return found

    def rows(start: int, stop: int) -> np.ndarray:
        if by_column and len(shape) > 2:
            return read(0, math.prod(shape)).reshape(shape, order="F")[start:stop]
        if by_column:
            return np.stack([read(k * shape[0] + start, stop - start) for k in range(shape[1])], axis=1)
        width = math.prod(shape[1:])
        found = read(start * width, (stop - start) * width).reshape(-1, *shape[1:])
        return (found.astype(np.uint32) << 16).view(np.float32) if widened else found

    return Slices(shape, np.dtype("f4") if widened else dtype, rows)


@typed
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
        path: where to; ends in ``.parquet``. An existing file is replaced when the new file is complete.
        probs: probabilities ``N K`` (columns p_0 … or, with names, p_<name>), or predicted labels ``N``, or floating point numbers
            ``N`` of a regression (column pred; read the file with ``regression=True``).
        ids: what identifies each row, integers or text, shape ``N`` (column id). Without them the file can only be compared
            by position.
        labels: true labels, integers ``N`` (column y); of a regression the true values, numbers ``N``, nan where one is not known.
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
    if predicted.ndim == 1 and predicted.dtype.kind == "f":  # the checks
        Predictions.from_scores(predicted[None], None, weights, targets=labels, ids=ids)
    else:
        Predictions(predicted[None], labels, weights, ids=ids, class_names=class_names)
    names = None
    if class_names is not None:
        names = np.asarray([str(name) for name in class_names])
        largest = max([-1, *(int(np.max(codes)) for codes in (predicted, labels) if codes is not None and np.ndim(codes) == 1)])
        if largest >= len(names):
            raise BadInput(f"{path}: class_names: got {len(names)} names, and classes up to {largest}, counted from 0")
        alike = len({name.casefold() for name in names}) < len(names)
        if alike or (any(name.isdigit() for name in names) and names.tolist() != list(map(str, range(len(names))))):
            told = f"{path}: class_names: got {', '.join(names)}"
            raise BadInput(f"{told}; each needs a name that is not a number and differs from the others in more than case")
    given: dict[str, Any] = {} if ids is None else {"id": as_ids(ids, str(path))}
    if predicted.ndim == 1:
        given["pred"] = predicted if names is None else names[predicted]
    else:
        given |= {"p": predicted} if names is None else {f"p_{c}": predicted[:, k] for k, c in enumerate(names)}
    if labels is not None:
        given["y"] = np.asarray(labels) if names is None else names[np.asarray(labels)]
    if weights is not None:
        given["w"] = weights
    with _as_query(path, given) as (session, select):
        if ids is not None:
            repeated = "SELECT 1 FROM given GROUP BY id HAVING count(*) > 1"
            sql = f"SELECT (SELECT count(*) FROM ({repeated})), count(*) FILTER (id IS NULL) FROM given"
            ((twice, missing),) = session.rows(sql, doing=f"{path}: reading the ids")
            if twice or missing:
                told = f"{twice:,} ids are on more than one row" if twice else f"{missing:,} rows have no id"
                raise BadInput(f"{path}: {told}; an id must name one example")
        session.write(path, f"{select}{' ORDER BY id' if ids is not None else ''}")
    return path


@contextmanager
def _as_query(path: Path, arrays: Mapping[str, Any]) -> Iterator[tuple[Session, str]]:
    """A session in which arrays are the table ``given``, and a query of their columns."""
    columns = as_columns(arrays, str(path))
    with closing(Session()) as session:
        with session.explained(f"{path}: reading the arrays"):
            session.connection.register("given", columns.block(0, columns.length))
        yield session, f"SELECT {columns.select()} FROM given"


def write_answers(
    path: str | Path,
    answers: np.ndarray,
    *,
    ids: Array | None,
    class_names: Sequence[str] | None,
    taken: np.ndarray | None = None,
) -> Path:
    """Write the numbers of the answers, or their names, as Parquet: columns id, pred and taken; pred is empty for a negative number."""
    path, none, pred = check_target(path), "-1", answers.astype(np.int64)
    if class_names is not None:
        none, pred = "''", np.where(answers < 0, "", np.asarray([str(name) for name in class_names])[answers])
    further = {name: array for name, array in (("id", ids), ("taken", taken)) if array is not None}
    with _as_query(path, {"pred": pred, **further}) as (session, select):
        session.write(path, f"SELECT * REPLACE (nullif(pred, {none}) AS pred) FROM ({select})")
    return path
