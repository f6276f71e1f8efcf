"""CIFAR-10 and CIFAR-100 in their official binary form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import Remote, data_folder, download, find, places, reading
from traintwice.data._dataset import Dataset
from traintwice.data._splits import dataset_of_pictures
from traintwice.errors import BadInput, BadSpec

PIXELS = 3 * 32 * 32
"""Bytes of a picture: all of red, all of green, all of blue, each row by row."""

ADDRESS = "https://www.cs.toronto.edu/~kriz/"


def read_records(path: Path, *, labels: int, records: int, advice: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``N 3 32 32`` and labels ``N labels`` of a binary file: each record is its label bytes, then 3,072 pixels.

    Args:
        path: of the file.
        labels: label bytes of a record: 1 in CIFAR-10, 2 (coarse, fine) in CIFAR-100.
        records: expected number of records.
        advice: what to do about a damaged file.
    Raises:
        BadInput: the file has another size.
    """

    def read(file: Path) -> np.ndarray:
        width = labels + PIXELS
        size = file.stat().st_size
        if size != records * width:
            raise ValueError(f"has {size:,} bytes, expected {records * width:,}: {records:,} records of {width:,}")
        return np.fromfile(file, dtype=np.uint8).reshape(records, width)

    table = reading(path, read, (OSError, ValueError), advice=advice)
    return table[:, labels:].reshape(-1, 3, 32, 32), table[:, :labels]


def _find(name: str, file: str, among: tuple[Path, ...], archive: str, advice: str) -> Path:
    """The binary file; the error names a Python version of the data set if there is one."""
    try:
        return find(name, file, among, advice=advice)
    except BadInput:
        whole, pickle = ("cifar-10-batches-py", "data_batch_1") if name == "CIFAR10" else ("cifar-100-python", "train")
        for path in (folder / inside for folder in among for inside in (whole, pickle)):
            if path.exists():
                raise BadInput(
                    f"{name}: {path} is the Python version, a pickle, which is not loaded because it can run code. "
                    f"Get the binary version, {ADDRESS}{archive}: {advice}"
                ) from None
        raise


@dataclass(frozen=True)
@typed
class CIFAR10:
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

    folder: str | None = None
    train: int | None = None
    validation: int = 5000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = True

    class_names: ClassVar[tuple[str, ...]] = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )
    batches: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            (ADDRESS,),
            tuple(f"cifar-10-batches-bin/{file}" for file in (*batches, "test_batch.bin")),
        ),
    )

    def load(self) -> Dataset:
        """Read and split the data."""
        among, advice = _where("CIFAR10", self.folder)

        def read(file: str) -> tuple[np.ndarray, np.ndarray]:
            path = _find("CIFAR10", file, among, self.remotes[0].file, advice)
            return read_records(path, labels=1, records=10_000, advice=advice)

        parts = [read(file) for file in self.batches]
        tests, test_labels = read("test_batch.bin")
        pictures, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return dataset_of_pictures(
            "CIFAR-10",
            10,
            (pictures, labels[:, 0]),
            (tests, test_labels[:, 0]),
            (self.train, self.validation, self.test),
            seed=self.split_seed,
            normalise=self.normalise,
            class_names=self.class_names,
        )

    @classmethod
    def fetch(cls, folder: Path | None = None) -> list[Path]:
        """Download the files into a folder; None is the folder in which `load` looks for them."""
        return download(cls.remotes, folder or data_folder() / cls.__name__)


@dataclass(frozen=True)
@typed
class CIFAR100:
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

    folder: str | None = None
    train: int | None = None
    validation: int = 5000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = True
    labels: Literal["fine", "coarse"] = "fine"

    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            (ADDRESS,),
            tuple(
                f"cifar-100-binary/{file}" for file in ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")
            ),
        ),
    )

    def __post_init__(self) -> None:
        if self.labels not in ("fine", "coarse"):
            raise BadSpec(f"CIFAR100.labels: got {self.labels!r}, expected 'fine' or 'coarse'")

    def load(self) -> Dataset:
        """Read and split the data."""
        among, advice = _where("CIFAR100", self.folder)
        which, classes = (1, 100) if self.labels == "fine" else (0, 20)

        def read(file: str, records: int) -> tuple[np.ndarray, np.ndarray]:
            path = _find("CIFAR100", file, among, self.remotes[0].file, advice)
            pictures, both = read_records(path, labels=2, records=records, advice=advice)
            return pictures, both[:, which]

        names = next((p for folder in among if (p := folder / f"{self.labels}_label_names.txt").is_file()), None)
        class_names = tuple(names.read_text(encoding="utf-8").split()) if names is not None else ()
        return dataset_of_pictures(
            "CIFAR-100" if classes == 100 else "CIFAR-100 (coarse)",
            classes,
            read("train.bin", 50_000),
            read("test.bin", 10_000),
            (self.train, self.validation, self.test),
            seed=self.split_seed,
            normalise=self.normalise,
            class_names=class_names if len(class_names) == classes else (),
        )

    @classmethod
    def fetch(cls, folder: Path | None = None) -> list[Path]:
        """Download the files into a folder; None is the folder in which `load` looks for them."""
        return download(cls.remotes, folder or data_folder() / cls.__name__)


def _where(name: str, folder: str | None) -> tuple[tuple[Path, ...], str]:
    """The folders to look in (the folder itself, and that of the official archive), and how to fill them."""
    inside = "cifar-10-batches-bin" if name == "CIFAR10" else "cifar-100-binary"
    among = tuple(path for place in places(name, folder) for path in (place, place / inside))
    return among, f"Get them with: traintwice fetch {name}{f' --folder {folder}' if folder else ''}"
