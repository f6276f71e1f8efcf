"""Networks as data: `build` makes a PyTorch module with weights from an explicit stream."""

from traintwice.nets.mlp import MLP
from traintwice.nets.network import Network

ALL: tuple[type, ...] = (MLP,)
"""Every network; the contract tests loop over it."""

__all__ = ["ALL", "MLP", "Network"]
