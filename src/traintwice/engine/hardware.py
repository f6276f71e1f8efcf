"""The randomness of hardware, emulated where the hardware has none."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


@torch.no_grad()
def poke(networks: list[nn.Module], rng: np.random.Generator) -> None:
    """Move one weight away from 0 by one unit in the last place, in place.

    Args:
        networks: of a replica, before their first step.
        rng: chooses the weight, among those of every layer but the first: pixels that are always 0 would swallow it.
    Source:
        Ours, after Jordan 2024 and Summers & Dinneen 2021: in long trainings one bit is as good as a new seed.
    """
    weights: dict[int, nn.Parameter] = {}
    for network in networks:
        matrices = [p for p in network.parameters() if p.ndim > 1]
        weights |= {id(p): p for p in matrices[1:] or matrices}
    chosen = list(weights.values())
    sizes = np.array([p.numel() for p in chosen])
    flat = chosen[int(rng.choice(len(chosen), p=sizes / sizes.sum()))].view(-1)
    places = flat.nonzero().flatten()
    at = places[int(rng.integers(len(places)))]
    flat[at] = torch.nextafter(flat[at], flat[at] * torch.inf)
