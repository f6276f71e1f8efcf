"""The epoch loop of all engines: one or several replicas of a recipe, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine._batches import Batch
from traintwice.engine._building import Weights, build, number_of_networks, perturb_one_ulp, served_weights, stream_of
from traintwice.engine._execution import Execution
from traintwice.engine._reading import TrainingSet
from traintwice.engine._state import State, averager
from traintwice.errors import BadInput
from traintwice.nets import enter_dropout
from traintwice.randomness import RandomSource
from traintwice.recipes import Recipe
from traintwice.schedules import at_step
from traintwice.served import Weights as WeightsFile

LEAST_POINTS = 20
"""A curve has a point for each epoch, and several where there are fewer epochs than this."""


@dataclass(frozen=True)
class Trained:
    """Outcome of a training.

    Attributes:
        outputs: named arrays by split: "test" holds raw logits of every kept network, ``J N K`` float32 (``S·J N K`` with S snapshots);
            "test.gate" the mixture weight of each of these, if the method has a gate.
        weights: parameters and buffers of every kept network ("0.name", "1.name" ...), and of a gate for each set of them ("gate.0.name").
        steps: optimiser steps taken.
        curve: training loss over the training, a mean over each of equal parts of it.
    """

    outputs: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    steps: int
    curve: np.ndarray


@dataclass(frozen=True)
class TrainingSpec:
    """What is trained and how, for all replicas of a recipe."""

    recipe: Recipe  # with its schedules in steps
    data: Dataset
    seed: int
    execution: Execution  # by a chosen engine, not "auto"
    starts: Mapping[int, Weights] = field(default_factory=dict)  # weights of earlier models, by replica
    teachers: Mapping[int, Weights] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        return self.recipe.steps_per_epoch(len(self.data.train))

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.recipe.epochs

    def stream(self, source: RandomSource, replica: int, *, component: int = 0, epoch: int = 0) -> np.random.Generator:
        return stream_of(self.recipe, self.seed, source, replica=replica, component=component, epoch=epoch)

    def start_of(self, replica: int) -> Weights | None:
        """The weights that a replica starts from; None where they are drawn."""
        return self.starts.get(replica) if self._served_start is None else self._served_start

    @cached_property
    def _served_start(self) -> Weights | None:
        if not isinstance(self.recipe.start, WeightsFile):
            return None
        found, components = served_weights(self.recipe.start, self.recipe, self.data), self.recipe.method.components
        if number_of_networks(found) not in (1, components):
            raise BadInput(
                f"{self.recipe.start.file}: has {number_of_networks(found)} networks, expected 1 or {components} (the components of the "
                "method)"
            )
        return found

    def networks(self, replica: int) -> list[nn.Module]:
        """Components of a replica before the first step, on the CPU."""
        start, dtype = self.start_of(replica), self.execution.dtype
        networks = build(self.recipe, self.data, seed=self.seed, replica=replica, start=start, dtype=dtype)
        if self.recipe.emulates_hardware(on_gpu=self.execution.on_gpu):
            perturb_one_ulp(networks, self.stream("hardware", replica))
        return networks

    def enter_dropout(self, networks: Sequence[nn.Module], replica: int, step: int) -> bool:
        """Give the dropout layers of all components the streams of a step; returns whether there are any."""
        found = False
        for j, network in enumerate(networks):
            found |= enter_dropout(network, self.stream("dropout", replica, component=j, epoch=step))
        return found


def points_of(epochs: int, steps: int) -> int:
    """Points of a curve; at most one for each step.

    >>> points_of(40, 4000), points_of(8, 800), points_of(1, 6)
    (40, 24, 6)
    """
    return min(steps, epochs * -(-LEAST_POINTS // epochs))


class Curve:
    """Means of the loss of R replicas over equal parts of the training, in float64."""

    def __init__(self, epochs: int, steps: int, replicas: int, device: torch.device) -> None:
        self.points, self.steps = points_of(epochs, steps), steps
        self.sums = torch.zeros(self.points, replicas, dtype=torch.float64, device=device)
        self.counts = torch.zeros(self.points, dtype=torch.int64)

    def add(self, step: int, losses: Tensor) -> None:
        at = step * self.points // self.steps
        self.sums[at].add_(losses)
        self.counts[at] += 1

    def of(self, place: int) -> np.ndarray:
        """The points of a replica; NaN where no step had examples to train on."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sums[:, place].cpu().numpy() / self.counts.numpy())

    def state(self, place: int) -> State:
        """What a replica carries from one step to the next."""
        return {"sums": self.sums[:, place].cpu().clone(), "counts": self.counts.clone()}

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from the states of all replicas, in order."""
        self.sums.copy_(torch.stack([state["sums"] for state in states], 1))
        self.counts.copy_(states[0]["counts"])


class Training(ABC):
    """One or several replicas of a recipe, between two steps; the place of a replica is its position in ``replicas``."""

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        self.spec, self.recipe, self.data, self.execution = spec, spec.recipe, spec.data, spec.execution
        self.examples, self.replicas = examples, replicas
        self.curve = Curve(spec.recipe.epochs, spec.steps, len(replicas), spec.execution.torch_device)

    def _start_average(self, trained: list[nn.Module]) -> None:
        """Follow modules with all trained parameters; call it when they exist."""
        steps, per_epoch = self.spec.steps, self.spec.steps_per_epoch
        self.average = averager(self.recipe.averaging, trained, steps=steps, steps_per_epoch=per_epoch)

    def rate_factor(self, step: int) -> float:
        """What the schedule multiplies learning rates with in a step."""
        schedule = self.recipe.lr_schedule
        return 1.0 if schedule is None else at_step(schedule, step)

    @cached_property
    def finished(self) -> list[list[nn.Module]]:
        """Sets of trained modules that predict; read it after the last step."""
        return self.average.finish()

    def steps(self, first: int, last: int) -> Iterator[tuple[int, dict[int, str]]]:
        """Take the steps from ``first`` to before ``last``; yields after each the number of steps taken and the result of `step`."""
        taken = first
        while taken < last:
            epoch, done = divmod(taken, self.spec.steps_per_epoch)
            for batch in islice(self.epoch(epoch, done), last - taken):
                failed = self.step(batch, taken)
                self.average.after_step(taken)
                taken += 1
                yield taken, failed

    @abstractmethod
    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Mini-batches of an epoch from one on."""

    @abstractmethod
    def step(self, batch: Batch, step: int) -> dict[int, str]:
        """Take a step; returns why the loss of a replica is not finite, by its place. Such a replica is lost, the others are not."""

    @abstractmethod
    def served(self, place: int) -> tuple[list[list[nn.Module]], list[nn.Module]]:
        """Sets of components of a replica that predict at the end, and the gate of each set if the method has one."""

    @abstractmethod
    def weights(self, place: int) -> dict[str, Tensor]:
        """Parameters and buffers of a replica's components ("0.name" of component 0 ...); they change with the next step."""

    @abstractmethod
    def divergence_cause(self, place: int) -> str:
        """The cause of logits that are not finite after the last step, as the end of a sentence."""

    def outputs(self) -> dict[str, np.ndarray] | None:
        """Predictions made during the training, if there are any."""
        return None

    @abstractmethod
    def state(self, place: int) -> State:
        """State of a replica."""

    @abstractmethod
    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from the states of all replicas, in order."""
