"""Optimisers as data; `build` makes the PyTorch optimiser. Weight decay is the coupled L2 of the papers, except where noted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol, TypeAlias

import torch

from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = ["SGD", "AdaGrad", "Adam", "Group", "Optimizer", "ParameterGroups", "check"]

Parameters: TypeAlias = Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters, or groups of them with settings of their own."""


class Optimizer(Protocol):
    """The settings of an optimiser: a frozen dataclass."""

    @property
    def lr(self) -> float:
        """Learning rate, before any schedule."""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The PyTorch optimiser over these parameters."""


@dataclass(frozen=True)
@typed
class SGD:
    """Stochastic gradient descent with momentum.

        v ← momentum·v + g + weight_decay·w,   w ← w − lr·v      (Nesterov: w ← w − lr·(g + momentum·v))

    Args:
        lr: learning rate, > 0.
        momentum: in [0, 1).
        nesterov: Nesterov momentum; needs a momentum above 0.
        weight_decay: coupled L2, >= 0.
    Raises:
        BadSpec: a setting outside its range.
    """

    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check("SGD", lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        if self.nesterov and self.momentum == 0:
            raise BadSpec("SGD: got nesterov=True with momentum=0, expected a momentum greater than 0")

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """`torch.optim.SGD`."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
@typed
class AdaGrad:
    """AdaGrad, the optimiser of the anti-distillation paper.

        s ← s + g²,   w ← w − lr·g / (sqrt(s) + 1e-10)

    Args:
        lr: learning rate, > 0; AD has 0.02.
        accumulator: initial s, >= 0; AD has 0.1.
        weight_decay: coupled L2, >= 0.
    Raises:
        BadSpec: a setting outside its range.
    Source:
        AD section 5 for the defaults.
    """

    lr: float = 0.02
    accumulator: float = 0.1
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check("AdaGrad", lr=self.lr, accumulator=self.accumulator, weight_decay=self.weight_decay)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """`torch.optim.Adagrad`."""
        return torch.optim.Adagrad(
            parameters, lr=self.lr, initial_accumulator_value=self.accumulator, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
@typed
class Adam:
    """Adam, or with ``decoupled`` AdamW, whose weight decay acts on the weights directly.

    Args:
        lr: learning rate, > 0.
        beta1, beta2: decay rates of the two moments, in [0, 1).
        eps: added to the denominator, > 0.
        weight_decay: >= 0.
        decoupled: decoupled weight decay (AdamW) instead of coupled L2.
    Raises:
        BadSpec: a setting outside its range.
    Source:
        Kingma & Ba 2015; Loshchilov & Hutter 2019.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def __post_init__(self) -> None:
        check("Adam", lr=self.lr, eps=self.eps, beta1=self.beta1, beta2=self.beta2, weight_decay=self.weight_decay)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """`torch.optim.Adam` or `torch.optim.AdamW`."""
        return (torch.optim.AdamW if self.decoupled else torch.optim.Adam)(
            parameters, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
@typed
class Group:
    """Parameters with settings of their own.

    Args:
        names: pattern of the parameters' names in the network, such as "*.bias" or "0.*" (`fnmatch`).
        lr: multiplies the learning rate, > 0.
        weight_decay: in the place of that of the optimiser, >= 0; None keeps it.
    Raises:
        BadSpec: a setting outside its range.
    """

    names: str
    lr: float = 1.0
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        check("Group", lr=self.lr, weight_decay=self.weight_decay or 0.0)
        if not self.names:
            raise BadSpec("Group.names: got '', expected a pattern such as '*.bias'")


@dataclass(frozen=True)
@typed
class ParameterGroups:
    """An optimiser with other settings for some parameters; a parameter belongs to the first group whose pattern it matches.

    Args:
        base: the optimiser, with the settings of all other parameters.
        groups: at least one.
    Raises:
        BadSpec: no group; when built, a group without a parameter.
    Source:
        Ours. A schedule of the learning rate multiplies the rates of all groups.
    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> made = ParameterGroups(SGD(0.1, weight_decay=1e-4), (Group("bias", weight_decay=0.0),)).build_named(layer.named_parameters())
        >>> [group["weight_decay"] for group in made.param_groups]
        [0.0001, 0.0]
    """

    base: Optimizer
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        if not self.groups:
            raise BadSpec("ParameterGroups.groups: got none, expected at least one Group")
        if isinstance(self.base, ParameterGroups):
            raise BadSpec("ParameterGroups.base: got ParameterGroups, expected SGD, AdaGrad or Adam")

    @property
    def lr(self) -> float:
        """Learning rate of the parameters of no group."""
        return self.base.lr

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser of parameters without names: all have the settings of the base."""
        return self.base.build(parameters)

    def build_named(self, parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """The optimiser of named parameters.

        Raises:
            BadSpec: a group has no parameter.
        """
        rest, made = dict(parameters), list[dict[str, Any]]()
        names = ", ".join(rest)
        for group in self.groups:
            own = [rest.pop(name) for name in tuple(rest) if fnmatchcase(name, group.names)]
            if not own:
                raise BadSpec(f"Group.names: {group.names!r} matches no parameter of the network; it has {names}")
            decay = {} if group.weight_decay is None else {"weight_decay": group.weight_decay}
            made.append({"params": own, "lr": self.base.lr * group.lr, **decay})
        if rest:
            made.insert(0, {"params": [*rest.values()]})
        return self.base.build(made)


def check(name: str, **settings: float) -> None:
    """Raise `BadSpec` unless every setting is in the range of its name."""
    for key, value in settings.items():
        if key in ("lr", "eps"):
            valid, expected = value > 0, "a number greater than 0"
        elif key in ("momentum", "beta1", "beta2"):
            valid, expected = 0 <= value < 1, "a number from 0 to below 1"
        else:
            valid, expected = value >= 0, "a number of at least 0"
        if not valid:
            raise BadSpec(f"{name}.{key}: got {value}, expected {expected}")
