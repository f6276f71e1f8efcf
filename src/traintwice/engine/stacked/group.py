"""A group of replicas that are trained together, between two steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset
from traintwice.engine.batches import Batch
from traintwice.engine.building import Weights, build, stream_of
from traintwice.engine.hardware import poke
from traintwice.engine.peers import Peers
from traintwice.engine.stacked.feed import Feed, TrainingSet
from traintwice.engine.stacked.layout import LANES, layout_of, pack, rounded_up, unpack
from traintwice.engine.stacked.logits import Gradients, Seen, memory_of
from traintwice.engine.stacked.network import Bound, Passes
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
from traintwice.optimizers import SGD
from traintwice.recipes import Recipe
from traintwice.schedules import at_step


@dataclass(frozen=True)
class _Sized:
    """What a step needs for one size of batch."""

    passes: Passes
    network: Bound


class Group:
    """R replicas of a recipe, stacked.

    Args:
        recipe: with its schedules in steps.
        data, seed: what is trained.
        examples: of ``data``.
        replicas: as `at_least_two` gives them.
        starts, teachers: weights of each replica's earlier models, where the recipe names such.
        dtype: of everything.
    """

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
    ) -> None:
        self.recipe, self.seed, self.replicas, self.dtype = recipe, seed, replicas, dtype
        self.components = recipe.method.components
        for at, (replica, start) in enumerate(zip(replicas, starts, strict=True)):
            networks = build(recipe, data, seed=seed, replica=replica, start=start, dtype=dtype)
            if recipe.hardware == "emulated":
                poke(networks, stream_of(recipe, seed, "hardware", replica=replica))
            if at == 0:
                self.template = networks[0]
                self.layout = layout_of(self.template)
                size = len(replicas) * self.components
                self.stack = Stack(self.layout, size, dtype)
                self.parameters = list(self.stack.parameters())
                self.norms = [layer.norm for layer in self.layout.layers if layer.norm is not None]
                widths = [layer.fan_out for layer in self.layout.layers if layer.norm is not None]
                self.running = [torch.zeros(2, size, rounded_up(width, LANES), dtype=dtype) for width in widths]
                self.widths, self.tracked = widths, 0
            for j, network in enumerate(networks):
                row = at * self.components + j
                pack(network, self.layout, self.parameters, row)
                state = network.state_dict()
                for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
                    running[0, row, :width] = state[f"{norm.name}.running_mean"]
                    running[1, row, :width] = state[f"{norm.name}.running_var"]
                    self.tracked = int(state[f"{norm.name}.num_batches_tracked"])
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        optimizer = recipe.optimizer_of(0)
        steps_at_once = recipe.clip_norm is None and not recipe.sharpness
        self.descent = optimizer if isinstance(optimizer, SGD) and not optimizer.momentum and steps_at_once else None
        updated = [block.index for block in self.layout.blocks() if self.descent is None or len(block.shape) == 1]
        self.update = Update(optimizer, [self.parameters[i] for i in updated], [self.gradients[i] for i in updated])
        self.feed = Feed(recipe, data, examples, seed=seed, replicas=replicas, teachers=teachers)
        self.loss = Gradients(recipe.method, len(replicas), data.classes)
        self.drops = any(layer.rate for layer in self.layout.layers)
        lag = recipe.method.peer_lag
        self.peers = Peers([self.stack], lag) if lag else None
        self.memories: Memories | None = None
        self._sized: dict[int, _Sized] = {}

    @torch.no_grad()
    def step(self, batch: Batch, step: int) -> dict[int, str]:
        """One step of every network.

        Returns:
            Why the loss of a replica is not finite, by its place in the group; its numbers mean nothing from here on, and touch no others.
        """
        sized = self._of_size(batch.rows.shape[-1])
        passes = sized.passes
        seen = self.feed.show(batch, passes)
        if self.drops:
            passes.draw(self._streams(step))
        if self.peers is not None:
            seen = replace(seen, peers=self._peer_logits(passes, step))
        schedule = self.recipe.lr_schedule
        factor = 1.0 if schedule is None else at_step(schedule, step)
        failed, remembered = self._gradients(sized, seen, step, factor)
        if self.recipe.sharpness:
            moves = ascent(self.gradients, self.recipe.sharpness)
            for parameter, move in zip(self.parameters, moves, strict=True):
                parameter.add_(move)
            failed = {**self._gradients(sized, seen, step, factor)[0], **failed}
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

    def _gradients(self, sized: _Sized, seen: Seen, step: int, factor: float) -> tuple[dict[int, str], Memories | None]:
        passes = sized.passes
        sized.network.forward()
        self._follow(passes)
        with torch.enable_grad():
            remembered, bad = self.loss.write(passes, seen, step, self.memories)
        failed = {at: self.loss.blame(passes, seen, step, self.memories, at) for at in bad}
        if self.descent is None:
            sized.network.backward()
        else:
            rate = self.descent.lr * factor
            sized.network.backward(rate, 1.0 - rate * self.descent.weight_decay)
        return failed, remembered

    def _follow(self, passes: Passes) -> None:
        """The running statistics of the batch normalisations move towards those of a mini-batch."""
        self.tracked += bool(self.norms)
        for norm, running, seen in zip(self.norms, self.running, passes.statistics, strict=True):
            unbiased = passes.batch / (passes.batch - 1)
            running.mul_(1 - norm.momentum)
            running[0].add_(seen.mean[0], alpha=norm.momentum)
            running[1].add_(seen.variance[0], alpha=norm.momentum * unbiased)

    def _peer_logits(self, passes: Passes, step: int) -> Tensor | None:
        """Logits of older copies of all components on the same examples, ``R J B K``."""
        if self.peers is None:
            return None
        (older,) = self.peers.at(step)
        Bound(passes, list(older.parameters())).forward()
        return passes.by_replica(passes.logits).mT.clone()

    def _streams(self, step: int) -> list[np.random.Generator]:
        chosen = [(replica, j) for replica in self.replicas for j in range(self.components)]
        return [stream_of(self.recipe, self.seed, "dropout", replica=r, component=j, epoch=step) for r, j in chosen]

    def _of_size(self, batch: int) -> _Sized:
        if batch not in self._sized:
            passes = Passes(
                self.layout,
                replicas=len(self.replicas),
                components=self.components,
                batch=batch,
                apart=self.feed.apart,
                dtype=self.dtype,
            )
            self._sized[batch] = _Sized(passes, Bound(passes, self.parameters, self.gradients))
        return self._sized[batch]

    def networks(self, place: int, stack: nn.Module) -> list[nn.Module]:
        """The components of a replica as modules, with parameters from a stack."""
        made = []
        for row in range(place * self.components, (place + 1) * self.components):
            network = copy.deepcopy(self.template)
            unpack(network, self.layout, list(stack.parameters()), row)
            buffers = dict(network.named_buffers())
            for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
                buffers[f"{norm.name}.running_mean"].copy_(running[0, row, :width])
                buffers[f"{norm.name}.running_var"].copy_(running[1, row, :width])
                buffers[f"{norm.name}.num_batches_tracked"].fill_(self.tracked)
            made.append(network)
        return made

    def weights(self, place: int) -> dict[str, Tensor]:
        """Parameters and buffers of a replica's components, "0.name" of component 0 ...; most change with the next step."""
        named = {}
        for j, row in enumerate(range(self.components * place, self.components * (place + 1))):
            for block in self.layout.blocks():
                own = block.of(self.parameters)[row].detach()
                named[f"{j}.{block.name}"] = own.t() if block.turned else own
            for norm, running, width in zip(self.norms, self.running, self.widths, strict=True):
                named[f"{j}.{norm.name}.running_mean"] = running[0, row, :width]
                named[f"{j}.{norm.name}.running_var"] = running[1, row, :width]
                named[f"{j}.{norm.name}.num_batches_tracked"] = torch.tensor(self.tracked)
        return named

    def rows_of(self, place: int) -> slice:
        """The rows of a replica."""
        return slice(place * self.components, (place + 1) * self.components)

    def state(self, place: int) -> State:
        """All that a replica carries from one step to the next."""
        rows = self.rows_of(place)
        state = {"tracked": torch.tensor(self.tracked), **under("stack", of_rows(of_networks([self.stack]), rows))}
        state |= under("optimizer", of_rows(of_optimizers([self.update.built]), rows))
        state |= {f"running.{i}": copied(running[:, rows]) for i, running in enumerate(self.running)}
        if self.peers is not None:
            state |= under("peers", of_rows(self.peers.state(), rows))
        for i, memory in enumerate(memory_of(self.memories or (), place)):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    @torch.no_grad()
    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Go on from the states of all replicas, in order."""
        self.tracked = int(states[0]["tracked"])
        into_networks([self.stack], from_rows([within("stack", state) for state in states]))
        into_optimizers([self.update.built], from_rows([within("optimizer", state) for state in states]))
        for i, running in enumerate(self.running):
            running.copy_(torch.cat([state[f"running.{i}"] for state in states], dim=1))
        if self.peers is not None:
            self.peers.restore(from_rows([within("peers", state) for state in states]))
        self.memories = tuple(
            self.loss.joined([within(f"memories.{i}", state) for state in states]) for i in range(len(self.recipe.method.terms))
        )


def at_least_two(replicas: Sequence[int]) -> list[int]:
    """A lone replica beside itself, for a kernel may round otherwise where it has one matrix to work on; otherwise what came."""
    return [*replicas, *replicas] if len(replicas) == 1 else list(replicas)


def of_rows(state: Mapping[str, Tensor], rows: slice) -> State:
    """The rows of some networks in what is kept of all; numbers that belong to no network are everybody's."""
    return {name: copied(value[rows]) if value.ndim == 2 else value for name, value in state.items()}


def from_rows(states: Sequence[Mapping[str, Tensor]]) -> State:
    """What `of_rows` took apart."""
    return {name: torch.cat([s[name] for s in states]) if v.ndim == 2 else v for name, v in states[0].items()}
