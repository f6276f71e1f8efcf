"""MNIST and the data sets in the same form: pictures of 28 × 28 bytes in IDX files."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import Remote, data_folder, download, find, places, reading
from traintwice.data._dataset import Dataset
from traintwice.data._splits import dataset_of_pictures
from traintwice.errors import BadSpec

UNSIGNED_BYTES = 0x08


def read_idx(path: Path, *, axes: int, advice: str) -> np.ndarray:
    """The array in an IDX file, plain or gzip.

    Format: two zero bytes, the type (8: unsigned bytes), the number of axes, the length of each axis as four big-endian bytes, then the
    values, last axis fastest.

    Args:
        path: of the file; gzip if the name ends in ``.gz``.
        axes: expected number of axes: 3 for pictures, 1 for labels.
        advice: what to do about a damaged file.
    Raises:
        BadInput: the file is truncated, damaged, or of another format.
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
        raise ValueError(f"has {len(content):,} bytes, expected at least {head} for the lengths of {axes} axes")
    shape = tuple(int(length) for length in np.frombuffer(content[4:head], dtype=">u4"))
    expected = head + prod(shape)
    if len(content) != expected:
        raise ValueError(f"has {len(content):,} bytes, expected {expected:,} for {' × '.join(map(str, shape))} values")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)


TRAIN_PICTURES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_PICTURES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_PICTURES, TRAIN_LABELS, TEST_PICTURES, TEST_LABELS)

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _remotes(md5: tuple[str, str, str, str], *addresses: str) -> tuple[Remote, ...]:
    return tuple(Remote(f"{file}.gz", digest, addresses) for file, digest in zip(FILES, md5, strict=True))


@dataclass(frozen=True)
@typed
class MNIST:
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

    folder: str | None = None
    train: int | None = None
    validation: int = 5000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = False

    classes: ClassVar[int] = 10
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    installed: ClassVar[tuple[Path, ...]] = ()
    remotes: ClassVar[tuple[Remote, ...]] = _remotes(
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )

    def load(self) -> Dataset:
        """Read and split the data."""
        name = type(self).__name__
        among = places(name, self.folder, self.installed)
        advice = f"Get them with: traintwice fetch {name}{f' --folder {self.folder}' if self.folder else ''}"
        pictures, labels, tests, test_labels = (
            read_idx(find(name, file, among, advice=advice), axes=3 if "idx3" in file else 1, advice=advice)
            for file in self.files()
        )
        return dataset_of_pictures(
            name,
            self.classes,
            (self.upright(pictures)[:, None], self.counted(labels)),
            (self.upright(tests)[:, None], self.counted(test_labels)),
            (self.train, self.validation, self.test),
            seed=self.split_seed,
            normalise=self.normalise,
            class_names=self.class_names,
        )

    def is_here(self) -> bool:
        """Whether all four files are on this machine."""
        among = places(type(self).__name__, self.folder, self.installed)
        return all(any((folder / f"{file}{end}").is_file() for folder in among for end in ("", ".gz")) for file in self.files())

    def files(self) -> tuple[str, ...]:
        """Pictures and labels of training and test."""
        return FILES

    def upright(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures in upright orientation."""
        return pictures

    def counted(self, labels: np.ndarray) -> np.ndarray:
        """Labels counted from 0."""
        return labels

    @classmethod
    def fetch(cls, folder: Path | None = None) -> list[Path]:
        """Download the files into a folder; None is the folder in which `load` looks for them."""
        return download(cls.remotes, folder or data_folder() / cls.__name__)


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

    class_names: ClassVar[tuple[str, ...]] = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    installed: ClassVar[tuple[Path, ...]] = (Path("/usr/share/datasets/fashion-mnist"),)
    remotes: ClassVar[tuple[Remote, ...]] = _remotes(
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

    class_names: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    remotes: ClassVar[tuple[Remote, ...]] = _remotes(
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

    remotes: ClassVar[tuple[Remote, ...]] = (
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

    def __post_init__(self) -> None:
        if self.part not in _NAMES:
            raise BadSpec(f"EMNIST.part: got {self.part!r}, expected one of {', '.join(map(repr, _NAMES))}")

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The characters of the part."""
        return _NAMES[self.part]

    @property
    def classes(self) -> int:  # type: ignore[override]
        """K of the part."""
        return len(self.class_names)

    def files(self) -> tuple[str, ...]:
        """The files of the part."""
        halves = [f"emnist-{self.part}-{half}" for half in ("train", "test")]
        return tuple(f"{half}-{kind}-ubyte" for half in halves for kind in ("images-idx3", "labels-idx1"))

    def upright(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures with rows and columns exchanged."""
        return pictures.transpose(0, 2, 1)

    def counted(self, labels: np.ndarray) -> np.ndarray:
        """Labels with letters counted from 0."""
        return labels.astype(np.int64) - 1 if self.part == "letters" else labels
