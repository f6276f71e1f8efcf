"""A recipe: all that is decided before a training starts, except the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from traintwice.errors import BadSpec
from traintwice.methods import Method, baseline
from traintwice.nets import MLP, Network
from traintwice.optimizers import AdaGrad, Optimizer
from traintwice.schedules import Schedule

ALGORITHM = 1
"""Raised when training code changes results, so that a store never mixes replicas of two algorithms."""


@dataclass(frozen=True)
class Cost:
    """Multiples of one base network trained for the base number of epochs, and of serving it."""

    train: float
    serve: float


@dataclass(frozen=True)
class Recipe:
    """Networks, what they minimise, and how.

    Args:
        network: of every component.
        method: loss, number of components, what is kept.
        optimizer: over the weights of all components.
        lr_schedule: multiplies the optimiser's learning rate; None keeps it constant.
        epochs: passes over the training examples, >= 1.
        batch_size: examples in a mini-batch, >= 1; the last one of an epoch may be smaller, and none is left out.
    Raises:
        BadSpec: a setting outside its range.
    Example:
        >>> Recipe().change(epochs=50).epochs
        50
    """

    network: Network = MLP()
    method: Method = baseline()
    optimizer: Optimizer = AdaGrad()
    lr_schedule: Schedule | None = None
    epochs: int = 25
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise BadSpec(f"Recipe.{name}: got {getattr(self, name)}, expected at least 1")

    def change(self, **settings: Any) -> Recipe:
        """The same recipe with other settings: a row of a study is a change to its base recipe."""
        return replace(self, **settings)

    def steps_per_epoch(self, examples: int) -> int:
        """Mini-batches in a pass over so many examples."""
        return ceil(examples / self.batch_size)

    def resolve(self, examples: int) -> Recipe:
        """The same recipe with every schedule in steps, for a training set of so many examples."""
        per_epoch = self.steps_per_epoch(examples)
        total = per_epoch * self.epochs
        schedule = self.lr_schedule.resolve(per_epoch, total) if self.lr_schedule is not None else None
        return replace(self, method=self.method.resolve(per_epoch, total), lr_schedule=schedule)

    def cost(self, base: Recipe, shape: tuple[int, ...], classes: int) -> Cost:
        """What this recipe costs against a base recipe, for inputs of a shape.

            train = J · epochs · multiply-adds / (base epochs · base multiply-adds),   serve = kept components · ...

        Source: the cost column of CH Table 2, computed. Ours: the base network, one component of the base recipe, is the unit.

        Example:
            >>> Recipe(epochs=50).cost(Recipe(epochs=25), (64,), 10)
            Cost(train=2.0, serve=1.0)
        """
        unit = base.network.multiply_adds(shape, classes)
        one = self.network.multiply_adds(shape, classes) / unit
        return Cost(self.method.components * one * self.epochs / base.epochs, self.method.kept_components * one)
