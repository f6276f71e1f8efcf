"""MNIST and the data sets in the same form: pictures of 28 × 28 bytes in IDX files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import Remote, find, reading
from traintwice.data._official_pictures import Official, OfficialPictures

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, *, axes: int, advice: str) -> np.ndarray:
    """The array in an IDX file, plain or gzip.

    Format ("The IDX file format" on the page of the MNIST database): two zero bytes, the type (8: unsigned bytes), the number of axes, the
    length of each axis as four big-endian bytes, then the values, last axis fastest.
    """
    return reading(path, lambda file: _array(file, axes), (OSError, EOFError, zlib.error, ValueError), advice=advice)


def _array(path: Path, axes: int) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    head = 4 + 4 * axes
    if content[:4] != bytes((0, 0, UNSIGNED_BYTES, axes)):
        raise ValueError(f"begins with {content[:4].hex(' ')}, expected 00 00 08 {axes:02x}")
    if len(content) < head:
        raise ValueError(f"has {len(content):,} bytes, expected at least {head} for the lengths of {axes} axes")
    shape = tuple(int(length) for length in np.frombuffer(content[4:head], dtype=">u4"))
    expected = head + prod(shape)
    if len(content) != expected:
        raise ValueError(f"has {len(content):,} bytes, expected {expected:,} for {' × '.join(map(str, shape))} values")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)


FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _remotes(md5: tuple[str, str, str, str], *addresses: str) -> tuple[Remote, ...]:
    return tuple(Remote(f"{file}.gz", digest, addresses) for file, digest in zip(FILES, md5, strict=True))


@dataclass(frozen=True)
@typed
class MNIST(OfficialPictures):
    """70,000 handwritten digits of 28 × 28 pixels, kept as bytes.

    Args:
        folder: with the four IDX files, plain or .gz; None is ``MNIST`` in the data folder.
        train, validation, test: number of examples in each split, train and validation from the official 60,000; None takes all
            remaining examples.
        split_seed: of the shuffle into splits.
        normalise: scale pixels to mean 0 and standard deviation 1 on the training split; False divides them by 255.
    Raises:
        BadInput: files are missing or damaged, or the splits need more examples than there are.
    Source:
        LeCun, Bottou, Bengio and Haffner 1998.
    """

    normalise: bool = False

    class_names = tuple("0123456789")
    remotes = _remotes(
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )

    def is_here(self) -> bool:
        """Whether all four files are on this machine."""
        return all(
            any((folder / f"{file}{end}").is_file() for folder in self.folders for end in ("", ".gz")) for file in self.files()
        )

    def files(self) -> tuple[str, ...]:
        """Pictures and labels of training and test."""
        return FILES

    def official(self, advice: str) -> Official:
        """Read both sets; the advice says how to get the files."""
        paths = [find(type(self).__name__, file, self.folders, advice=advice) for file in self.files()]
        pictures, labels, tests, test_labels = (
            read_idx(path, axes=axes, advice=advice) for path, axes in zip(paths, (3, 1, 3, 1), strict=True)
        )
        return pictures[:, None], labels, tests[:, None], test_labels


@dataclass(frozen=True)
@typed
class FashionMNIST(MNIST):
    """70,000 pictures of clothes of 28 × 28 pixels, kept as bytes.

    Args:
        folder: with the four IDX files, plain or .gz; None is ``FashionMNIST`` in the data folder, or the folder of the Debian package
            dataset-fashion-mnist.
        train, validation, test, split_seed, normalise: as for `MNIST`.
    Source:
        Xiao, Rasul and Vollgraf 2017.
    """

    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    installed = (Path("/usr/share/datasets/fashion-mnist"),)
    remotes = _remotes(
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )


@dataclass(frozen=True)
@typed
class KMNIST(MNIST):
    """70,000 handwritten hiragana of 28 × 28 pixels, kept as bytes.

    Args:
        folder, train, validation, test, split_seed, normalise: as for `MNIST`.
    Source:
        Clanuwat et al. 2018.
    """

    class_names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    remotes = _remotes(
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    )


Part = Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]

_MERGED = tuple("0123456789" + _CAPITALS + "abdefghnqrt")
_NAMES: dict[Part, tuple[str, ...]] = {
    "balanced": _MERGED,
    "byclass": tuple("0123456789" + _CAPITALS + _CAPITALS.lower()),
    "bymerge": _MERGED,
    "digits": tuple("0123456789"),
    "letters": tuple(_CAPITALS),
    "mnist": tuple("0123456789"),
}


@dataclass(frozen=True)
@typed
class EMNIST(MNIST):
    """Handwritten digits and letters of 28 × 28 pixels, kept as bytes.

    Args:
        folder, train, validation, test, split_seed, normalise: as for `MNIST`; the names of the files are
            ``emnist-balanced-train-images-idx3-ubyte`` and so on.
        part: "balanced" (47 classes), "byclass" (62), "bymerge" (47), "digits" (10), "letters" (26) or "mnist" (10).
    Raises:
        BadSpec: another part.
    Source:
        Cohen, Afshar, Tapson and van Schaik 2017. The files have pictures column by column and letters counted from 1; here pictures are
        upright and letters are counted from 0.
    """

    part: Part = "balanced"

    remotes = (
        Remote(
            "gzip.zip",
            "58c8d27c78d21e728a6bc7b3cc06412e",
            ("https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"),
            tuple(
                f"gzip/emnist-{part}-{half}-{kind}-ubyte.gz"
                for part in _NAMES
                for half in ("train", "test")
                for kind in ("images-idx3", "labels-idx1")
            ),
        ),
    )

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The characters of the part."""
        return _NAMES[self.part]

    def files(self) -> tuple[str, ...]:
        """The files of the part."""
        halves = [f"emnist-{self.part}-{half}" for half in ("train", "test")]
        return tuple(f"{half}-{kind}-ubyte" for half in halves for kind in ("images-idx3", "labels-idx1"))

    def official(self, advice: str) -> Official:
        """Read both sets, with upright pictures and labels counted from 0."""
        pictures, labels, tests, test_labels = super().official(advice)
        first = 1 if self.part == "letters" else 0
        labels, test_labels = (found.astype(np.int64) - first for found in (labels, test_labels))
        return pictures.transpose(0, 1, 3, 2), labels, tests.transpose(0, 1, 3, 2), test_labels
