"""Replicas that train together, with their parameters in one stack: all but the passes of their networks."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.engine.batches import Batch
from traintwice.engine.groups.feed import Feed
from traintwice.engine.groups.graphs import CapturedPass
from traintwice.engine.groups.logits import LogitGradients, LossInputs, memory_of
from traintwice.engine.groups.stack import Blocks, GroupShape, IOBuffers, Stack, pack, unpack
from traintwice.engine.groups.update import StackOptimizer, ascent, clip
from traintwice.engine.loss_inputs import Peers
from traintwice.engine.reading import TrainingSet
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
from traintwice.engine.training import Training, TrainingSpec
from traintwice.methods import Memories
from traintwice.schedules import at_step

Buffers = TypeVar("Buffers", bound=IOBuffers)


class ReplicaGroup(Training, Generic[Buffers]):
    """R replicas that train together; subclasses run their networks.

    Args:
        spec: what is trained.
        examples: of its data.
        replicas: a replica may fill several places.
    """

    layout: Blocks
    template: nn.Module

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        super().__init__(spec, examples, replicas)
        self.dtype, self.torch_device = spec.execution.dtype, spec.execution.torch_device
        self.components = spec.recipe.method.components
        self.size = len(replicas) * self.components
        for at, replica in enumerate(replicas):
            networks = spec.networks(replica)
            if at == 0:
                self.template = networks[0].to(self.torch_device)
                self._begin()
                self.stack = Stack(self.layout, self.size, self.dtype).to(self.torch_device)
                self.parameters = list(self.stack.parameters())
            for j, network in enumerate(networks):
                pack(network, self.layout, self.parameters, at * self.components + j)
                self._take(network, at * self.components + j)
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.optimizer = self._optimizer()
        self.feed = Feed(spec, examples, replicas)
        self.loss = LogitGradients(spec.recipe.method, len(replicas), spec.data.classes)
        lag = spec.recipe.method.peer_lag
        self.peers = Peers([self.stack], lag) if lag else None
        self.memories: Memories | None = None
        self.captured = CapturedPass() if spec.execution.graphs and spec.recipe.method.constant else None
        self._buffers_of: dict[int, Buffers] = {}

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Mini-batches of an epoch from one on."""
        return islice(self.feed.epoch(number), first, None)

    @torch.no_grad()
    def step(self, batch: Batch, step: int) -> dict[int, str]:
        """Take a step of every network."""
        size = batch.rows.shape[-1]
        if size not in self._buffers_of:
            apart = self.feed.apart
            shape = GroupShape(len(self.replicas), self.components, size, apart, self.dtype, self.torch_device)
            self._buffers_of[size] = self._buffers(shape)
        buffers = self._buffers_of[size]
        seen = self.feed.show(batch, buffers)
        self._draw_dropout(buffers, step)
        if self.peers is not None:
            (older,) = self.peers.at(step)
            seen = replace(seen, peers=self._peer_logits(buffers, list(older.parameters())))
        schedule = self.recipe.lr_schedule
        factor = 1.0 if schedule is None else at_step(schedule, step)
        failed, remembered = self._gradients(buffers, seen, step, factor)
        if self.recipe.sharpness:
            moves = ascent(self.gradients, self.recipe.sharpness)
            for parameter, move in zip(self.parameters, moves, strict=True):
                parameter.add_(move)
            failed = {**self._gradients(buffers, seen, step, factor)[0], **failed}
            for parameter, move in zip(self.parameters, moves, strict=True):
                parameter.sub_(move)
        self.memories = remembered
        if self.recipe.clip_norm is not None:
            clip(self.gradients, self.recipe.clip_norm)
        self.optimizer(factor)
        return failed

    def _gradients(self, buffers: Buffers, seen: LossInputs, step: int, factor: float) -> tuple[dict[int, str], Memories | None]:
        """Compute all gradients; returns why the loss of a replica is not finite, and what losses remember."""
        if self.captured is None:
            remembered, values = self._pass(buffers, seen, step, factor)
        else:
            remembered = None
            values = self.captured(buffers.shape.batch, seen, lambda shown: self._pass(buffers, shown, step, factor)[1])
        self._count()
        bad = self.loss.not_finite(buffers, seen, step, values)
        return {at: self.loss.blame(buffers, seen, step, self.memories, at) for at in bad}, remembered

    @abstractmethod
    def _begin(self) -> None:
        """Set `layout` and make room for buffers of the networks, such as running statistics."""

    @abstractmethod
    def _take(self, network: nn.Module, row: int) -> None:
        """Copy the buffers of a network to its row."""

    @abstractmethod
    def _buffers(self, shape: GroupShape) -> Buffers:
        """Buffers for mini-batches of one size."""

    @abstractmethod
    def _draw_dropout(self, buffers: Buffers, step: int) -> None:
        """Draw the masks of the dropout layers."""

    @abstractmethod
    def _peer_logits(self, buffers: Buffers, older: list[nn.Parameter]) -> Tensor:
        """Logits ``R J B K`` of older parameters on the same examples."""

    @abstractmethod
    def _pass(self, buffers: Buffers, seen: LossInputs, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        """Forward, loss and backward; returns the result of `LogitGradients.write`."""

    def _count(self) -> None:
        """Called after each pass, also after one that was replayed."""

    def _optimizer(self) -> StackOptimizer:
        """Optimiser of the whole stack."""
        return StackOptimizer(self.recipe.optimizer_of(0), self.parameters, self.gradients)

    @abstractmethod
    def _kept(self, row: int) -> dict[str, Tensor]:
        """Buffers of a network by name; they may change with the next step."""

    @abstractmethod
    def _kept_state(self, rows: slice) -> State:
        """State of the buffers of some networks."""

    @abstractmethod
    def _restore_kept(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Inverse of `_kept_state`, for all replicas."""

    def _streams(self, step: int, replicas: Sequence[int]) -> list[np.random.Generator]:
        """Dropout streams of networks in a step."""
        return [self.spec.stream("dropout", r, component=j, epoch=step) for r in replicas for j in range(self.components)]

    @property
    def trained(self) -> list[nn.Module]:
        """The stack."""
        return [self.stack]

    @torch.no_grad()
    def networks_of(self, place: int, trained: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
        """Components as modules, with parameters of a stack; no gate."""
        (stack,), made = trained, []
        for row in self._rows(place):
            network = copy.deepcopy(self.template)
            unpack(network, self.layout, list(stack.parameters()), row)
            own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
            for name, value in self._kept(row).items():
                own[name].copy_(value)
            made.append(network)
        return made, []

    def weights(self, place: int) -> dict[str, Tensor]:
        """Parameters and buffers of a replica's components."""
        named = {}
        for j, row in enumerate(self._rows(place)):
            for block in self.layout.blocks():
                own = block.of(self.parameters)[row].detach()
                named[f"{j}.{block.name}"] = own.t() if block.transposed else own
            named |= {f"{j}.{name}": value for name, value in self._kept(row).items()}
        return named

    def enlarged(self, place: int) -> str:
        """The cause of logits that are not finite."""
        return self.loss.enlarged(self.memories, place)

    def _rows(self, place: int) -> range:
        """Rows of a replica in the stack."""
        return range(place * self.components, (place + 1) * self.components)

    def state(self, place: int) -> State:
        """All that a replica carries from one step to the next."""
        own = self._rows(place)
        state = self._kept_state(slice(own.start, own.stop))
        state |= under("stack", self.averaged_state(place, of_networks([self.stack])))
        state |= under("optimizer", self.averaged_state(place, of_optimizers([self.optimizer.built])))
        if self.peers is not None:
            state |= under("peers", self.averaged_state(place, self.peers.state()))
        for i, memory in enumerate(memory_of(self.memories or (), place)):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    @torch.no_grad()
    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from the states of all replicas, in order."""
        self._restore_kept(states)
        into_networks([self.stack], self.joined_state([within("stack", state) for state in states]))
        into_optimizers([self.optimizer.built], self.joined_state([within("optimizer", state) for state in states]))
        if self.peers is not None:
            self.peers.restore(self.joined_state([within("peers", state) for state in states]))
        there = [{name: value.to(self.torch_device) for name, value in state.items()} for state in states]
        self.memories = tuple(
            self.loss.joined([within(f"memories.{i}", state) for state in there]) for i in range(len(self.recipe.method.terms))
        )

    def averaged_state(self, place: int, state: State) -> State:
        """Rows of a replica in a state of the stack; numbers are the same for all replicas."""
        rows = self._rows(place)
        return {name: copied(v[rows.start : rows.stop]) if v.ndim == 2 else v for name, v in state.items()}

    def joined_state(self, states: Sequence[State]) -> State:
        """Inverse of `averaged_state`, for all replicas."""
        return {name: torch.cat([s[name] for s in states]) if v.ndim == 2 else v for name, v in states[0].items()}
