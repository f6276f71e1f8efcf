"""What every rival trains: the same networks from the same distribution, on the same data, with the same optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import nn

from traintwice.data import Dataset, Split
from traintwice.nets import MLP, RESNET_20, LeNet5, Network
from traintwice.optimizers import SGD, AdaGrad, Optimizer
from traintwice.randomness import stream

CLASSES = 10
OPTIMIZERS: dict[str, Optimizer] = {"sgd": SGD(lr=0.05), "momentum": SGD(lr=0.02, momentum=0.9), "adagrad": AdaGrad(lr=0.02)}


class NotHere(Exception):
    """A rival that cannot run here, and why."""


@dataclass(frozen=True)
class Case:
    """A network, its mini-batches, and how many are trained.

    Args:
        name: in the table.
        network, shape: what is trained, on inputs of what shape.
        batch: examples in a mini-batch.
        replicas: R.
        steps, epochs: mini-batches in an epoch, and how many epochs.
        wanted: aims of the engine: its speed relative to rivals, and its share of the matmul peak.
    """

    name: str
    network: Network
    shape: tuple[int, ...]
    batch: int
    replicas: int
    steps: int
    epochs: int
    wanted: dict[str, float] = field(default_factory=dict)
    optimizer: Optimizer = OPTIMIZERS["sgd"]

    @property
    def examples(self) -> int:
        """Examples that all replicas see together."""
        return self.batch * self.steps * self.epochs * self.replicas

    @property
    def flops(self) -> int:
        """Of forward and backward pass of one example: two for a multiply-add, three passes as large as the forward one."""
        return 6 * self.network.multiply_adds(self.shape, CLASSES)

    @cached_property
    def data(self) -> Dataset:
        """Random inputs and labels; a handful to validate and test, so that predicting takes no time."""
        rng = np.random.default_rng(0)

        def some(count: int) -> Split:
            return Split(rng.standard_normal((count, *self.shape), dtype=np.float32), rng.integers(0, CLASSES, count))

        return Dataset(self.name, CLASSES, some(self.batch * self.steps), some(2), some(2))

    def build(self, replica: int) -> nn.Module:
        """A network with its initial weights."""
        return self.network.build(self.shape, CLASSES, stream(0, "initialisation", replica=replica))

    @property
    def inputs(self) -> torch.Tensor:
        """All training inputs."""
        return torch.from_numpy(self.data.train.inputs)

    @property
    def labels(self) -> torch.Tensor:
        """All training labels."""
        return torch.from_numpy(self.data.train.labels)


CASES = {
    "narrow": Case(
        "64-128-128-10, batch 64, R = 20", MLP((128, 128)), (64,), 64, 20, 64, 16,
        {"JAX": 1.0, "peak": 0.55},
    ),
    "middle": Case(
        "784-256-256-10, batch 128, R = 8", MLP((256, 256)), (784,), 128, 8, 64, 4,
        {"JAX": 1.0, "peak": 0.80},
    ),
    "wide": Case(
        "784-1200-1200-10, batch 128, R = 4", MLP((1200, 1200)), (784,), 128, 4, 32, 4,
        {"JAX": 1.0, "peak": 0.85},
    ),
    "lenet5": Case(
        "LeNet5, 28 x 28, batch 128, R = 4", LeNet5(), (1, 28, 28), 128, 4, 48, 2,
        {"DataLoader loop": 1.1, "tuned loop": 1.0},
    ),
    "resnet20": Case(
        "ResNet-20, 3 x 32 x 32, batch 64, R = 2", RESNET_20, (3, 32, 32), 64, 2, 12, 1,
        {"DataLoader loop": 1.1, "tuned loop": 1.0},
    ),
}  # fmt: skip
