"""The one model to deploy: what a recipe keeps of its components, as a single module from inputs to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine.building import Weights, build, load
from traintwice.recipes import Recipe


class Deployed(nn.Module):
    """Probabilities of the output that a recipe keeps.

    Args:
        networks: kept components, of every kept set of weights one after the other.
        keep: "first", "mean-prob", "mean-logit" or "gate".
        gate: from inputs to logits of the mixture's weights, for "gate".
    Shapes: inputs ``B ...`` -> probabilities ``B K``.
    """

    def __init__(self, networks: Sequence[nn.Module], keep: str, gate: nn.Linear | None = None) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.keep = keep
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities for a batch."""
        logits = torch.stack([network(x) for network in self.networks])
        if self.keep == "mean-logit":
            return torch.softmax(logits.mean(0), -1)
        probs = torch.softmax(logits, -1)
        if self.gate is None:
            return probs.mean(0)
        weights = torch.softmax(self.gate(x.flatten(1)), -1).repeat(1, len(self.networks) // self.gate.out_features)
        return (probs * (weights / weights.sum(-1, keepdim=True)).T.unsqueeze(-1)).sum(0)


def deployed(recipe: Recipe, data: Dataset, weights: Weights) -> Deployed:
    """The model that a replica's stored weights make.

    Args:
        recipe: of the replica.
        data: its data set, for the shape of the inputs and the number of classes.
        weights: as stored.
    Returns:
        A module in evaluation mode, on the CPU, in float32.
    """
    sets = recipe.averaging.models if recipe.averaging is not None else 1
    components = recipe.method.components
    networks = [
        network for _ in range(sets) for network in build(recipe, data, seed=0, replica=0, start=None, dtype=torch.float32)
    ]
    load(networks, {name: array for name, array in weights.items() if not name.startswith("gate.")})
    gate = None
    if recipe.method.keep == "gate":
        gate = nn.Linear(weights["gate.weight"].shape[1], components)
        gate.load_state_dict({name: torch.from_numpy(weights[f"gate.{name}"]) for name in ("weight", "bias")})
    kept = networks[::components] if recipe.method.keep == "first" else networks
    return Deployed(kept, recipe.method.keep, gate).eval()
