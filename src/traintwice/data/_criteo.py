"""Logs of displayed advertisements in Criteo's text format, read from disk in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from traintwice._typed import typed
from traintwice.data._criteo_text import CATEGORIES, NUMBERS, Lines
from traintwice.data._data_files import data_folder
from traintwice.data._dataset import LARGEST_VOCABULARY, Columns, Dataset, Split
from traintwice.data._splits import reported
from traintwice.errors import BadInput

NUMERIC = tuple(f"I{i + 1}" for i in range(NUMBERS))
CATEGORICAL = tuple(f"C{i + 1}" for i in range(CATEGORIES))


@dataclass(frozen=True)
@typed
class Criteo:
    """Displayed advertisements, clicked or not, one a line: label, 13 whole numbers, 26 hexadecimal categories, separated by tabs.

    For progressive training. The file is read block by block; memory grows by one byte a line only. Numbers n become
    sign(n)·log(1 + |n|), empty numbers 0; categories are hashed to ``buckets`` codes in each column, empty categories have code 0.

    Args:
        path: of an uncompressed training file such as ``train.txt`` (test files have no labels); None is ``Criteo/train.txt`` in the
            data folder.
        buckets: codes in each column, from 2 to 2^24.
        rows: number of lines to read, from the first; None reads all.
        warm_up: share of the examples, at the beginning, that is trained on and not reported, in [0, 1).
        validation: share of the examples after the warm-up, for fitting temperatures.
        reported: largest number of test examples; every k-th remaining example is taken.
    Raises:
        BadInput: the file is missing, a line is of another format (the message names the line), or a setting is outside its range.
    Source:
        The format of Criteo's display-advertising challenge and of its terabyte logs. Ours: the logarithm, the hash (multiplication by
        an odd constant of the column, upper bits); no statistics of the file are used before training.
    """

    path: str | None = None
    buckets: int = 65_536
    rows: int | None = None
    warm_up: float = 0.1
    validation: float = 0.1
    reported: int = 100_000

    advice: ClassVar[str] = (
        "Get the data of Criteo's display-advertising challenge (https://www.kaggle.com/c/criteo-display-ad-challenge; 45,840,617 lines), "
        "and unpack train.txt to this place"
    )

    def load(self) -> Dataset:
        """Find the lines and their labels; rows are parsed on request."""
        if not 2 <= self.buckets <= LARGEST_VOCABULARY:
            raise BadInput(f"Criteo.buckets: got {self.buckets}, expected 2 to {LARGEST_VOCABULARY:,}")
        path = data_folder() / "Criteo" / "train.txt" if self.path is None else Path(self.path)
        if not path.is_file():
            raise BadInput(f"Criteo: no file {path}. {self.advice}")
        lines = Lines(path)
        count = len(lines.labels) if self.rows is None else self.rows
        if not 0 < count <= len(lines.labels):
            raise BadInput(f"Criteo.rows: got {self.rows}, expected 1 to {len(lines.labels):,}, the lines of {path}")
        places = reported(count, warm_up=self.warm_up, validation=self.validation, most=self.reported)
        parts = {
            name: Split(_Rows(lines, self.buckets, places[name]), lines.labels[places[name]].astype(np.int64))
            for name in ("validation", "test")
        }
        return Dataset(
            "criteo",
            2,
            Split(_Rows(lines, self.buckets, count), lines.labels[:count]),
            parts["validation"],
            parts["test"],
            class_names=("no click", "click"),
            columns=Columns(NUMERIC, CATEGORICAL, (self.buckets,) * CATEGORIES),
            places=places,
        )


class _Rows:
    """Lines as rows of numbers and codes, parsed on request.

    Args:
        lines: of the file.
        buckets: codes in each column.
        places: of the lines, or the number of lines from the first.
    """

    def __init__(self, lines: Lines, buckets: int, places: np.ndarray | int) -> None:
        self._lines, self._buckets = lines, buckets
        self._places = None if isinstance(places, int) else places
        self.shape = (places if isinstance(places, int) else len(places), NUMBERS + CATEGORIES)
        self.dtype = np.dtype(np.float32)

    @property
    def digest(self) -> str:
        """Digest of the file and the settings; the digest of the data set adds the places of the lines."""
        return f"{self._lines.digest} {self._buckets} {self.shape}"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, in their order."""
        at = rows if self._places is None else self._places[rows]
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        for which, block, places in self._lines.parts(at):
            numbers = block.numbers[places]
            found[which, :NUMBERS] = np.nan_to_num(np.sign(numbers) * np.log1p(np.abs(numbers)))
            found[which, NUMBERS:] = hashed(block.categories[places], self._buckets)
        return found


def hashed(categories: np.ndarray, buckets: int) -> np.ndarray:
    """Codes 1 … buckets − 1 of 32-bit values ``N columns``, 0 for 2^32, the value of an empty field.

    >>> hashed(np.array([[5, 5, 1 << 32]]), 1000).tolist()
    [[486, 334, 0]]
    """
    odd = (np.uint64(0x9E3779B97F4A7C15) * (2 * np.arange(categories.shape[1], dtype=np.uint64) + 1)) | np.uint64(1)
    mixed = (categories.astype(np.uint64) + np.uint64(1)) * odd
    codes = (mixed >> np.uint64(32)) % np.uint64(buckets - 1) + np.uint64(1)
    return np.where(categories == 1 << 32, 0, codes.astype(np.int64))
