"""Replicas that train together, with their parameters in one stack: all but the passes of their networks."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from traintwice.engine._batches import Batch, batches_of
from traintwice.engine._loss_inputs import Peers, Teacher
from traintwice.engine._reading import Examples, TrainingSet
from traintwice.engine._stack import (
    Block,
    CapturedPass,
    GroupShape,
    IOBuffers,
    LogitGradients,
    LossInputs,
    Stack,
    ascent,
    clip,
    drawn,
    fused_optimizer,
    kept_of,
    memory_of,
    pack,
    unpack,
)
from traintwice.engine._state import (
    State,
    copied,
    into_networks,
    into_optimizers,
    of_networks,
    of_optimizers,
    scale_rates,
    under,
    within,
)
from traintwice.engine._training import Training, TrainingSpec
from traintwice.methods import Memories

Buffers = TypeVar("Buffers", bound=IOBuffers)


class ReplicaGroup(Training, Generic[Buffers]):
    """R replicas that train together; subclasses run their networks. A replica may fill several places."""

    template: nn.Module

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        super().__init__(spec, examples, replicas)
        self.dtype, self.torch_device = spec.execution.dtype, spec.execution.torch_device
        self.components = spec.recipe.method.components
        self.size = len(replicas) * self.components
        for replica in dict.fromkeys(replicas):
            networks = spec.networks(replica)
            if replica == replicas[0]:
                self.template = networks[0].to(self.torch_device)
                self.blocks = self._blocks()
                self.stack = Stack(self.blocks, self.size, self.dtype).to(self.torch_device)
                self.parameters = list(self.stack.parameters())
                self.kept = {name: self._room(name, value) for name, value in kept_of(self.template).items()}
            for at in (at for at, other in enumerate(replicas) if other == replica):
                for row, network in zip(self._rows(at), networks, strict=True):
                    pack(network, self.blocks, self.parameters, row)
                    for name, value in kept_of(network).items():
                        self.kept[name][row] = value
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        updated = [(self.parameters[i], self.gradients[i]) for i in self._updated()]
        self.optimizer = fused_optimizer(self.recipe.optimizer_of(0), *zip(*updated, strict=True))
        self.feed = Feed(spec, examples, replicas)
        self.loss = LogitGradients(
            spec.recipe.method, torch.zeros(len(replicas), dtype=self.dtype, device=self.torch_device), spec.data.classes
        )
        lag = spec.recipe.method.peer_lag
        self.peers = Peers([self.stack], lag) if lag else None
        self.memories: Memories | None = None
        self.captured = CapturedPass() if spec.execution.graphs and spec.recipe.method.constant else None
        self._buffers_of: dict[int, Buffers] = {}
        self._start_average([self.stack])

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        return islice(self.feed.epoch(number), first, None)

    @torch.no_grad()
    def step(self, batch: Batch, step: int) -> dict[int, str]:
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
        factor = self.rate_factor(step)
        failed, remembered = self._gradients(buffers, seen, step, factor)
        self.curve.add(step, self.loss.values)
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
        self._update(factor)
        return failed

    def _update(self, factor: float) -> None:
        """Move the parameters of the optimiser, at a multiple of its learning rate."""
        scale_rates(self.optimizer, factor)
        self.optimizer.step()

    def _gradients(self, buffers: Buffers, seen: LossInputs, step: int, factor: float) -> tuple[dict[int, str], Memories | None]:
        """Compute all gradients; returns why the loss of a replica is not finite, and what losses remember."""
        if self.captured is None:
            remembered, values = self._pass(buffers, seen, step, factor)
        else:
            remembered = None
            values = self.captured(buffers.shape.batch, seen, lambda shown: self._pass(buffers, shown, step, factor)[1])
        return self.loss.failures(buffers, seen, step, self.memories, values), remembered

    @abstractmethod
    def _blocks(self) -> tuple[Block, ...]:
        """Blocks of the parameters of the template."""

    def _room(self, name: str, value: Tensor) -> Tensor:
        """Zeros ``S ...`` for a buffer of all networks."""
        return value.new_zeros(self.size, *value.shape)

    @abstractmethod
    def _buffers(self, shape: GroupShape) -> Buffers:
        """Buffers for mini-batches of one size."""

    def _draw_dropout(self, buffers: Buffers, step: int) -> None:
        if not buffers.drops:
            return
        distinct = list(dict.fromkeys(self.replicas))  # the other places repeat them, in the same order
        streams = [self.spec.stream("dropout", r, component=j, epoch=step) for r in distinct for j in range(self.components)]
        for mask, own in zip(buffers.masks, drawn(buffers.drops, streams, self.dtype), strict=True):
            mask.copy_(own if len(own) == self.size else own.index_select(0, torch.arange(self.size) % len(own)))

    @abstractmethod
    def _peer_logits(self, buffers: Buffers, older: list[nn.Parameter]) -> Tensor:
        """Logits ``R J B K`` of older parameters on the same examples."""

    @abstractmethod
    def _pass(self, buffers: Buffers, seen: LossInputs, step: int, factor: float) -> tuple[Memories | None, Tensor]:
        """Forward, loss and backward; returns the result of `LogitGradients.write`."""

    def _updated(self) -> list[int]:
        """Numbers of the blocks that the optimiser updates."""
        return [block.index for block in self.blocks]

    @torch.no_grad()
    def served(self, place: int) -> tuple[list[list[nn.Module]], list[nn.Module]]:
        return [self._networks(place, stack) for (stack,) in self.finished], []

    def _networks(self, place: int, stack: nn.Module) -> list[nn.Module]:
        """Components of a replica as modules, with parameters of a stack."""
        made = []
        for row in self._rows(place):
            network = copy.deepcopy(self.template)
            unpack(network, self.blocks, list(stack.parameters()), row)
            for name, value in kept_of(network).items():
                value.copy_(self.kept[name][row])
            made.append(network)
        return made

    def weights(self, place: int) -> dict[str, Tensor]:
        named = {}
        for j, row in enumerate(self._rows(place)):
            for block in self.blocks:
                own = block.of(self.parameters)[row].detach()
                named[f"{j}.{block.name}"] = own.t() if block.transposed else own
            named |= {f"{j}.{name}": value[row] for name, value in self.kept.items()}
        return named

    def divergence_cause(self, place: int) -> str:
        return self.loss.divergence_cause(self.memories, place)

    def _rows(self, place: int) -> range:
        return range(place * self.components, (place + 1) * self.components)

    def state(self, place: int) -> State:
        own = self._rows(place)
        rows = slice(own.start, own.stop)
        state = under("kept", {name: copied(value[rows]) for name, value in self.kept.items()})
        state |= under("stack", _of_rows(of_networks([self.stack]), rows))
        state |= under("optimizer", _of_rows(of_optimizers([self.optimizer]), rows))
        state |= under("average", _of_rows(self.average.state(), rows)) | under("curve", self.curve.state(place))
        if self.peers is not None:
            state |= under("peers", _of_rows(self.peers.state(), rows))
        for i, memory in enumerate(memory_of(self.memories, place) or ()):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    @torch.no_grad()
    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        for name, value in self.kept.items():
            value.copy_(torch.cat([state[f"kept.{name}"] for state in states]))
        into_networks([self.stack], _from_rows("stack", states))
        into_optimizers([self.optimizer], _from_rows("optimizer", states))
        self.average.restore(_from_rows("average", states))
        self.curve.restore([within("curve", state) for state in states])
        if self.peers is not None:
            self.peers.restore(_from_rows("peers", states))
        there = [{name: value.to(self.torch_device) for name, value in state.items()} for state in states]
        self.memories = tuple(
            self.loss.joined([within(f"memories.{i}", state) for state in there]) for i in range(len(self.recipe.method.terms))
        )


class Feed:
    """Mini-batches of the replicas of a group."""

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        self.recipe, self.seed, self.examples, self.replicas = spec.recipe, spec.seed, examples, replicas
        distinct = dict.fromkeys(replicas)  # a replica may fill several places
        views = {r: Examples(spec.recipe, spec.data, examples.inputs, seed=spec.seed, replica=r) for r in distinct}
        teachers = {r: Teacher(spec, r) for r in distinct}
        self.views = [views[r] for r in replicas]
        self.teachers = [teachers[r] for r in replicas if teachers[r].teaches]
        self.apart = spec.recipe.own_batches is not None or spec.recipe.views == "own"

    def epoch(self, number: int) -> Iterator[Batch]:
        """Mini-batches of an epoch, rows ``R B`` or, with own batches, ``R J B``."""
        for view in dict.fromkeys(self.views):
            view.enter(number)
        return batches_of(self.recipe, len(self.examples.labels), seed=self.seed, replicas=self.replicas, epoch=number)

    def show(self, batch: Batch, buffers: IOBuffers) -> LossInputs:
        """Write the inputs of a mini-batch; returns what the losses read, without peers."""
        rows = batch.rows.to(self.examples.labels.device)
        listed = rows.reshape(-1)
        firsts: list[Tensor | None] = [None] * len(self.replicas)
        if self.recipe.augmentation is not None:
            firsts = [*self._show_augmented(batch, buffers)]
        elif self.examples.rows is not None:
            torch.index_select(self.examples.rows, 0, listed, out=buffers.rows)
        else:
            buffers.inputs.copy_(self.examples.inputs.of(rows).view(buffers.inputs.shape))
        teacher = None
        if self.teachers:
            taught = (t.logits(own, x) for t, own, x in zip(self.teachers, rows, firsts, strict=True))
            teacher = torch.stack([logits for logits in taught if logits is not None])
        labels = torch.index_select(self.examples.labels, 0, listed).view(rows.shape)
        return LossInputs(labels, teacher=teacher, shared=batch.shared)

    def _show_augmented(self, batch: Batch, buffers: IOBuffers) -> Iterator[Tensor]:
        """Write augmented inputs; yields those of the first component of each replica."""
        drawn: dict[int, list[Tensor]] = {}
        for r, (replica, own) in enumerate(zip(self.replicas, batch.rows, strict=True)):
            if replica not in drawn:
                drawn[replica] = self.views[r].of(replace(batch, rows=own))
            seen = drawn[replica]
            for j, x in enumerate(seen if self.apart else seen[:1]):
                buffers.inputs[r * len(seen) + j if self.apart else r].copy_(x.flatten(1))
            yield seen[0]


def _of_rows(state: State, rows: slice) -> State:
    """Rows of some networks in a state of the stack; counts are the same for all networks."""
    return {name: copied(value[rows]) if value.ndim == 2 else value for name, value in state.items()}


def _from_rows(prefix: str, states: Sequence[Mapping[str, Tensor]]) -> State:
    """Inverse of `_of_rows`, for all networks."""
    own = [within(prefix, state) for state in states]
    return {name: torch.cat([s[name] for s in own]) if v.ndim == 2 else v for name, v in own[0].items()}
