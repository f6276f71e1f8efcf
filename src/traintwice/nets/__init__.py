"""Networks as data: `build` makes a PyTorch module with weights from an explicit random stream."""

from typing import TYPE_CHECKING

from traintwice._names import lazy
from traintwice.nets._factory import Factory
from traintwice.nets._mlp import MLP, SharedTrunk
from traintwice.nets._network import (
    ACTIVATIONS,
    Activation,
    Dropout,
    Network,
    SeededDraws,
    SharedNetwork,
    SmeLU,
    enter_dropout,
    masks_given,
)
from traintwice.nets._pictures import LeNet5
from traintwice.nets._resnet import RESNET_20, RESNET_32, RESNET_56, RESNET_V2_50, ResNet, ResNetV2
from traintwice.nets._towers import SharedTowers, Towers

ALL: tuple[type, ...] = (MLP, SharedTrunk, LeNet5, ResNet, ResNetV2, Factory, Towers, SharedTowers)
"""Every network; the contract tests loop over it."""

__all__ = [
    "ACTIVATIONS",
    "ALL",
    "MLP",
    "RESNET_20",
    "RESNET_32",
    "RESNET_56",
    "RESNET_V2_50",
    "Activation",
    "Dropout",
    "Factory",
    "LeNet5",
    "Network",
    "ResNet",
    "ResNetV2",
    "SeededDraws",
    "SharedNetwork",
    "SharedTowers",
    "SharedTrunk",
    "SmeLU",
    "Towers",
    "enter_dropout",
    "masks_given",
]


if not TYPE_CHECKING:  # the nearest names, for whoever mistypes one
    __getattr__, __dir__ = lazy(__name__, __all__)
