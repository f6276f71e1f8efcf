"""The reference engine: one replica, plain PyTorch, written to be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset, Split
from traintwice.errors import TrainingFailed
from traintwice.losses import Outputs
from traintwice.randomness import stream
from traintwice.recipes import Recipe
from traintwice.schedules import at_step

PREDICT_BATCH = 1024
"""Examples per forward pass when predicting: fixed, because matrix products of other shapes may round otherwise."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        logits: split name to raw logits of every component, ``J N K`` float32.
        steps: optimiser steps taken.
    """

    logits: dict[str, np.ndarray]
    steps: int


def train(recipe: Recipe, data: Dataset, *, seed: int, replica: int, dtype: torch.dtype = torch.float32) -> Trained:
    """Train one replica and predict the validation and test examples.

    Args:
        recipe: what to train.
        data: on what.
        seed: of the experiment.
        replica: which one; its weights and mini-batches come from streams of their own.
        dtype: of weights and inputs.
    Returns:
        Raw logits of every component, before anything is averaged or dropped.
    Raises:
        TrainingFailed: the loss or the logits became infinite or NaN; the message says when.
    Source:
        Ours. All components see the same mini-batches; the smaller batch that ends an epoch is used.
    """
    recipe = recipe.resolve(len(data.train))
    networks = [
        recipe.network.build(data.shape, data.classes, stream(seed, "initialisation", replica=replica, component=j)).to(dtype)
        for j in range(recipe.method.components)
    ]
    optimizer = recipe.optimizer.build([p for network in networks for p in network.parameters()])
    inputs, labels = torch.from_numpy(data.train.inputs).to(dtype), torch.from_numpy(data.train.labels)
    step = 0
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(stream(seed, "order", replica=replica, epoch=epoch).permutation(len(data.train)))
        for batch in torch.split(order, recipe.batch_size):
            if recipe.lr_schedule is not None:
                for group in optimizer.param_groups:
                    group["lr"] = recipe.optimizer.lr * at_step(recipe.lr_schedule, step)
            x = inputs[batch]
            logits = torch.stack([network(x) for network in networks])
            loss = recipe.method.loss(Outputs(logits, labels[batch]), step)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        if not bool(loss.isfinite()):
            raise TrainingFailed(
                f"the loss is {loss.item()} at the end of epoch {epoch + 1} of {recipe.epochs}; "
                "lower the learning rate or the weight of an unbounded term"
            )
    return Trained({name: predict(networks, split) for name, split in data.splits.items() if name != "train"}, step)


@torch.no_grad()
def predict(networks: list[nn.Module], split: Split) -> np.ndarray:
    """Logits of every component on a split, ``J N K`` float32."""
    dtype = next(networks[0].parameters()).dtype
    inputs = torch.from_numpy(split.inputs).to(dtype)
    logits: list[Tensor] = []
    for network in networks:
        network.eval()
        logits.append(torch.cat([network(part) for part in torch.split(inputs, PREDICT_BATCH)]))
        network.train()
    return torch.stack(logits).float().numpy()
