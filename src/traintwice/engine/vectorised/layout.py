"""How the parameters of many networks of any kind lie in memory."""

from __future__ import annotations

from torch import Tensor, nn

from traintwice.engine.stacked.layout import Block


class AnyLayout:
    """A block for every parameter that is trained.

    Args:
        network: one of them.
    """

    def __init__(self, network: nn.Module) -> None:
        trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._blocks = tuple(Block(name, index, tuple(p.shape)) for index, (name, p) in enumerate(trained))

    def blocks(self) -> tuple[Block, ...]:
        """In the order of their places."""
        return self._blocks


def kept_of(network: nn.Module) -> dict[str, Tensor]:
    """What a network keeps beside the parameters that are trained: buffers, and parameters that are not."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(network.named_buffers())}
