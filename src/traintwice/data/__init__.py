"""Data sets as data: `load` returns arrays in fixed splits."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.data._arrays import Arrays
from traintwice.data._criteo import Criteo
from traintwice.data._dataset import (
    Columns,
    Dataset,
    LazyInputs,
    PackedShape,
    Scaling,
    Source,
    Split,
    TableShape,
    is_here,
)
from traintwice.data._image_folder import ImageFolder, ImageNet, INaturalist
from traintwice.data._loader import Loaded, Loader
from traintwice.data._mnist import EMNIST, KMNIST, MNIST, FashionMNIST
from traintwice.data._official_pictures import CIFAR10, CIFAR100, SVHN
from traintwice.data._packaged import Digits, Flights, MNIST5k
from traintwice.data._splits import Days
from traintwice.data._table import Table

ALL: tuple[type, ...] = (
    *(Digits, MNIST5k, MNIST, FashionMNIST, KMNIST, EMNIST, CIFAR10, CIFAR100, SVHN),
    *(ImageFolder, ImageNet, INaturalist, Arrays, Table, Loader, Flights, Criteo, Days),
)
"""Every data set; the contract tests loop over it."""

FETCHED: dict[str, type] = {cls.__name__: cls for cls in ALL if hasattr(cls, "fetch")}
"""Name to class of the data sets that can be downloaded."""

__all__ = [
    "ALL",
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "FETCHED",
    "KMNIST",
    "MNIST",
    "SVHN",
    "Arrays",
    "Columns",
    "Criteo",
    "Dataset",
    "Days",
    "Digits",
    "FashionMNIST",
    "Flights",
    "INaturalist",
    "ImageFolder",
    "ImageNet",
    "LazyInputs",
    "Loaded",
    "Loader",
    "MNIST5k",
    "PackedShape",
    "Scaling",
    "Source",
    "Split",
    "Table",
    "TableShape",
    "is_here",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
