"""Anyone's own PyTorch network, named by the place it is imported from."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from traintwice.errors import BadSpec
from traintwice.importing import as_from_a_file, imported, names_a_function
from traintwice.nets.network import enter_dropout
from traintwice.nets.pictures import count_multiply_adds


@dataclass(frozen=True)
class Factory:
    """The module that a function of yours makes: ``make(shape, classes, **settings)``, from inputs ``B *shape`` to logits ``B classes``.

    The function initialises its layers as usual; while it runs, PyTorch's global generator is seeded from the replica's stream and put back
    afterwards, so that weights differ between replicas and are the same whenever a replica is built.

    Args:
        maker: "package.module:function". The processes that train must be able to import it: an installed package, or a folder on
            PYTHONPATH.
        settings: passed on by name; what TOML can hold.
        known_multiply_adds: of one forward pass of one example; None counts those of linear layers and convolutions.
    Raises:
        BadSpec: not of the form "module:function", or settings that no file could hold. When built: nothing to import, no module made,
            logits of another shape, or a module that draws from PyTorch's global generator when it is run.
    Source:
        Ours. A replica is named by ``maker`` and ``settings``, not by the code behind them: when the code changes, change a setting
        (``{"version": 2}``), or replicas of both will lie under one name.
    Example:
        >>> Factory("torch.nn:Identity").maker
        'torch.nn:Identity'
    """

    maker: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    known_multiply_adds: int | None = None

    def __post_init__(self) -> None:
        if not names_a_function(self.maker):
            raise BadSpec(f'Factory.maker: got {self.maker!r}, expected "package.module:function"')
        if self.maker.startswith("__main__:"):
            raise BadSpec(
                "Factory.maker: worker processes cannot import from __main__; put the function into a module of its own"
            )
        if self.known_multiply_adds is not None and self.known_multiply_adds < 1:
            raise BadSpec(f"Factory.known_multiply_adds: got {self.known_multiply_adds}, expected at least 1")
        object.__setattr__(self, "settings", as_from_a_file(self.settings, "Factory.settings"))

    def __hash__(self) -> int:
        return hash((self.maker, json.dumps(self.settings, sort_keys=True), self.known_multiply_adds))

    def build(self, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> nn.Module:
        """The module that the function makes, its weights drawn while the global generator is seeded from ``rng``."""
        make = imported(self.maker, "Factory.maker")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            network = make(shape, classes, **copy.deepcopy(self.settings))
            if not isinstance(network, nn.Module):
                raise BadSpec(f"{self.maker}: made {type(network).__name__}, expected a torch.nn.Module")
            self._try(network, shape, classes)
        return network

    def describe(self, shape: tuple[int, ...], classes: int) -> str:
        """Name of the function.

        >>> Factory("mine.nets:wide_resnet").describe((3, 32, 32), 10)
        'wide_resnet'
        """
        return self.maker.partition(":")[2]

    @lru_cache(maxsize=16)  # noqa: B019  (settings live as long as the program)
    def multiply_adds(self, shape: tuple[int, ...], classes: int) -> int:
        """As given, or counted on the layers.

        Raises:
            BadSpec: nothing was given and nothing can be counted.
        """
        if self.known_multiply_adds is not None:
            return self.known_multiply_adds
        counted = count_multiply_adds(self.build(shape, classes, np.random.default_rng(0)), shape)
        if counted == 0:
            raise BadSpec(f"{self.maker}: has no linear layer or convolution to count; give known_multiply_adds")
        return counted

    @torch.no_grad()
    def _try(self, network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
        """Run a copy on two examples, as in training, and look at what comes out."""
        before = torch.get_rng_state()
        dtype = next((p.dtype for p in network.parameters()), torch.float32)
        trial = copy.deepcopy(network).train()
        enter_dropout(trial, np.random.default_rng(0))
        logits = trial(torch.zeros(2, *shape, dtype=dtype))
        found = tuple(getattr(logits, "shape", ()))
        if found != (2, classes):
            raise BadSpec(f"{self.maker}: gave {found or type(logits).__name__} for two examples, expected logits {(2, classes)}")
        if not torch.equal(before, torch.get_rng_state()):
            raise BadSpec(
                f"{self.maker}: draws from PyTorch's global generator when it is run (torch.nn.Dropout does), so its trainings would "
                "depend on what else runs; use traintwice.nets.Dropout"
            )
