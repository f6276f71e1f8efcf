"""Shares of the classes among the nearest examples, for locally adaptive label smoothing."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1024
"""Examples whose distances to all others are computed at once."""


def neighbour_shares(points: Tensor, labels: Tensor, classes: int, neighbours: int, among: Tensor) -> Tensor:
    """Share of each class among the labels of the nearest examples, ``N K``.

    Args:
        points: ``N D``; examples are near by their Euclidean distance.
        labels: ``N``.
        classes: K.
        neighbours: how many of the nearest examples count; all where there are fewer.
        among: numbers of the examples that may be neighbours.
    """
    candidates, votes = points[among], torch.nn.functional.one_hot(labels[among].long(), classes).to(points.dtype)
    count = min(neighbours, len(among))
    shares = [
        votes[
            torch.cdist(block, candidates, compute_mode="donot_use_mm_for_euclid_dist").topk(count, largest=False).indices
        ].mean(1)
        for block in points.split(BLOCK)  # type: ignore[no-untyped-call]
    ]
    return torch.cat(shares)
