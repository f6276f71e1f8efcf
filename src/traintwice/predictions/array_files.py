"""Arrays in npy, npz and safetensors files, read a range of rows at a time. Nothing is ever unpickled or mapped into memory."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from traintwice.errors import BadInput

TENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "?",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
}
"""NumPy's name for each dtype of safetensors; bfloat16 is read as its bits."""


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

    @classmethod
    def of(cls, array: np.ndarray) -> Slices:
        """Of an array in memory."""
        return cls(array.shape, array.dtype, lambda start, stop: array[start:stop])


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


def _member(archive: zipfile.ZipFile, name: str, folder: Path, shown: str) -> Slices:
    if not name.endswith(".npy"):
        raise BadInput(f"{shown}: cannot be read as npz: {name!r} in it is no array")
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
    _expect_bytes(path, at + math.prod(shape) * dtype.itemsize)
    read = partial(_columns_of_file if by_column and len(shape) == 2 else _rows_of_file, path, at, shape, dtype, shown)
    return Slices(shape, dtype, read)


def _tensors(path: Path) -> dict[str, Slices]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):  # which checks the header and where each tensor lies
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
        read = partial(_rows_of_file, path, 8 + length + entry["data_offsets"][0], shape, dtype, str(path))
        is_brain = entry["dtype"] == "BF16"
        found[name] = Slices(shape, np.dtype("f4"), partial(_widened, read)) if is_brain else Slices(shape, dtype, read)
    return found


def _widened(read: Callable[[int, int], np.ndarray], start: int, stop: int) -> np.ndarray:
    """The upper half of a float32 is a bfloat16."""
    return (read(start, stop).astype(np.uint32) << 16).view(np.float32)


def _rows_of_file(path: Path, at: int, shape: tuple[int, ...], dtype: np.dtype, shown: str, start: int, stop: int) -> np.ndarray:
    width = math.prod(shape[1:])
    return _numbers(path, at + start * width * dtype.itemsize, (stop - start) * width, dtype, shown).reshape(-1, *shape[1:])


def _columns_of_file(
    path: Path, at: int, shape: tuple[int, ...], dtype: np.dtype, shown: str, start: int, stop: int
) -> np.ndarray:
    """Rows of a matrix that lies in the file column after column."""
    starts = [at + (k * shape[0] + start) * dtype.itemsize for k in range(shape[1])]
    return np.stack([_numbers(path, s, stop - start, dtype, shown) for s in starts], axis=1)


def _numbers(path: Path, at: int, count: int, dtype: np.dtype, shown: str) -> np.ndarray:
    """Read and not mapped: a file that is cut short meanwhile is an error and not the end of the process."""
    with path.open("rb") as stream:
        stream.seek(at)
        found = np.fromfile(stream, dtype, count)
    if len(found) < count:
        raise BadInput(f"{shown} was cut short while it was read; run again when it is no longer written to")
    return found


def _expect_bytes(path: Path, least: int) -> None:
    size = path.stat().st_size
    if size < least:
        raise ValueError(f"{size:,} bytes, {least:,} expected")
