"""Settings that residual networks share."""

from __future__ import annotations

from traintwice.errors import BadSpec
from traintwice.nets.activations import ACTIVATIONS

Blocks = tuple[tuple[int, ...], ...]
"""(units, filters, stride) of each block, as the papers list them."""


def check_residual(name: str, blocks: Blocks, activation: str, scale: float, *, growing: bool) -> Blocks:
    """The blocks as tuples of three numbers.

    Args:
        name: of the network, to begin messages with.
        blocks, activation, scale: its settings.
        growing: a block cannot have fewer filters than the one before.
    Raises:
        BadSpec: a setting outside its range.
    """
    found = tuple(tuple(block) for block in blocks)
    if not found or any(len(block) != 3 or min(block) < 1 for block in found):
        shown = [list(block) for block in found]
        raise BadSpec(f"{name}.blocks: got {shown}, expected a list of [units, filters, stride], each at least 1")
    widths = [block[1] for block in found]
    if growing and widths != sorted(widths):
        raise BadSpec(
            f"{name}.blocks: got {widths} filters, expected none fewer than in the block before: shortcuts add maps of zeros"
        )
    if activation not in ACTIVATIONS:
        raise BadSpec(f"{name}.activation: got {activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
    if not scale > 0:
        raise BadSpec(f"{name}.scale: got {scale}, expected a number greater than 0")
    return found
