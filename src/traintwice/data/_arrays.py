"""Arrays of the user, from .npz and .npy files."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from traintwice._arrays import as_classes
from traintwice._typed import typed
from traintwice.data._data_files import digest_of_files, reading, user_file
from traintwice.data._dataset import Dataset, Scaling, Split
from traintwice.data._splits import deal, deal_one, measured, official_splits
from traintwice.errors import BadInput, BadSpec

ADVICE = "Write it with numpy.save or numpy.savez; arrays of Python objects are pickles, which are not loaded"

MOST_CLASSES = 1_000_000


@dataclass(frozen=True)
@typed
class Arrays:
    """Your own arrays: inputs and labels in a ``.npz`` file or two ``.npy`` files.

    Inputs are ``N features``, or pictures ``N rows columns``, ``N channels rows columns`` or ``N rows columns channels`` with 1 or 3
    channels (channels first where both fit). Bytes are kept and divided by 255 when a mini-batch is read; other numbers are converted to
    float32 without scaling.

    Args:
        inputs: the file of inputs: ``.npy``, or ``.npz`` with arrays "inputs", "labels" and optionally "test_inputs", "test_labels".
        labels: the ``.npy`` file of labels, whole numbers from 0 of any type, where ``inputs`` is a ``.npy`` file.
        test_inputs, test_labels: ``.npy`` files of test examples; None takes test examples from the other files.
        train, validation, test: number of examples in each split; None takes all remaining examples (for ``test`` only where there
            are test files).
        split_seed: of the shuffle into splits.
        normalise: give each channel of bytes mean 0 and standard deviation 1 on the training split.
        memory_map: read inputs from disk a mini-batch at a time, for ``.npy`` files larger than memory.
        name: of the data set in tables.
    Raises:
        BadInput: a file is missing or of another format, shapes do not match, or the splits need more examples than the files have.
            BadSpec: settings that contradict each other.
    Source:
        Ours.
    """

    inputs: str
    labels: str | None = None
    test_inputs: str | None = None
    test_labels: str | None = None
    train: int | None = None
    validation: int = 1000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = False
    memory_map: bool = False
    name: str = "arrays"

    def __post_init__(self) -> None:
        packed = self.inputs.endswith(".npz")
        if packed and (self.labels or self.test_inputs or self.test_labels or self.memory_map):
            raise BadSpec(
                "Arrays.inputs: a .npz file has all arrays in one file and cannot be memory-mapped; use .npy files instead"
            )
        if not packed and self.labels is None:
            raise BadSpec("Arrays.labels: missing; a .npy file of inputs needs a .npy file of labels")
        if (self.test_inputs is None) != (self.test_labels is None):
            raise BadSpec("Arrays.test_inputs: got one of test_inputs and test_labels, expected both or none")
        if self.memory_map and self.normalise:
            raise BadSpec("Arrays.normalise: cannot be combined with memory_map; normalise the inputs before they are written")

    def load(self) -> Dataset:
        """Read and split the data."""
        (inputs, labels), official = self._read()
        whole = _Whole(inputs, labels, self.inputs)
        tests = whole if official is None else _Whole(*official, self.test_inputs or self.inputs)
        if tests.shape != whole.shape:
            raise BadInput(f"{tests.file}: got test inputs of shape {tests.shape}, expected {whole.shape} as for training")
        if official is not None:
            parts = deal(len(labels), len(tests.labels), (self.train, self.validation, self.test), seed=self.split_seed)
        elif self.test is not None:
            parts = deal_one(len(labels), (self.train, self.validation, self.test), seed=self.split_seed)
        else:
            raise BadSpec(f"Arrays.test: missing; {self.inputs} has no test examples; set the number of examples to test on")
        scaling = None
        if inputs.dtype == np.uint8:
            scaling = measured(_by_channel(whole.rows(parts[0]))) if self.normalise else Scaling()
        elif self.normalise:
            raise BadSpec(f"Arrays.normalise: got inputs of {inputs.dtype} in {self.inputs}, expected bytes")
        if official is None:
            train, validation, test = (Split(whole.rows(part), whole.labels[part], scaling, part) for part in parts)
        else:
            train, validation, test = official_splits((whole.rows, whole.labels), (tests.rows, tests.labels), parts, scaling)
        classes = int(max(source.labels.max() for source in (whole, tests))) + 1
        return Dataset(self.name, max(classes, 2), train, validation, test, pixels=whole.pixels)

    def _read(self) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
        if not self.inputs.endswith(".npz"):
            official = None
            if self.test_inputs and self.test_labels:
                official = _npy(self.test_inputs, self.memory_map), _npy(self.test_labels)
            return (_npy(self.inputs, self.memory_map), _npy(self.labels or "")), official
        found = reading(user_file(self.inputs), _packed, (OSError, ValueError, EOFError, zipfile.BadZipFile), advice=ADVICE)
        for name in ("inputs", "labels"):
            if name not in found:
                raise BadInput(f"{self.inputs}: has {', '.join(found) or 'no arrays'}, expected arrays named inputs and labels")
        both = "test_inputs" in found and "test_labels" in found
        return (found["inputs"], found["labels"]), (found["test_inputs"], found["test_labels"]) if both else None


PictureLayout = Literal["as they are", "no channels", "channels last"]
"""Layout of the axes of pictures after the axis of examples."""


def channels_first(inputs: np.ndarray, layout: PictureLayout) -> np.ndarray:
    """Inputs with channels before rows and columns."""
    if layout == "no channels":
        return inputs[:, None]
    return np.ascontiguousarray(np.moveaxis(inputs, 3, 1)) if layout == "channels last" else inputs


@dataclass(frozen=True, eq=False)
class _Mapped:
    """Some rows of a memory-mapped ``.npy`` file, read on request, channels first."""

    file: Path
    array: np.ndarray
    chosen: np.ndarray
    layout: PictureLayout = "as they are"

    @property
    def shape(self) -> tuple[int, ...]:
        """N and the shape of one input."""
        return (len(self.chosen), *channels_first(self.array[:1], self.layout).shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """uint8 for bytes, float32 for other numbers."""
        return np.dtype(np.uint8 if self.array.dtype == np.uint8 else np.float32)

    @cached_property
    def digest(self) -> str:
        """Digest of the file and of the chosen rows."""
        rows = hashlib.blake2b(self.chosen.astype("<i8").tobytes(), digest_size=16).hexdigest()
        return f"{digest_of_files([self.file])} {rows}"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, in this order."""
        return channels_first(np.asarray(self.array[self.chosen[rows]], dtype=self.dtype), self.layout)


class _Whole:
    """Checked inputs and labels of a file, before they are split."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray, file: str) -> None:
        self.inputs, self.file = inputs, file
        if not 2 <= inputs.ndim <= 4 or inputs.dtype.kind not in "fiub" or 0 in inputs.shape[1:]:
            raise BadInput(f"{file}: got inputs of {inputs.dtype} and shape {inputs.shape}, expected numbers of 2 to 4 axes")
        labels = as_classes(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(inputs) or labels.min(initial=0) < 0:
            raise BadInput(
                f"{file}: got labels of {labels.dtype} and shape {labels.shape} for {len(inputs):,} inputs, expected one whole number "
                "from 0 for each"
            )
        if labels.max(initial=0) >= MOST_CLASSES:
            raise BadInput(f"{file}: got labels up to {labels.max():,}, expected classes numbered from 0 without large gaps")
        self.labels = labels.astype(np.int64)
        self.layout: PictureLayout = "no channels" if inputs.ndim == 3 else "as they are"
        if inputs.ndim == 4 and inputs.shape[1] not in (1, 3) and inputs.shape[3] in (1, 3):
            self.layout = "channels last"
        self.shape = channels_first(inputs[:1], self.layout).shape[1:]
        self.pixels: tuple[int, ...] | None = None
        if len(self.shape) == 3 and self.shape[0] in (1, 3):
            self.pixels = (*self.shape[1:], 3) if self.shape[0] == 3 else self.shape[1:]

    def rows(self, chosen: np.ndarray) -> np.ndarray | _Mapped:
        """Some inputs, channels first."""
        if isinstance(self.inputs, np.memmap):
            return _Mapped(Path(self.file).expanduser(), self.inputs, chosen, self.layout)
        found = self.inputs[chosen]
        found = found if found.dtype == np.uint8 else found.astype(np.float32)
        return channels_first(found, self.layout)


def _by_channel(inputs: np.ndarray | _Mapped) -> np.ndarray:
    """Bytes as ``N channels rows columns``; features become the pixels of one channel."""
    array = inputs if isinstance(inputs, np.ndarray) else inputs.array
    return array if array.ndim == 4 else array[:, None, :, None]


def _npy(name: str, memory_map: bool = False) -> np.ndarray:
    def read(path: Path) -> np.ndarray:
        found = np.load(path, mmap_mode="r" if memory_map else None, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("has several arrays, expected one")
        return found

    return reading(user_file(name), read, (OSError, ValueError, EOFError), advice=ADVICE)


def _packed(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as opened:
        return {name: opened[name] for name in opened.files}
