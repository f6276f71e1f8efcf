"""Shares of the classes among the nearest examples, for locally adaptive label smoothing."""

from __future__ import annotations

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadInput

BLOCK = 1024
"""Examples whose distances to all others are computed at once."""


@typed
def neighbour_shares(points: Tensor, labels: Tensor, classes: int, neighbours: int, among: Tensor | None = None) -> Tensor:
    """Share of each class among the labels of the nearest examples.

        η_nk = mean over the nearest examples m of [label_m = k]

    Args:
        points: ``N D``, such as logits of a first model; examples are near by their Euclidean distance.
        labels: classes ``N``.
        classes: K.
        neighbours: how many of the nearest examples count, at least 1; all where there are fewer. An example is its own neighbour.
        among: numbers of the examples that may be neighbours; None is all.
    Returns:
        Shares ``N K`` in [0, 1], with sum 1 for each example. 0.9 reads: nine of ten near examples have this class.
    Raises:
        BadInput: fewer than one neighbour, or other numbers of points and labels.
    Source:
        Bahri & Jiang 2021; `NeighbourSmoothing` reads the logarithms.
    Example:
        >>> points = torch.tensor([[0.0], [0.1], [5.0]])
        >>> neighbour_shares(points, torch.tensor([0, 1, 1]), 2, 2).tolist()
        [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]
    """
    if neighbours < 1 or len(points) != len(labels):
        raise BadInput(
            f"neighbour_shares: got {neighbours} neighbours, {len(points)} points and {len(labels)} labels, expected at least one "
            "neighbour and a label for each point"
        )
    among = torch.arange(len(points), device=points.device) if among is None else among
    candidates, votes = points[among], torch.nn.functional.one_hot(labels[among].long(), classes).to(points.dtype)
    count = min(neighbours, len(among))
    shares = [
        votes[
            torch.cdist(block, candidates, compute_mode="donot_use_mm_for_euclid_dist").topk(count, largest=False).indices
        ].mean(1)
        for block in points.split(BLOCK)  # type: ignore[no-untyped-call]
    ]
    return torch.cat(shares)
