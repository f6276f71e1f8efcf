"""Inputs that stay on disk: memory-mapped arrays and picture files, with the digest of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from traintwice._files import write_whole
from traintwice.data._data_files import data_folder
from traintwice.errors import BadInput

BLOCK = 1 << 22


def digest_of_files(files: Sequence[Path]) -> str:
    """BLAKE2b of the bytes of files, in this order; cached in ``digests`` in the data folder.

    The key of the cache is path, size and modification time of every file, so a change that keeps all three is not noticed until the
    cache is emptied. If the cache cannot be written, files are read each time.
    """
    marks = hashlib.blake2b(digest_size=16)
    for file in files:
        stat = _stat(file)
        marks.update(f"{file.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    remembered = data_folder() / "digests" / marks.hexdigest()
    if remembered.is_file():
        return remembered.read_text()
    total = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(8) as pool:
        for digest in pool.map(_digest, files, chunksize=64):
            total.update(digest)
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_whole(remembered, total.hexdigest().encode())
    except OSError:
        return total.hexdigest()
    return total.hexdigest()


def _stat(file: Path) -> Any:
    try:
        return file.stat()
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None


def _digest(file: Path) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    try:
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                state.update(block)
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None
    return state.digest()


PictureLayout = Literal["as they are", "no channels", "channels last"]
"""Layout of the axes of pictures after the axis of examples."""


def channels_first(inputs: np.ndarray, layout: PictureLayout) -> np.ndarray:
    """Inputs with channels before rows and columns."""
    if layout == "no channels":
        return inputs[:, None]
    return np.ascontiguousarray(np.moveaxis(inputs, 3, 1)) if layout == "channels last" else inputs


@dataclass(frozen=True, eq=False)
class Mapped:
    """Some rows of a ``.npy`` file, read on request.

    Args:
        file: the file.
        array: its memory-mapped content.
        chosen: the rows, in order.
        layout: of pictures in the file; rows are returned with channels first.
    """

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


@dataclass(frozen=True, eq=False)
class Pictures:
    """Picture files, decoded on request and resized to one size.

    Args:
        root: the folder of the files.
        files: paths within the folder, in order.
        resize: length of the shorter side in pixels (bilinear with antialiasing).
        size: rows and columns of the square crop from the centre.
        decoders: threads that decode the pictures of a mini-batch.
    Source:
        Ours: 256 and 224, the usual sizes for validation pictures of ImageNet, are used for training too; the augmentation of the
        recipe draws crops and mirror images.
    """

    root: Path
    files: tuple[str, ...]
    resize: int
    size: int
    decoders: int

    @property
    def shape(self) -> tuple[int, ...]:
        """N, 3, rows, columns."""
        return (len(self.files), 3, self.size, self.size)

    @property
    def dtype(self) -> np.dtype:
        """Bytes."""
        return np.dtype(np.uint8)

    @cached_property
    def digest(self) -> str:
        """Digest of the names and bytes of the files, and of the sizes."""
        names = hashlib.blake2b("\0".join(self.files).encode(), digest_size=16).hexdigest()
        return f"{names} {digest_of_files([self.root / file for file in self.files])} {self.resize} {self.size}"

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.decoders, thread_name_prefix="traintwice-decode")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some pictures, in this order."""
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, picture in enumerate(self._pool.map(self._decode, rows.tolist())):
            out[place] = picture
        return out

    def _decode(self, row: int) -> np.ndarray:
        from PIL import Image, UnidentifiedImageError

        path = self.root / self.files[row]
        try:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            raise BadInput(f"{path}: cannot be read as a picture ({error}); get it again, or remove it") from None
        scale = self.resize / min(picture.size)
        width, height = (max(round(side * scale), self.resize) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return np.asarray(picture.crop((left, top, left + self.size, top + self.size))).transpose(2, 0, 1)
