"""Averages and snapshots of the weights while they are trained, and the networks that predict in the end."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from traintwice.averaging import EMA, SWA, Averaging, Snapshots
from traintwice.engine.reading import Inputs
from traintwice.engine.state import State, copied, copies_of_networks, of_networks, parts, under
from traintwice.errors import BadSpec

WARM_UP = 10
"""Steps over which the exponential average forgets the initial weights: d_t = min(decay, t / (t + 10))."""


class Averager(Protocol):
    """Follows a training."""

    def after_step(self, step: int) -> None:
        """A step was taken; steps count from 0."""

    def finish(self) -> list[list[nn.Module]]:
        """Sets of networks that predict; each set has every component."""

    def state(self) -> State:
        """What it has gathered, the trained networks aside."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what was gathered."""


def averager(averaging: Averaging | None, networks: list[nn.Module], *, steps: int, steps_per_epoch: int) -> Averager:
    """What follows a training of so many steps."""
    if averaging is None:
        return Last(networks)
    if isinstance(averaging, EMA):
        decay = averaging.decay if averaging.decay is not None else max(1.0 - 4.0 / steps, 0.0)
        return Exponential(networks, decay)
    if isinstance(averaging, SWA):
        return Plain(networks, first=int(averaging.start * (steps // steps_per_epoch)), steps_per_epoch=steps_per_epoch)
    if isinstance(averaging, Snapshots):
        return Several(networks, [round(steps * (i + 1) / averaging.count) for i in range(averaging.count)])
    raise BadSpec(f"averaging: got {averaging!r}, which this engine does not know")


class Last:
    """The weights after the last step."""

    def __init__(self, networks: list[nn.Module]) -> None:
        self.networks = networks

    def after_step(self, step: int) -> None:
        """Nothing to do."""

    def finish(self) -> list[list[nn.Module]]:
        """The trained networks."""
        return [self.networks]

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


class _Mean(Last):
    """Keeps averaged parameters beside the trained ones."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__(networks)
        self.parameters = [p for network in networks for p in network.parameters()]
        self.means: list[Tensor] = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def move(self, weight: float) -> None:
        """Means move towards the weights by a fraction."""
        for mean, parameter in zip(self.means, self.parameters, strict=True):
            mean.lerp_(parameter, weight)

    @torch.no_grad()
    def finish(self) -> list[list[nn.Module]]:
        """Copies of the networks with averaged parameters."""
        averaged = [copy.deepcopy(network) for network in self.networks]
        for parameter, mean in zip((p for network in averaged for p in network.parameters()), self.means, strict=True):
            parameter.copy_(mean)
        return [averaged]

    def state(self) -> State:
        """The means."""
        return {str(i): copied(mean) for i, mean in enumerate(self.means)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put the means back."""
        for i, mean in enumerate(self.means):
            mean.copy_(state[str(i)])


class Exponential(_Mean):
    """Exponential moving average."""

    def __init__(self, networks: list[nn.Module], decay: float) -> None:
        super().__init__(networks)
        self.decay = decay

    def after_step(self, step: int) -> None:
        """Move by 1 − d_t."""
        t = step + 1
        self.move(1.0 - min(self.decay, t / (t + WARM_UP)))


class Plain(_Mean):
    """Plain average over ends of epochs from one on."""

    def __init__(self, networks: list[nn.Module], *, first: int, steps_per_epoch: int) -> None:
        super().__init__(networks)
        self.first, self.steps_per_epoch, self.seen = first, steps_per_epoch, 0

    def after_step(self, step: int) -> None:
        """At the end of an epoch that counts, add its weights."""
        epoch, place = divmod(step + 1, self.steps_per_epoch)
        if place == 0 and epoch > self.first:
            self.seen += 1
            self.move(1.0 / self.seen)

    def state(self) -> State:
        """The means, and over how many epochs they are."""
        return {**super().state(), "seen": torch.tensor(self.seen)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put both back."""
        super().restore(state)
        self.seen = int(state["seen"])


class Several(Last):
    """Copies of the weights at chosen moments."""

    def __init__(self, networks: list[nn.Module], moments: list[int]) -> None:
        super().__init__(networks)
        self.moments = set(moments)
        self.taken: list[list[nn.Module]] = []

    def after_step(self, step: int) -> None:
        """Take a copy where it is time."""
        if step + 1 in self.moments:
            self.taken.append([copy.deepcopy(network) for network in self.networks])

    def finish(self) -> list[list[nn.Module]]:
        """The copies, oldest first."""
        return self.taken

    def state(self) -> State:
        """Weights of the copies."""
        return {name: value for i, nets in enumerate(self.taken) for name, value in under(str(i), of_networks(nets)).items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Make the copies again."""
        self.taken = [copies_of_networks(self.networks, own) for own in parts(state)]


@torch.no_grad()
def renew_batch_statistics(networks: list[nn.Module], inputs: Inputs, batch_size: int) -> None:
    """Compute the running statistics of batch-norm layers anew: averaged weights have other activations than those they were kept for.

    Args:
        networks: changed in place; those without such layers are left alone.
        inputs: of the training set, read in order.
        batch_size: of the pass.
    """
    for network in networks:
        layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if not layers:
            continue
        kept = [(layer, layer.momentum) for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over the batches
        network.train()
        for part in inputs.parts(batch_size):
            if len(part) > 1:  # a single example has no batch statistics
                network(part)
        for layer, momentum in kept:
            layer.momentum = momentum
