"""Inputs as pictures: a PNG encoder of twenty lines, so that a report needs no imaging library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from traintwice.errors import BadInput

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}
"""Channels to PNG's colour type: grey, red-green-blue."""


def png(pixels: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file, 8 bits a channel.

    Args:
        pixels: ``rows columns`` (grey) or ``rows columns channels`` with 1 or 3 channels, values in [0, 255] (uint8).
    Returns:
        The file.
    Raises:
        BadInput: another shape or type.
    Example:
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
    """Values as uint8, ``low`` black and ``high`` white.

    >>> to_bytes(np.array([0.0, 0.5, 1.0]), 0.0, 1.0).tolist()
    [0, 128, 255]
    """
    span = high - low if high > low else 1.0
    return np.floor((np.asarray(values, dtype=np.float64) - low) / span * 255 + 0.5).astype(np.uint8)


def data_uri(picture: bytes) -> str:
    """The file inside an address, so that a page holds it itself."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
