"""The test examples on which replicas disagree most, with their votes, and as pictures (PNG, without an imaging library)."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from traintwice import metrics
from traintwice.data import Dataset
from traintwice.errors import BadInput
from traintwice.metrics._definition import to_numpy
from traintwice.study import Results

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
"""Number of channels to the colour type of PNG: grey, red-green-blue."""

SHOWN = 12
VALUES_SHOWN = 8


@dataclass(frozen=True)
class Flip:
    """A test example with different votes.

    Its position in the test split, the name of its true class, a picture as a data URI or its first values as text, and for each
    recipe its name and (class, votes, whether the class is right), most votes first.
    """

    index: int
    label: str
    picture: str
    values: str
    votes: tuple[tuple[str, tuple[tuple[str, int, bool], ...]], ...]


def most_flipping(results: Results, rows: list[str], shown: int = SHOWN) -> list[Flip]:
    """The examples with the highest churn, with the votes of some recipes; none on which all replicas of every recipe agree.

    Ours: the churn is averaged over *all* recipes of the study, because a choice by the churn of one recipe favours the others.
    """
    churn = np.mean([to_numpy(metrics.churn.values(results[row].test)).mean(axis=0) for row in results.rows], axis=0)
    order = [int(n) for n in np.argsort(-churn, kind="stable")[:shown] if churn[n] > 0]
    return [_flip(results, rows, n) for n in order]


def _flip(results: Results, rows: list[str], n: int) -> Flip:
    data = results.data
    label = int(data.test.labels[n])
    votes = []
    for row in rows:
        counted = np.bincount(to_numpy(results[row].test.votes)[:, n], minlength=data.classes)
        ranked = [int(c) for c in np.argsort(-counted, kind="stable") if counted[c] > 0]
        votes.append((row, tuple((_class_name(data, c), int(counted[c]), c == label) for c in ranked)))
    return Flip(n, _class_name(data, label), _picture(data, n), _values(data, n), tuple(votes))


def _class_name(data: Dataset, label: int) -> str:
    return data.class_names[label] if data.class_names else str(label)


def _picture(data: Dataset, n: int) -> str:
    if data.pixels is None:
        return ""
    picture = data.picture(data.test.rows(np.array([n]))[0])
    if picture.dtype != np.uint8:
        every = data.test.inputs if isinstance(data.test.inputs, np.ndarray) else picture
        picture = to_bytes(picture, float(every.min()), float(every.max()))
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode("ascii")


def _values(data: Dataset, n: int) -> str:
    if data.pixels is not None:
        return ""
    flat = data.test.rows(np.array([n])).reshape(-1)
    words = [f"{value:.3g}" for value in flat] if data.columns is None else data.columns.in_words(flat)
    listed = ", ".join(words[:VALUES_SHOWN])
    return f"{listed} … ({flat.size} values)" if flat.size > VALUES_SHOWN else listed


def png(pixels: np.ndarray) -> bytes:
    """A picture as a PNG file, from uint8 ``rows columns`` (grey) or ``rows columns channels`` with 1 or 3 channels.

    >>> png(np.zeros((2, 2), dtype=np.uint8))[:4]
    b'\\x89PNG'
    """
    picture = pixels[..., None] if pixels.ndim == 2 else pixels
    if picture.ndim != 3 or picture.shape[2] not in _COLOUR_TYPES or picture.dtype != np.uint8:
        raise BadInput(f"picture: got {pixels.dtype} of shape {pixels.shape}, expected uint8 of shape (rows, columns[, 1 or 3])")
    rows, columns, channels = picture.shape
    lines = picture.reshape(rows, columns * channels)
    unfiltered = np.concatenate([np.zeros((rows, 1), np.uint8), lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(unfiltered, 9)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8: ``low`` is black and ``high`` is white.

    >>> to_bytes(np.array([0.0, 0.5, 1.0]), 0.0, 1.0).tolist()
    [0, 128, 255]
    """
    span = high - low if high > low else 1.0
    return np.floor((np.asarray(values, dtype=np.float64) - low) / span * 255 + 0.5).astype(np.uint8)
