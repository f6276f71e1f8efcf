"""A group of replicas that are trained together, between two steps: all but how their networks are run."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine.batches import Batch
from traintwice.engine.building import Weights, build, stream_of
from traintwice.engine.device import CPU, Device
from traintwice.engine.hardware import poke
from traintwice.engine.peers import Peers
from traintwice.engine.stacked.feed import Feed, TrainingSet
from traintwice.engine.stacked.layout import Blocks, pack, unpack
from traintwice.engine.stacked.logits import Gradients, Seen, memory_of
from traintwice.engine.stacked.recorded import Recorded
from traintwice.engine.stacked.updating import Stack, Update, ascent, clip
from traintwice.engine.state import (
    State,
    copied,
    into_networks,
    into_optimizers,
    of_networks,
    of_optimizers,
    under,
    within,
)
from traintwice.methods import Memories
from traintwice.recipes import Recipe
from traintwice.schedules import at_step


class Together(ABC):
    """R replicas of a recipe whose parameters lie in one stack; how their networks are run is for subclasses to say.

    Args:
        recipe: with its schedules in steps.
        data, seed: what is trained.
        examples: of ``data``.
        replicas: as `filled` gives them.
        starts, teachers: weights of each replica's earlier models, where the recipe names such.
        dtype, device: of everything.
    """

    layout: Blocks

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        examples: TrainingSet,
        *,
        seed: int,
        replicas: Sequence[int],
        starts: Sequence[Weights | None],
        teachers: Sequence[Weights | None],
        dtype: torch.dtype,
        device: Device = CPU,
    ) -> None:
        self.recipe, self.data, self.seed, self.replicas = recipe, data, seed, replicas
        self.dtype, self.device = dtype, device
        self.components = recipe.method.components
        self.size = len(replicas) * self.components
        for at, (replica, start) in enumerate(zip(replicas, starts, strict=True)):
            networks = build(recipe, data, seed=seed, replica=replica, start=start, dtype=dtype)
            if recipe.emulates_hardware(on_gpu=device.on_gpu):
                poke(networks, stream_of(recipe, seed, "hardware", replica=replica))
            if at == 0:
                self.template = networks[0].to(device.torch_device)
                self.layout = self._layout()
                self.stack = Stack(self.layout, self.size, dtype).to(device.torch_device)
                self.parameters = list(self.stack.parameters())
                self._begin()
            for j, network in enumerate(networks):
                pack(network, self.layout, self.parameters, at * self.components + j)
                self._take(network, at * self.components + j)
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.update = self._update()
        self.feed = Feed(recipe, data, examples, seed=seed, replicas=replicas, teachers=teachers)
        self.loss = Gradients(recipe.method, len(replicas), data.classes)
        lag = recipe.method.peer_lag
        self.peers = Peers([self.stack], lag) if lag else None
        self.memories: Memories | None = None
        self.recorded = Recorded() if device.graphs and recipe.method.constant else None

    @torch.no_grad()
    def step(self, batch: Batch, step: int) -> dict[int, str]:
        """One step of every network.

        Returns:
            Why the loss of a replica is not finite, by its place in the group; its numbers mean nothing from here on, and touch no others.
        """
        passes = self._passes(batch.rows.shape[-1])
        seen = self.feed.show(batch, passes)
        self._draw(passes, step)
        if self.peers is not None:
            (older,) = self.peers.at(step)
            seen = replace(seen, peers=self._peer_logits(passes, list(older.parameters())))
        schedule = self.recipe.lr_schedule
        factor = 1.0 if schedule is None else at_step(schedule, step)
        failed, remembered = self._gradients(passes, seen, step, factor)
        if self.recipe.sharpness:
            moves = ascent(self.gradients, self.recipe.sharpness)
            for parameter, move in zip(self.parameters, moves, strict=True):
                parameter.add_(move)
            failed = {**self._gradients(passes, seen, step, factor)[0], **failed}
            for parameter, move in zip(self.parameters, moves, strict=True):
                parameter.sub_(move)
        self.memories = remembered
        if self.recipe.clip_norm is not None:
            clip(self.gradients, self.recipe.clip_norm)
        self.update(factor)
        return failed

    def enlarged(self, place: int) -> str:
        """What drove the logits of a replica away in its last step, in words."""
        return self.loss.enlarged(self.memories, place)

    @abstractmethod
    def _layout(self) -> Blocks:
        """How the parameters of a network like the template lie in the stack."""

    @abstractmethod
    def _begin(self) -> None:
        """Make room for what networks keep beside their parameters."""

    @abstractmethod
    def _take(self, network: nn.Module, row: int) -> None:
        """Put there what a network keeps."""

    def _update(self) -> Update:
        """The optimiser of the whole stack."""
        return Update(self.recipe.optimizer_of(0), self.parameters, self.gradients)

    @abstractmethod
    def _passes(self, batch: int) -> Any:
        """The buffers for a size of batch; the methods below are given them."""

    @abstractmethod
    def _draw(self, passes: Any, step: int) -> None:
        """Draw the masks of the dropout layers."""

    @abstractmethod
    def _peer_logits(self, passes: Any, older: list[nn.Parameter]) -> Tensor:
        """Logits of older copies of all components on the same examples, ``R J B K``."""

    @abstractmethod
    def _pass(self, passes: Any, seen: Seen, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        """Forward, loss and backward; returns what `Gradients.write` gave."""

    @abstractmethod
    def _count(self) -> None:
        """A pass was made, or replayed."""

    def _gradients(self, passes: Any, seen: Seen, step: int, factor: float) -> tuple[dict[int, str], Memories | None]:
        """Write all gradients; returns why the loss of a replica is not finite, by its place, and what the losses remember."""
        if self.recorded is None:
            remembered, values = self._pass(passes, seen, step, factor)
        else:
            remembered, values = None, self.recorded(passes.batch, seen, lambda shown: self._pass(passes, shown, step, factor)[1])
        self._count()
        bad = self.loss.not_finite(passes, seen, step, values)
        return {at: self.loss.blame(passes, seen, step, self.memories, at) for at in bad}, remembered

    @abstractmethod
    def _kept(self, row: int) -> dict[str, Tensor]:
        """What a network keeps beside its parameters, by name: views where it changes with the next step."""

    @abstractmethod
    def _kept_state(self, rows: slice) -> State:
        """The same of some networks, for a checkpoint."""

    @abstractmethod
    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Put back what `_kept_state` took of all replicas."""

    def _streams(self, step: int, replicas: Sequence[int]) -> list[np.random.Generator]:
        chosen = [(replica, j) for replica in replicas for j in range(self.components)]
        return [stream_of(self.recipe, self.seed, "dropout", replica=r, component=j, epoch=step) for r, j in chosen]

    def _settings(self, batch: int) -> dict[str, Any]:
        """Of `Edges`."""
        return {
            "replicas": len(self.replicas),
            "components": self.components,
            "batch": batch,
            "apart": self.feed.apart,
            "dtype": self.dtype,
            "device": self.device.torch_device,
        }

    @torch.no_grad()
    def networks(self, place: int, stack: nn.Module) -> list[nn.Module]:
        """The components of a replica as modules, with parameters from a stack."""
        made = []
        for row in range(place * self.components, (place + 1) * self.components):
            network = copy.deepcopy(self.template)
            unpack(network, self.layout, list(stack.parameters()), row)
            own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
            for name, value in self._kept(row).items():
                own[name].copy_(value)
            made.append(network)
        return made

    def weights(self, place: int) -> dict[str, Tensor]:
        """Parameters and buffers of a replica's components, "0.name" of component 0 ...; most change with the next step."""
        named = {}
        for j, row in enumerate(range(self.components * place, self.components * (place + 1))):
            for block in self.layout.blocks():
                own = block.of(self.parameters)[row].detach()
                named[f"{j}.{block.name}"] = own.t() if block.turned else own
            named |= {f"{j}.{name}": value for name, value in self._kept(row).items()}
        return named

    def rows_of(self, place: int) -> slice:
        """The rows of a replica."""
        return slice(place * self.components, (place + 1) * self.components)

    def state(self, place: int) -> State:
        """All that a replica carries from one step to the next."""
        rows = self.rows_of(place)
        state = {**self._kept_state(rows), **under("stack", of_rows(of_networks([self.stack]), rows))}
        state |= under("optimizer", of_rows(of_optimizers([self.update.built]), rows))
        if self.peers is not None:
            state |= under("peers", of_rows(self.peers.state(), rows))
        for i, memory in enumerate(memory_of(self.memories or (), place)):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    @torch.no_grad()
    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Go on from the states of all replicas, in order."""
        self._restore_kept(states)
        into_networks([self.stack], from_rows([within("stack", state) for state in states]))
        into_optimizers([self.update.built], from_rows([within("optimizer", state) for state in states]))
        if self.peers is not None:
            self.peers.restore(from_rows([within("peers", state) for state in states]))
        self.memories = tuple(
            self.loss.joined([within(f"memories.{i}", _moved(state, self.device)) for state in states])
            for i in range(len(self.recipe.method.terms))
        )


def filled(replicas: Sequence[int], least: int = 2) -> list[int]:
    """Replicas again and again until they fill so many places; those that are more are left as they came.

    A kernel may round otherwise where it has one matrix to work on than where it has several.

    >>> filled([4]), filled([4, 5, 6]), filled([4, 5], 5)
    ([4, 4], [4, 5, 6], [4, 5, 4, 5, 4])
    """
    return [replicas[i % len(replicas)] for i in range(max(len(replicas), least))]


def _moved(state: Mapping[str, Tensor], device: Device) -> State:
    return {name: value.to(device.torch_device) for name, value in state.items()}


def of_rows(state: Mapping[str, Tensor], rows: slice) -> State:
    """The rows of some networks in what is kept of all; numbers that belong to no network are everybody's."""
    return {name: copied(value[rows]) if value.ndim == 2 else value for name, value in state.items()}


def from_rows(states: Sequence[Mapping[str, Tensor]]) -> State:
    """What `of_rows` took apart."""
    return {name: torch.cat([s[name] for s in states]) if v.ndim == 2 else v for name, v in states[0].items()}
