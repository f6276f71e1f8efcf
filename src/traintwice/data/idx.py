"""The IDX format of MNIST and its kin."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from traintwice.data.folders import reading

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, *, axes: int, advice: str) -> np.ndarray:
    """The array in an IDX file, plain or gzip.

    The file is two zero bytes, the type (8: unsigned bytes), the number of axes, the length of each as four bytes, highest first, then the
    values, last axis fastest.

    Args:
        path: of the file; gzip where its name ends in ``.gz``.
        axes: how many it must have: 3 for pictures, 1 for labels.
        advice: what to do where the file is damaged.
    Raises:
        BadInput: the file is cut off, damaged, or of another format.
    Source:
        "The IDX file format" on the page of the MNIST database.
    """
    return reading(path, lambda file: _array(file, axes), (OSError, EOFError, zlib.error, ValueError), advice=advice)


def _array(path: Path, axes: int) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    head = 4 + 4 * axes
    if content[:4] != bytes((0, 0, UNSIGNED_BYTES, axes)):
        raise ValueError(f"begins with {content[:4].hex(' ')}, expected 00 00 08 {axes:02x}")
    if len(content) < head:
        raise ValueError(f"has {len(content):,} bytes, and the lengths of {axes} axes alone take {head}")
    shape = tuple(int(length) for length in np.frombuffer(content[4:head], dtype=">u4"))
    expected = head + prod(shape)
    if len(content) != expected:
        raise ValueError(f"has {len(content):,} bytes, expected {expected:,} for {' × '.join(map(str, shape))} values")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)
