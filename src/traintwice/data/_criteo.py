"""Logs of displayed advertisements in Criteo's text format, read from disk in blocks of lines, without a loop over lines."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import data_folder
from traintwice.data._dataset import LARGEST_VOCABULARY, Columns, Dataset, Split
from traintwice.data._splits import reported
from traintwice.errors import BadInput

NUMBERS, CATEGORIES = 13, 26
FIELDS = 1 + NUMBERS + CATEGORIES
NUMERIC = tuple(f"I{i + 1}" for i in range(NUMBERS))
CATEGORICAL = tuple(f"C{i + 1}" for i in range(CATEGORIES))

LINES_IN_BLOCK = 16_384
BLOCKS_HELD = 6
"""Enough for a moving window of 10,000 rows and the mini-batch before it."""

READ_BYTES = 1 << 24

_HEX = np.full(256, 255, dtype=np.uint8)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


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
    """Lines at some places, or the first so many lines, as rows of numbers and codes, parsed on request."""

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


class Parsed(NamedTuple):
    """Lines as labels ``N``, numbers ``N 13`` (nan where empty), and categories ``N 26``, 32-bit values (2^32 where empty)."""

    labels: np.ndarray
    numbers: np.ndarray
    categories: np.ndarray


def parse(text: bytes, path: Path, first_line: int = 0) -> Parsed:
    """Parse complete lines as one array of bytes; messages name the first wrong line. The last line may lack its end.

    >>> line = b"1\\t" + b"\\t".join([b"-2", *[b""] * 12]) + b"\\t" + b"\\t".join([b"0000000f", *[b""] * 25]) + b"\\n"
    >>> p = parse(line, Path("day.txt"))
    >>> p.labels.tolist(), p.numbers[0, :2].tolist(), p.categories[0, :2].tolist()
    ([1], [-2.0, nan], [15, 4294967296])
    """
    raw = np.frombuffer(text if text.endswith(b"\n") else text + b"\n", dtype=np.uint8)
    ends = np.flatnonzero((raw == 9) | (raw == 10))
    if len(ends) % FIELDS or (raw[ends].reshape(-1, FIELDS)[:, -1] != 10).any() or (raw == 10).sum() * FIELDS != len(ends):
        lines = text.split(b"\n")
        wrong = next((i for i, line in enumerate(lines) if line.count(b"\t") != FIELDS - 1), len(lines))
        raise BadInput(
            f"{path}: line {first_line + wrong + 1:,} has {lines[min(wrong, len(lines) - 1)].count(9) + 1} fields, expected {FIELDS}: "
            f"a label, {NUMBERS} whole numbers and {CATEGORIES} categories, separated by tabs"
        )
    if not text.endswith(b"\n") and raw[ends[-2]] == 9 and ends[-1] == ends[-2] + 1:
        raise BadInput(f"{path}: the file ends inside its last line; it is cut short, so copy it again")
    starts = np.append(0, ends[:-1] + 1).reshape(-1, FIELDS)
    lengths = ends.reshape(-1, FIELDS) - starts
    if raw[ends[FIELDS - 1] - 1] == 13:  # Windows line ends
        lengths[:, -1] -= 1

    def check(good: np.ndarray, column: int, what: str) -> None:
        if not good.all():
            line, field = np.argwhere(~good)[0]
            at = starts[line, column + field]
            found = bytes(raw[at : at + lengths[line, column + field]]).decode(errors="replace")
            raise BadInput(f"{path}: line {first_line + line + 1:,}, field {column + field + 1}: got {found!r}, expected {what}")

    labels = raw[starts[:, :1]].astype(np.int64) - 48
    check((lengths[:, :1] == 1) & ((labels == 0) | (labels == 1)), 0, "a label, 0 or 1")
    numbers, are_numbers = _whole_numbers(raw, starts[:, 1 : 1 + NUMBERS], lengths[:, 1 : 1 + NUMBERS])
    check(are_numbers, 1, "a whole number of at most 15 digits, or an empty field")
    categories, are_hex = _hexadecimal(raw, starts[:, 1 + NUMBERS :], lengths[:, 1 + NUMBERS :])
    check(are_hex, 1 + NUMBERS, "8 hexadecimal digits, or an empty field")
    return Parsed(labels[:, 0], numbers, categories)


def _whole_numbers(raw: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (nan where empty), and whether each field is valid."""
    negative = (lengths > 0) & (raw[starts] == 45)
    digits = lengths - negative
    value, good = np.zeros(starts.shape), (digits > 0) | (lengths == 0)
    for place in range(min(int(digits.max(initial=0)), 16)):
        here = place < digits
        digit = raw[np.where(here, starts + negative + place, 0)].astype(np.int64) - 48
        good &= ~here | ((digit >= 0) & (digit <= 9))
        value = np.where(here, 10 * value + digit, value)
    value = np.where(negative, -value, value)
    return np.where(lengths > 0, value, np.nan), good & (digits <= 15)


def _hexadecimal(raw: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (2^32 where empty), and whether each field is valid."""
    there = lengths == 8
    value, good = np.zeros(starts.shape, dtype=np.int64), there | (lengths == 0)
    for place in range(8):
        digit = _HEX[raw[np.where(there, starts + place, 0)]]
        good &= ~there | (digit < 16)
        value = 16 * value + digit
    return np.where(there, value, 1 << 32), good


class Lines:
    """The labels of a file (uint8), its digest, and its lines in blocks, whose places are found in one pass."""

    def __init__(self, path: Path) -> None:
        self.path = path
        state = hashlib.blake2b(digest_size=16)
        labels, starts, lines, size, last = [], [], 0, 0, b"\n"
        try:
            with path.open("rb") as file:
                while chunk := file.read(READ_BYTES):
                    state.update(chunk)
                    raw = np.frombuffer(last + chunk, np.uint8)
                    begun = np.flatnonzero(raw[:-1] == 10) + 1  # the byte after the end of a line, or the first of the file
                    labels.append(raw[begun] - 48)
                    starts += (begun[-lines % LINES_IN_BLOCK :: LINES_IN_BLOCK] + size - 1).tolist()
                    lines, size, last = lines + len(begun), size + len(chunk), chunk[-1:]
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
        if not lines:
            raise BadInput(f"{path}: is empty, expected lines of Criteo's display-advertising format")
        self.labels = np.concatenate(labels)
        if self.labels.max() > 1:
            wrong = int((self.labels > 1).argmax())
            raise BadInput(
                f"{path}: line {wrong + 1:,} has no label, expected 0 or 1 and a tab; Criteo's test files have no labels"
            )
        self._starts = [*starts, size]
        self.digest = state.hexdigest()
        self._held: OrderedDict[int, Parsed] = OrderedDict()
        self._lock = threading.Lock()

    def block(self, number: int) -> Parsed:
        """A block of lines; recently used blocks are cached. Thread-safe."""
        with self._lock:
            if number not in self._held:
                self._held[number] = self._read(number)
                if len(self._held) > BLOCKS_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(number)
            return self._held[number]

    def _read(self, number: int) -> Parsed:
        start, stop = self._starts[number : number + 2]
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                text = file.read(stop - start)
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read ({error.strerror})") from None
        return parse(text, self.path, number * LINES_IN_BLOCK)

    def parts(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, Parsed, np.ndarray]]:
        """For each block with requested rows: indices into ``rows``, the block, and the places in the block."""
        blocks, places = np.divmod(rows, LINES_IN_BLOCK)
        for number in np.unique(blocks).tolist():
            which = np.flatnonzero(blocks == number)
            yield which, self.block(number), places[which]
