"""Optimisers as data; `build` makes the PyTorch optimiser. Weight decay is the coupled L2 of the papers, except where noted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from traintwice._typed import typed
from traintwice.errors import BadSpec

__all__ = ["SGD", "AdaGrad", "Adam", "Optimizer", "check"]


class Optimizer(Protocol):
    """The settings of an optimiser: a frozen dataclass."""

    @property
    def lr(self) -> float:
        """Learning rate, before any schedule."""

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
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

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
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

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
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

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """`torch.optim.Adam` or `torch.optim.AdamW`."""
        return (torch.optim.AdamW if self.decoupled else torch.optim.Adam)(
            parameters, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay
        )


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
