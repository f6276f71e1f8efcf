"""All that a training carries from one step to the next, as named tensors: what a checkpoint holds.

Streams of random numbers are not among it: they are entered by name (epoch, step), so that a training that is resumed draws what it
would have drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from traintwice.errors import BadSpec

State: TypeAlias = dict[str, Tensor]
"""Tensors by name, each with memory of its own."""


class Keeper(Protocol):
    """Keeps the state of a training for after an interruption; `traintwice.study` has one that writes it to a store."""

    def resume(self) -> tuple[int, State] | None:
        """Steps taken and the state after them; None to begin at the beginning."""

    def after_step(self, steps: int, training: Stateful) -> None:
        """So many steps were taken; time to keep the state?"""


class Stateful(Protocol):
    """Something whose state can be taken out."""

    def state(self) -> State:
        """A copy of its state."""


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    """Names with a prefix and a dot before them."""
    return {f"{prefix}.{name}": value for name, value in state.items()}


def within(prefix: str, state: Mapping[str, Tensor]) -> State:
    """What `under` gave names to.

    >>> within("a", {"a.b": torch.ones(()), "c.b": torch.zeros(())})
    {'b': tensor(1.)}
    """
    return {name.removeprefix(f"{prefix}."): value for name, value in state.items() if name.startswith(f"{prefix}.")}


def parts(state: Mapping[str, Tensor]) -> list[State]:
    """States that were put under "0", "1" and so on."""
    count = 1 + max((int(name.partition(".")[0]) for name in state), default=-1)
    return [within(str(i), state) for i in range(count)]


def copied(value: Tensor) -> Tensor:
    """A tensor with memory of its own, in the order in which it is written."""
    return value.detach().clone(memory_format=torch.contiguous_format)


def of_networks(networks: Iterable[nn.Module]) -> State:
    """Parameters and buffers of several networks."""
    return {f"{j}.{name}": copied(value) for j, net in enumerate(networks) for name, value in net.state_dict().items()}


def into_networks(networks: Sequence[nn.Module], state: Mapping[str, Tensor]) -> None:
    """Put back what `of_networks` took, in place."""
    for network, own in zip(networks, parts(state), strict=True):
        network.load_state_dict(own)


def copies_of_networks(networks: Sequence[nn.Module], state: Mapping[str, Tensor]) -> list[nn.Module]:
    """Copies of networks as they were when `of_networks` took their state."""
    copies = [copy.deepcopy(network) for network in networks]
    into_networks(copies, state)
    return copies


def of_optimizers(optimizers: Sequence[torch.optim.Optimizer]) -> State:
    """What optimisers remember of each parameter; learning rates are not among it, they follow from the step.

    Raises:
        BadSpec: an optimiser remembers something that is no tensor.
    """
    state: State = {}
    for i, optimizer in enumerate(optimizers):
        for at, parameter in enumerate(_parameters(optimizer)):
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
    """Put back what `of_optimizers` took."""
    for i, optimizer in enumerate(optimizers):
        for at, parameter in enumerate(_parameters(optimizer)):
            own = within(f"{i}.{at}", state)
            if own:
                # Counts of steps stay on the CPU, where optimisers keep them.
                moved = {name: value.to(parameter.device) if value.ndim else value for name, value in own.items()}
                optimizer.state[parameter] = {name: copied(value) for name, value in moved.items()}


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
