"""The one model to deploy: what a recipe keeps of its components, as a single module from inputs to probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine.building import Weights, build, build_gate, gate_of, load
from traintwice.errors import BadInput
from traintwice.methods import Method
from traintwice.recipes import Recipe


class Deployed(nn.Module):
    """Probabilities of the output that a recipe keeps.

    Args:
        networks: kept components, of every kept set of weights one after the other.
        keep: "first", "mean-prob", "mean-logit" or "gate".
        gates: from inputs to logits of the mixture's weights, one for each kept set of weights, for "gate".
    Shapes: inputs ``B ...`` -> probabilities ``B K``.
    """

    def __init__(self, networks: Sequence[nn.Module], keep: str, gates: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.keep = keep
        self.gates = nn.ModuleList(gates)

    @classmethod
    def of(cls, method: Method, networks: Sequence[nn.Module], gates: Sequence[nn.Module] = ()) -> Deployed:
        """What a method keeps of its components, in evaluation mode.

        Args:
            method: says what is kept.
            networks: all of its J components, of every kept set of weights one after the other.
            gates: from inputs to J logits, one for each set, where the method keeps a gate.
        Raises:
            BadInput: another number of networks or gates.
        Example:
            >>> from traintwice.methods import co_distillation
            >>> model = Deployed.of(co_distillation(), [nn.Linear(4, 3), nn.Linear(4, 3)])
            >>> len(model.networks), model(torch.zeros(5, 4)).shape
            (1, torch.Size([5, 3]))
        """
        sets, rest = divmod(len(networks), method.components)
        wanted = sets if method.keep == "gate" else 0
        if rest or not sets or len(gates) != wanted:
            raise BadInput(
                f"Deployed.of: got {len(networks)} networks and {len(gates)} gates, expected {method.components} networks, or a multiple "
                f"of that, and {'a gate for each such set' if method.keep == 'gate' else 'no gate'}"
            )
        kept = networks[:: method.components] if method.keep == "first" else networks
        return cls(kept, method.keep, gates).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities for a batch."""
        logits = torch.stack([network(x) for network in self.networks])
        if self.keep != "gate":
            return mix_components(logits, self.keep)
        weights = torch.cat([torch.softmax(gate(x.flatten(1)), -1) for gate in self.gates], dim=-1) / len(self.gates)
        return mix_components(logits, self.keep, weights.T)


def mix_components(logits: Tensor, keep: str, weights: Tensor | None = None) -> Tensor:
    """Probabilities ``... K`` of the kept output, from logits ``S ... K`` of the kept networks.

    Args:
        logits: networks of one logit (binary) are read as logits (0, z).
        keep: see `Deployed`.
        weights: of the mixture, ``S B``, for "gate".
    """
    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    if keep == "mean-logit":
        return torch.softmax(logits.mean(0), -1)
    probs = torch.softmax(logits, -1)
    return probs.mean(0) if weights is None else (probs * weights.unsqueeze(-1)).sum(0)


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
    networks = [
        network for _ in range(sets) for network in build(recipe, data, seed=0, replica=0, start=None, dtype=torch.float32)
    ]
    load(networks, {name: array for name, array in weights.items() if not name.startswith("gate.")})
    gates = []
    if recipe.method.keep == "gate":
        gates = [build_gate(recipe, data, start=None, dtype=torch.float32) for _ in range(sets)]
        load(gates, gate_of(weights))
    return Deployed.of(recipe.method, networks, gates)
