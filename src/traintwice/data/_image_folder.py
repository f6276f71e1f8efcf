"""Picture files: a folder for each class (ImageNet and others), or annotations with the classes (iNaturalist)."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from traintwice._typed import typed
from traintwice.data._data_files import digest_of_files, places
from traintwice.data._dataset import Dataset, Scaling
from traintwice.data._splits import deal, official_splits
from traintwice.errors import BadInput, BadSpec, require

ENDINGS = (".jpeg", ".jpg", ".png", ".bmp", ".webp")

SCALING = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The usual means and standard deviations of the channels of ImageNet."""

Listed = tuple[tuple[str, ...], np.ndarray]
"""Paths of files within the folder, and labels."""


@dataclass(frozen=True)
@typed
class ImageFolder:
    """Pictures in ``train/CLASS/*`` and ``val/CLASS/*``, decoded during training.

    Args:
        folder: with both folders; None is ``ImageFolder`` in the data folder.
        train, validation, test: number of examples in each split, train and validation from ``train``, test from ``val``; None takes all
            remaining examples. With validation 0 the test split is the validation split too.
        split_seed: of the shuffle into splits.
        resize, size: the shorter side is resized to ``resize`` pixels, then the ``size`` × ``size`` centre is cropped.
        decoders: threads that decode pictures, in each worker process.
        train_folder, test_folder: names of the two folders.
    Raises:
        MissingExtra: Pillow is not installed. BadInput: folders are missing or empty, or have different classes. BadSpec: a size
            outside its range.
    Source:
        The layout of torchvision's ImageFolder. Classes are the names of the folders in alphabetical order. Bytes are scaled by the
        means and standard deviations of ImageNet. Ours: the official validation pictures are the test split; resize and crop, usual for
        validation pictures, are those of training too, and the augmentation of the recipe draws crops and mirror images.
    """

    folder: str | None = None
    train: int | None = None
    validation: int = 10_000
    test: int | None = None
    split_seed: int = 0
    resize: int = 256
    size: int = 224
    decoders: int = 2
    train_folder: str = "train"
    test_folder: str = "val"

    advice: ClassVar[str] = "Arrange the pictures as train/CLASS/NAME.jpg and val/CLASS/NAME.jpg and give the folder above them"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize or self.decoders < 1:
            got = f"size {self.size}, resize {self.resize}, decoders {self.decoders}"
            raise BadSpec(f"{type(self).__name__}: got {got}, expected 1 <= size <= resize and at least 1 decoder")

    def load(self) -> Dataset:
        """List the pictures and split them, without decoding."""
        require("PIL", extra="data", purpose="reading pictures")
        name = type(self).__name__
        (root,) = places(name, self.folder)
        if not root.is_dir():
            raise BadInput(f"{name}: no folder {root}. {self.advice}")
        (files, labels), (tests, test_labels), classes = self.listed(root)
        parts = deal(len(labels), len(test_labels), (self.train, self.validation, self.test), seed=self.split_seed)

        def pictures(of: tuple[str, ...], places: np.ndarray) -> Pictures:
            return Pictures(root, tuple(of[place] for place in places.tolist()), self.resize, self.size, self.decoders)

        splits = official_splits((partial(pictures, files), labels), (partial(pictures, tests), test_labels), parts, SCALING)
        return Dataset(name, len(classes), *splits, pixels=(self.size, self.size, 3), class_names=classes)

    def listed(self, root: Path) -> tuple[Listed, Listed, tuple[str, ...]]:
        """Training pictures, test pictures, names of classes."""
        name = type(self).__name__
        halves = []
        for half in (self.train_folder, self.test_folder):
            if not (root / half).is_dir():
                raise BadInput(f"{name}: no folder {root / half}. {self.advice}")
            classes = tuple(sorted(path.name for path in (root / half).iterdir() if path.is_dir()))
            if not classes:
                raise BadInput(f"{name}: {root / half} has no folders of classes. {self.advice}")
            halves.append(classes)
        if halves[0] != halves[1]:
            (other,) = sorted(set(halves[0]) ^ set(halves[1]))[:1]
            counts = f"{len(halves[0])} classes in {self.train_folder} and {len(halves[1])} in {self.test_folder}"
            raise BadInput(f"{name}: {counts}, {other!r} is in one of them only. {self.advice}")
        first, second = (_by_folder(root, half, halves[0]) for half in (self.train_folder, self.test_folder))
        return first, second, halves[0]


def _by_folder(root: Path, half: str, classes: tuple[str, ...]) -> Listed:
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        inside = sorted(path.name for path in (root / half / name).iterdir() if path.suffix.lower() in ENDINGS)
        files += [f"{half}/{name}/{file}" for file in inside]
        labels += [label] * len(inside)
    if not files:
        raise BadInput(f"{root / half}: has no pictures ({', '.join(ENDINGS)})")
    return tuple(files), np.array(labels, dtype=np.int64)


@dataclass(frozen=True)
@typed
class ImageNet(ImageFolder):
    """ImageNet: 1,281,167 training and 50,000 validation pictures in 1,000 classes, decoded during training.

    Args:
        folder: with ``train`` and ``val``, each with a folder for each class (n01440764 ...); None is ``ImageNet`` in the data folder.
        train, validation, test, split_seed, resize, size, decoders, train_folder, test_folder: as for `ImageFolder`.
    Source:
        Russakovsky et al. 2015 (ILSVRC 2012). The official validation pictures are the test split.
    """

    advice: ClassVar[str] = (
        "Download ImageNet from https://image-net.org after signing in (ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar). Unpack the "
        "training archives into train/CLASS/, and sort the validation pictures into val/CLASS/ by the ground truth of the development kit"
    )


@dataclass(frozen=True)
@typed
class INaturalist(ImageFolder):
    """iNaturalist 2018: 437,513 training and 24,426 validation pictures in 8,142 species, decoded during training.

    Args:
        folder: with ``train_val2018``, ``train2018.json`` and ``val2018.json``; None is ``INaturalist`` in the data folder.
        train, validation, test, split_seed, resize, size, decoders: as for `ImageFolder`.
        train_folder, test_folder: names of the two files of annotations, without their ending.
    Source:
        Van Horn et al. 2018. The official validation pictures are the test split.
    """

    train_folder: str = "train2018"
    test_folder: str = "val2018"

    advice: ClassVar[str] = (
        "Get train_val2018.tar.gz, train2018.json and val2018.json from the links on "
        "https://github.com/visipedia/inat_comp/tree/master/2018 "
        "and unpack them into that folder"
    )

    def listed(self, root: Path) -> tuple[Listed, Listed, tuple[str, ...]]:
        """Training pictures, test pictures and class names, from the annotations."""
        first, second = (self._annotated(root / f"{half}.json") for half in (self.train_folder, self.test_folder))
        known = sorted({*first[1].tolist(), *second[1].tolist()})
        place = {category: i for i, category in enumerate(known)}
        train, test = ((files, np.array([place[c] for c in found.tolist()], np.int64)) for files, found in (first, second))
        return train, test, tuple(map(str, known))

    def _annotated(self, path: Path) -> Listed:
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            names = {image["id"]: str(image["file_name"]) for image in found["images"]}
            rows = [(names[row["image_id"]], int(row["category_id"])) for row in found["annotations"]]
        except FileNotFoundError:
            raise BadInput(f"INaturalist: no {path}. {self.advice}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: is not a valid annotation file ({type(error).__name__}: {error}). {self.advice}") from None
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name, _ in rows):
            raise BadInput(f"{path}: names pictures outside the folder")
        return tuple(name for name, _ in rows), np.array([category for _, category in rows], np.int64)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Picture files in a folder, decoded on request by some threads, resized (bilinear with antialiasing) and cropped to one size."""

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
