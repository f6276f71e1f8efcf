"""Networks as data: `build` makes a PyTorch module with weights from an explicit stream."""

from traintwice.nets.activations import ACTIVATIONS, SmeLU
from traintwice.nets.dropout import Dropout, enter_dropout
from traintwice.nets.mlp import MLP
from traintwice.nets.network import Network, SharedNetwork
from traintwice.nets.shared_trunk import SharedTrunk
from traintwice.nets.towers import SharedTowers, Towers

ALL: tuple[type, ...] = (MLP, SharedTrunk, Towers, SharedTowers)
"""Every network; the contract tests loop over it."""

__all__ = [
    "ACTIVATIONS",
    "ALL",
    "MLP",
    "Dropout",
    "Network",
    "SharedNetwork",
    "SharedTowers",
    "SharedTrunk",
    "SmeLU",
    "Towers",
    "enter_dropout",
]
