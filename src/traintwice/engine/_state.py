"""State of a training between two steps, as named tensors (the content of a checkpoint), and averages of weights as such states.

Random streams are not part of it: they are addressed by epoch or step, so a resumed training draws the same numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from traintwice.averaging import EMA, SWA, Averaging, Snapshots, StartInterpolation
from traintwice.errors import BadSpec

if TYPE_CHECKING:
    from traintwice.engine._reading import Inputs

T = TypeVar("T")

State: TypeAlias = dict[str, Tensor]
"""Tensors by name, each with memory of its own."""


class Stateful(Protocol):
    """Something with a state that can be copied."""

    def state(self) -> State:
        """A copy of the state."""


class Keeper(Protocol):
    """Saves the state of a training, for the case that it is interrupted; `traintwice.study` has one that writes to a store."""

    def resume(self) -> tuple[int, State] | None:
        """Steps taken and the state after them; None to start from the beginning."""

    def after_step(self, steps: int, training: Stateful) -> None:
        """Called after each step with the number of steps taken; may save the state."""


def under(prefix: str, state: Mapping[str, T]) -> dict[str, T]:
    """The state with a prefix and a dot before each name."""
    return {f"{prefix}.{name}": value for name, value in state.items()}


def within(prefix: str, state: Mapping[str, T]) -> dict[str, T]:
    """Inverse of `under`.

    >>> within("a", {"a.b": torch.ones(()), "c.b": torch.zeros(())})
    {'b': tensor(1.)}
    """
    return {name.removeprefix(f"{prefix}."): value for name, value in state.items() if name.startswith(f"{prefix}.")}


def parts(state: Mapping[str, Tensor]) -> list[State]:
    """The states under the prefixes "0", "1" and so on."""
    count = 1 + max((int(name.partition(".")[0]) for name in state), default=-1)
    return [within(str(i), state) for i in range(count)]


def copied(value: Tensor) -> Tensor:
    """A contiguous copy."""
    return value.detach().clone(memory_format=torch.contiguous_format)


def of_networks(networks: Iterable[nn.Module]) -> State:
    """Parameters and buffers of networks."""
    return {f"{j}.{name}": copied(value) for j, net in enumerate(networks) for name, value in net.state_dict().items()}


def into_networks(networks: Sequence[nn.Module], state: Mapping[str, Tensor]) -> None:
    """Inverse of `of_networks`, in place."""
    for network, own in zip(networks, parts(state), strict=True):
        network.load_state_dict(own)


def of_copies(copies: Iterable[Iterable[nn.Module]]) -> State:
    """Parameters and buffers of several copies of networks."""
    return {name: value for i, own in enumerate(copies) for name, value in under(str(i), of_networks(own)).items()}


def into_copies(networks: Sequence[nn.Module], state: Mapping[str, Tensor]) -> list[list[nn.Module]]:
    """Inverse of `of_copies`, into new copies of networks."""
    copies = []
    for own in parts(state):
        copies.append([copy.deepcopy(network) for network in networks])
        into_networks(copies[-1], own)
    return copies


def of_optimizers(optimizers: Sequence[torch.optim.Optimizer]) -> State:
    """State of optimisers; learning rates are left out, because they follow from the step."""
    state: State = {}
    for i, optimizer in enumerate(optimizers):
        for at, parameter in enumerate(parameters_of(optimizer)):
            for name, value in optimizer.state.get(parameter, {}).items():
                if value is None:
                    continue
                if not isinstance(value, Tensor):
                    raise BadSpec(
                        f"{type(optimizer).__name__} remembers {name} as {type(value).__name__}; a checkpoint holds tensors only"
                    )
                state[f"{i}.{at}.{name}"] = copied(value)
    return state


def into_optimizers(optimizers: Sequence[torch.optim.Optimizer], state: Mapping[str, Tensor]) -> None:
    """Inverse of `of_optimizers`."""
    for i, optimizer in enumerate(optimizers):
        for at, parameter in enumerate(parameters_of(optimizer)):
            own = within(f"{i}.{at}", state)
            if own:
                # Step counts stay on the CPU, where optimisers keep them.
                moved = {name: value.to(parameter.device) if value.ndim else value for name, value in own.items()}
                optimizer.state[parameter] = {name: copied(value) for name, value in moved.items()}


def scale_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of each group to a multiple of its first one."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


WARM_UP = 10
"""Steps over which the exponential average forgets the initial weights: d_t = min(decay, t / (t + 10))."""


class Averager:
    """Predicts with the weights after the last step; base class of the others."""

    def __init__(self, networks: list[nn.Module]) -> None:
        self.networks = networks

    def after_step(self, step: int) -> None:
        """Called after each step; steps count from 0."""

    def finish(self) -> list[list[nn.Module]]:
        """Sets of networks that predict; each set has every component."""
        return [self.networks]

    def state(self) -> State:
        """Averages and copies, without the trained networks."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state."""


def averager(averaging: Averaging | None, networks: list[nn.Module], *, steps: int, steps_per_epoch: int) -> Averager:
    if averaging is None:
        return Averager(networks)
    if isinstance(averaging, EMA):
        decay = averaging.decay if averaging.decay is not None else max(1.0 - 4.0 / steps, 0.0)
        return _MeanAverager(networks, lambda taken: 1.0 - min(decay, taken / (taken + WARM_UP)))
    if isinstance(averaging, SWA):
        first = int(averaging.start * (steps // steps_per_epoch))

        def of_epoch(taken: int) -> float:
            epoch, place = divmod(taken, steps_per_epoch)
            return 1.0 / (epoch - first) if place == 0 and epoch > first else 0.0

        return _MeanAverager(networks, of_epoch)
    if isinstance(averaging, Snapshots):
        return _SnapshotAverager(networks, [round(steps * (i + 1) / averaging.count) for i in range(averaging.count)])
    if isinstance(averaging, StartInterpolation):
        return _MeanAverager(networks, lambda _: 0.0, at_end=1.0 - averaging.old)
    raise BadSpec(f"averaging: got {averaging!r}, expected EMA, SWA, Snapshots or StartInterpolation")


class _MeanAverager(Averager):
    """Means of the parameters, which move towards them: by a weight after so many steps taken, and by another at the end."""

    def __init__(self, networks: list[nn.Module], weight_after: Callable[[int], float], at_end: float = 0.0) -> None:
        super().__init__(networks)
        self.weight_after, self.at_end = weight_after, at_end
        self.parameters = [p for network in networks for p in network.parameters()]
        self.means: list[Tensor] = [p.detach().clone() for p in self.parameters]

    def after_step(self, step: int) -> None:
        self._move(self.weight_after(step + 1))

    @torch.no_grad()
    def _move(self, weight: float) -> None:
        if weight:
            for mean, parameter in zip(self.means, self.parameters, strict=True):
                mean.lerp_(parameter, weight)

    @torch.no_grad()
    def finish(self) -> list[list[nn.Module]]:
        self._move(self.at_end)
        averaged = [copy.deepcopy(network) for network in self.networks]
        for parameter, mean in zip((p for network in averaged for p in network.parameters()), self.means, strict=True):
            parameter.copy_(mean)
        return [averaged]

    def state(self) -> State:
        return {str(i): copied(mean) for i, mean in enumerate(self.means)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for i, mean in enumerate(self.means):
            mean.copy_(state[str(i)])


class _SnapshotAverager(Averager):
    """Copies of the weights after some steps, oldest first."""

    def __init__(self, networks: list[nn.Module], moments: list[int]) -> None:
        super().__init__(networks)
        self.moments = set(moments)
        self.taken: list[list[nn.Module]] = []

    def after_step(self, step: int) -> None:
        if step + 1 in self.moments:
            self.taken.append([copy.deepcopy(network) for network in self.networks])

    def finish(self) -> list[list[nn.Module]]:
        return self.taken

    def state(self) -> State:
        return of_copies(self.taken)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.taken = into_copies(self.networks, state)


@torch.no_grad()
def renew_batch_statistics(networks: list[nn.Module], inputs: Inputs, batch_size: int, rows: Tensor | None = None) -> None:
    """Recompute the running statistics of batch-norm layers, which belong to other weights, on all examples or on some.

    Layers that their network keeps in evaluation mode keep their statistics.
    """
    for network in networks:
        network.train()
        layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        if not layers:
            continue
        kept = [(layer, layer.momentum) for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over the batches
        for part in inputs.parts(batch_size, rows):
            if len(part) > 1:  # one example has no batch statistics
                network(part)
        for layer, momentum in kept:
            layer.momentum = momentum
