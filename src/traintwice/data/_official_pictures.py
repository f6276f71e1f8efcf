"""Pictures in official training and test sets: what they share, CIFAR-10, CIFAR-100 and SVHN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import Remote, data_folder, download, find, places, reading
from traintwice.data._dataset import Dataset, Scaling
from traintwice.data._splits import deal, measured, official_splits
from traintwice.errors import BadInput

Official = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Pictures ``N channels rows columns`` of bytes and labels ``N`` of the training set, and both of the test set."""


@dataclass(frozen=True)
@typed
class OfficialPictures:
    """Settings, splits, scaling and download of pictures in official training and test sets, see `MNIST`."""

    folder: str | None = None
    train: int | None = None
    validation: int = 5000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = True

    remotes: ClassVar[tuple[Remote, ...]]
    class_names: ClassVar[tuple[str, ...]]
    installed: ClassVar[tuple[Path, ...]] = ()

    def load(self) -> Dataset:
        """Read and split the data."""
        option = f" --folder {self.folder}" if self.folder else ""
        pictures, labels, tests, test_labels = self.official(f"Get them with: traintwice fetch {type(self).__name__}{option}")
        for shown, found in ((pictures, labels), (tests, test_labels)):
            if len(shown) != len(found):
                raise BadInput(f"{self.title}: got {len(shown):,} pictures and {len(found):,} labels, expected equal numbers")
            if len(found) and not (int(found.min()) >= 0 and int(found.max()) < self.classes):
                raise BadInput(f"{self.title}: got labels from {found.min()} to {found.max()}, expected 0 to {self.classes - 1}")
        parts = deal(len(labels), len(tests), (self.train, self.validation, self.test), seed=self.split_seed)
        scaling = measured(pictures[parts[0]]) if self.normalise else Scaling()
        training, testing = (pictures.__getitem__, labels.astype(np.int64)), (tests.__getitem__, test_labels.astype(np.int64))
        splits = official_splits(training, testing, parts, scaling)
        channels, *pixels = pictures.shape[1:]
        pixels += [3] if channels == 3 else []
        return Dataset(self.title, self.classes, *splits, pixels=tuple(pixels), class_names=self.class_names)

    @classmethod
    def fetch(cls, folder: Path | None = None) -> list[Path]:
        """Download the files into a folder; None is the folder in which `load` looks for them."""
        return download(cls.remotes, folder or data_folder() / cls.__name__)

    @property
    def title(self) -> str:
        """Name of the data set in tables."""
        return type(self).__name__

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders in which to look for the files."""
        return places(type(self).__name__, self.folder, self.installed)

    def official(self, advice: str) -> Official:
        """Read both sets; the advice says how to get the files."""
        raise NotImplementedError


PIXELS = 3 * 32 * 32
"""Bytes of a picture: all of red, all of green, all of blue, each row by row."""

TORONTO = "https://www.cs.toronto.edu/~kriz/"


def read_records(path: Path, *, labels: int, records: int, advice: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``N 3 32 32`` and labels ``N labels`` of a binary file: each record is its label bytes, then 3,072 pixels."""

    def read(file: Path) -> np.ndarray:
        width = labels + PIXELS
        size = file.stat().st_size
        if size != records * width:
            raise ValueError(f"has {size:,} bytes, expected {records * width:,}: {records:,} records of {width:,}")
        return np.fromfile(file, dtype=np.uint8).reshape(records, width)

    table = reading(path, read, (OSError, ValueError), advice=advice)
    return table[:, labels:].reshape(-1, 3, 32, 32), table[:, :labels]


@dataclass(frozen=True)
@typed
class _CIFAR(OfficialPictures):
    """The folder of the official archive is read too; the Python versions, which are pickles, are refused."""

    inside: ClassVar[str]
    pickles: ClassVar[tuple[str, str]]

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(path for place in super().folders for path in (place, place / self.inside))

    def find(self, file: str, advice: str) -> Path:
        """The binary file."""
        name = type(self).__name__
        try:
            return find(name, file, self.folders, advice=advice)
        except BadInput:
            for path in (folder / pickle for folder in self.folders for pickle in self.pickles):
                if path.exists():
                    raise BadInput(
                        f"{name}: {path} is the Python version, a pickle, which is not loaded because it can run code. "
                        f"Get the binary version, {TORONTO}{self.remotes[0].file}: {advice}"
                    ) from None
            raise


@dataclass(frozen=True)
@typed
class CIFAR10(_CIFAR):
    """60,000 colour pictures of 32 × 32 pixels in 10 classes, kept as bytes.

    Args:
        folder: with ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, or with a folder ``cifar-10-batches-bin``; None is
            ``CIFAR10`` in the data folder.
        train, validation, test: number of examples in each split, train and validation from the official 50,000; None takes all
            remaining examples.
        split_seed: of the shuffle into splits.
        normalise: scale each channel to mean 0 and standard deviation 1 on the training split; False divides bytes by 255.
    Raises:
        BadInput: files are missing, of another size, or pickles; or the splits need more examples than there are.
    Source:
        Krizhevsky 2009, binary version.
    """

    title = "CIFAR-10"
    class_names = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    inside = "cifar-10-batches-bin"
    pickles = ("cifar-10-batches-py", "data_batch_1")
    batches: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
    remotes = (
        Remote(
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            (TORONTO,),
            tuple(f"cifar-10-batches-bin/{file}" for file in (*batches, "test_batch.bin")),
        ),
    )

    def official(self, advice: str) -> Official:
        files = [self.find(file, advice) for file in (*self.batches, "test_batch.bin")]
        read = [read_records(file, labels=1, records=10_000, advice=advice) for file in files]
        pictures, labels = (np.concatenate(arrays) for arrays in zip(*read[:-1], strict=True))
        return pictures, labels[:, 0], read[-1][0], read[-1][1][:, 0]


@dataclass(frozen=True)
@typed
class CIFAR100(_CIFAR):
    """60,000 colour pictures of 32 × 32 pixels in 100 classes (or 20), kept as bytes.

    Args:
        folder: with ``train.bin`` and ``test.bin``; None is ``CIFAR100`` in the data folder. Class names are read from
            ``fine_label_names.txt`` or ``coarse_label_names.txt`` in the same folder.
        train, validation, test, split_seed, normalise: as for `CIFAR10`.
        labels: "fine" for 100 classes, "coarse" for 20.
    Raises:
        BadInput: files are missing, of another size, or pickles; or the splits need more examples than there are. BadSpec: other labels.
    Source:
        Krizhevsky 2009, binary version.
    """

    labels: Literal["fine", "coarse"] = "fine"

    inside = "cifar-100-binary"
    pickles = ("cifar-100-python", "train")
    remotes = (
        Remote(
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            (TORONTO,),
            tuple(
                f"cifar-100-binary/{file}" for file in ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")
            ),
        ),
    )

    @property
    def title(self) -> str:
        return "CIFAR-100" if self.labels == "fine" else "CIFAR-100 (coarse)"

    @property
    def classes(self) -> int:
        return 100 if self.labels == "fine" else 20

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the classes, where the folder has their file."""
        files = [folder / f"{self.labels}_label_names.txt" for folder in self.folders]
        names = next((tuple(file.read_text(encoding="utf-8").split()) for file in files if file.is_file()), ())
        return names if len(names) == self.classes else ()

    def official(self, advice: str) -> Official:
        which, found = 1 if self.labels == "fine" else 0, []
        for file, records in (("train.bin", 50_000), ("test.bin", 10_000)):
            pictures, labels = read_records(self.find(file, advice), labels=2, records=records, advice=advice)
            found += [pictures, labels[:, which]]
        return found[0], found[1], found[2], found[3]


STANFORD = "http://ufldl.stanford.edu/housenumbers/"


@dataclass(frozen=True)
@typed
class SVHN(OfficialPictures):
    """99,289 house numbers, colour pictures of one digit with 32 × 32 pixels, kept as bytes.

    Args:
        folder: with ``train_32x32.mat`` and ``test_32x32.mat``; None is ``SVHN`` in the data folder.
        train, validation, test: number of examples in each split, train and validation from the official training set; None takes all
            remaining examples.
        split_seed: of the shuffle into splits.
        normalise: scale each channel to mean 0 and standard deviation 1 on the training split; False divides bytes by 255.
        extra: also train on the 531,131 easier pictures of ``extra_32x32.mat``.
    Raises:
        BadInput: files are missing or damaged, or the splits need more examples than there are.
    Source:
        Netzer et al. 2011, format 2. In the files the digit 0 has the label 10; here it has 0.
    """

    extra: bool = False

    class_names = tuple("0123456789")
    remotes = (
        Remote("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", (STANFORD,)),
        Remote("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", (STANFORD,)),
        Remote("extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7", (STANFORD,)),
    )

    def official(self, advice: str) -> Official:
        read = []
        for name in ("train", *(["extra"] if self.extra else []), "test"):
            path = find("SVHN", f"{name}_32x32.mat", self.folders, advice=advice)
            read.append(reading(path, _matlab_digits, (Exception,), advice=advice))  # SciPy raises many types of errors
        pictures, labels = (np.concatenate(arrays) for arrays in zip(*read[:-1], strict=True))
        return pictures, labels, *read[-1]


def _matlab_digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    found = loadmat(path, variable_names=("X", "y"))
    if not {"X", "y"} <= found.keys():
        raise ValueError(f"has no X and y but {', '.join(name for name in found if not name.startswith('__')) or 'nothing'}")
    pictures, labels = found["X"], found["y"].reshape(-1)
    if pictures.ndim != 4 or pictures.shape[:3] != (32, 32, 3) or pictures.dtype != np.uint8:
        raise ValueError(f"X is {pictures.dtype} of shape {pictures.shape}, expected uint8 of shape (32, 32, 3, N)")
    if not np.isin(labels, range(1, 11)).all():
        raise ValueError("y has labels other than 1 to 10")
    return np.ascontiguousarray(pictures.transpose(3, 2, 0, 1)), labels.astype(np.int64) % 10
