"""Predictions of trained networks, and predictions of a stream made before its labels are learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from traintwice.data import Dataset, Split
from traintwice.engine._reading import PREDICT_BATCH, Inputs
from traintwice.engine._state import State, copied
from traintwice.errors import BadSpec
from traintwice.nets import Dropout, SeededDraws
from traintwice.recipes import Recipe

PREDICT_NUMBERS = 1 << 22
"""Input numbers per forward pass of a prediction at most: a thousand large pictures would fill the memory."""


@torch.no_grad()
def predict(networks: Sequence[nn.Module], split: Split) -> np.ndarray:
    """Logits of every network on a split, ``J N K`` float32."""
    own = next(networks[0].parameters())
    inputs = Inputs(split, own.dtype, own.device)
    at_once = max(min(PREDICT_BATCH, PREDICT_NUMBERS // prod(inputs.shape)), 1)
    for network in networks:
        network.eval()
    logits = torch.cat([torch.stack([network(part) for network in networks]) for part in inputs.parts(at_once)], dim=1)
    for network in networks:
        network.train()
    return logits.float().cpu().numpy()


@torch.no_grad()
def gate_weights(gates: Sequence[nn.Module], split: Split) -> np.ndarray:
    """Mixture weights of all sets of networks on a split, ``S·J N`` float32, with sum 1 for each example."""
    own = next(gates[0].parameters())
    parts = Inputs(split, own.dtype, own.device).parts(PREDICT_BATCH)
    inputs = torch.cat([part.flatten(1) for part in parts])
    weights = torch.cat([torch.softmax(gate(inputs), dim=-1) for gate in gates], dim=-1) / len(gates)
    return weights.T.float().contiguous().cpu().numpy()


def check_stream(recipe: Recipe, data: Dataset) -> None:
    """Check that a stream of data is trained progressively, and nothing else is."""
    if recipe.progressive is None and data.places is not None:
        raise BadSpec(
            f"Recipe.progressive: left out, but {data.name} is a stream: its test examples are trained on too, so each must be predicted "
            "before; set progressive = { window = 10000 } and epochs = 1"
        )
    if recipe.progressive is not None and data.places is None:
        raise BadSpec(
            f"Recipe.progressive: {data.name} is not a stream: its test examples are never trained on; leave progressive out"
        )


class ProgressivePredictions:
    """Logits of the reported examples of a stream, taken from the forward pass of the step that trains on them."""

    def __init__(self, data: Dataset, networks: Sequence[nn.Module]) -> None:
        for module in (m for network in networks for m in network.modules()):
            if isinstance(module, Dropout | SeededDraws | _BatchNorm):
                raise BadSpec(
                    f"Recipe.progressive: the network has {type(module).__name__} layers, with which it predicts differently in training; "
                    "take a network without them"
                )
        self.places = dict(data.places or {})
        shape = (len(networks), data.classes)
        self.logits = {name: torch.full((shape[0], len(at), shape[1]), torch.nan) for name, at in self.places.items()}

    def add(self, rows: Tensor, logits: Tensor) -> None:
        """Store logits ``J B K`` of a mini-batch, from before its step."""
        rows_of_batch, logits = rows.numpy(), logits.cpu()
        for name, at in self.places.items():
            place = np.searchsorted(at, rows_of_batch)
            found = at[np.minimum(place, len(at) - 1)] == rows_of_batch
            self.logits[name][:, place[found]] = logits[:, found].float()

    def outputs(self) -> dict[str, np.ndarray]:
        """Logits by split, ``J N K`` float32."""
        return {name: logits.numpy() for name, logits in self.logits.items()}

    def state(self) -> State:
        """Logits so far."""
        return {name: copied(logits) for name, logits in self.logits.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        for name, logits in self.logits.items():
            logits.copy_(state[name])
