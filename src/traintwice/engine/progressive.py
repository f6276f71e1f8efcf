"""Predictions that are made on the way, before their labels are learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from traintwice.data import Dataset
from traintwice.engine.state import State, copied
from traintwice.errors import BadSpec
from traintwice.nets import Dropout
from traintwice.recipes import Recipe


def check_stream(recipe: Recipe, data: Dataset) -> None:
    """Refuse to train a stream in any other way than progressively, and anything else progressively.

    Raises:
        BadSpec: recipe and data do not fit.
    """
    if recipe.progressive is None and data.places is not None:
        raise BadSpec(
            f"Recipe.progressive: left out, but {data.name} is a stream: its test examples are trained on too, so each must be predicted "
            "before; set progressive = { window = 10000 } and epochs = 1"
        )
    if recipe.progressive is not None and data.places is None:
        raise BadSpec(
            f"Recipe.progressive: {data.name} is no stream: its test examples are never trained on; leave progressive out"
        )


class Seen:
    """Gathers what the components predict of the reported examples, by the place of the example in the stream.

    Args:
        data: with places.
        networks: the components; they must predict in training as they do in service, since the forward pass of a step is the prediction.
    Raises:
        BadSpec: a component with dropout or batch normalisation.
    """

    def __init__(self, data: Dataset, networks: Sequence[nn.Module]) -> None:
        for module in (m for network in networks for m in network.modules()):
            if isinstance(module, Dropout | _BatchNorm):
                raise BadSpec(
                    f"Recipe.progressive: the network has {type(module).__name__} layers, with which it predicts otherwise while it "
                    "trains; take a network without"
                )
        self.places = dict(data.places or {})
        shape = (len(networks), data.classes)
        self.logits = {name: torch.full((shape[0], len(at), shape[1]), torch.nan) for name, at in self.places.items()}

    def add(self, rows: Tensor, logits: Tensor) -> None:
        """Logits ``J B K`` of the rows of a mini-batch, from before its step."""
        rows_of_batch, logits = rows.numpy(), logits.cpu()
        for name, at in self.places.items():
            place = np.searchsorted(at, rows_of_batch)
            found = at[np.minimum(place, len(at) - 1)] == rows_of_batch
            self.logits[name][:, place[found]] = logits[:, found].float()

    def outputs(self) -> dict[str, np.ndarray]:
        """Logits by split, ``J N K`` float32."""
        return {name: logits.numpy() for name, logits in self.logits.items()}

    def state(self) -> State:
        """What was predicted so far."""
        return {name: copied(logits) for name, logits in self.logits.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put it back."""
        for name, logits in self.logits.items():
            logits.copy_(state[name])
