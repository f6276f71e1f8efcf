"""State of a training between two steps, as named tensors: the content of a checkpoint.

Random streams are not part of it: they are addressed by epoch or step, so a resumed training draws the same numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from traintwice.errors import BadSpec

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
