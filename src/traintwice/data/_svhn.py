"""Street view house numbers, cropped digits, in their official MATLAB files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import Remote, data_folder, download, find, places, reading
from traintwice.data._dataset import Dataset
from traintwice.data._splits import dataset_of_pictures

ADDRESS = "http://ufldl.stanford.edu/housenumbers/"


@dataclass(frozen=True)
@typed
class SVHN:
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

    folder: str | None = None
    train: int | None = None
    validation: int = 5000
    test: int | None = None
    split_seed: int = 0
    normalise: bool = True
    extra: bool = False

    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", (ADDRESS,)),
        Remote("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", (ADDRESS,)),
        Remote("extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7", (ADDRESS,)),
    )

    def load(self) -> Dataset:
        """Read and split the data."""
        among = places("SVHN", self.folder)
        advice = f"Get them with: traintwice fetch SVHN{f' --folder {self.folder}' if self.folder else ''}"

        def read(file: str) -> tuple[np.ndarray, np.ndarray]:
            path = find("SVHN", file, among, advice=advice)
            return reading(path, _digits, (Exception,), advice=advice)  # SciPy raises many types of errors on damaged files

        training = [read(f"{name}_32x32.mat") for name in ("train", *(["extra"] if self.extra else []))]
        pictures, labels = (np.concatenate(arrays) for arrays in zip(*training, strict=True))
        return dataset_of_pictures(
            "SVHN",
            10,
            (pictures, labels),
            read("test_32x32.mat"),
            (self.train, self.validation, self.test),
            seed=self.split_seed,
            normalise=self.normalise,
            class_names=tuple("0123456789"),
        )

    @classmethod
    def fetch(cls, folder: Path | None = None) -> list[Path]:
        """Download the files into a folder; None is the folder in which `load` looks for them."""
        return download(cls.remotes, folder or data_folder() / cls.__name__)


def _digits(path: Path) -> tuple[np.ndarray, np.ndarray]:
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
