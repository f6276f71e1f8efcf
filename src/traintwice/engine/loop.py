"""The reference engine: one replica, plain PyTorch, written to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from traintwice.data import Dataset, Loaded, Split
from traintwice.engine.augmenting import Examples
from traintwice.engine.averager import Averager, averager, renew_batch_statistics
from traintwice.engine.batches import Batch, epoch_of
from traintwice.engine.building import Weights, build, build_gate, stream_of, weights_of
from traintwice.engine.deployed import deployed
from traintwice.engine.device import CPU, Device
from traintwice.engine.hardware import poke
from traintwice.engine.peers import Peers
from traintwice.engine.progressive import Seen, check_stream
from traintwice.engine.reading import Inputs
from traintwice.engine.signals import Signals
from traintwice.engine.state import (
    Keeper,
    State,
    copied,
    into_networks,
    into_optimizers,
    of_networks,
    of_optimizers,
    under,
    within,
)
from traintwice.errors import Diverged
from traintwice.losses import Outputs
from traintwice.losses.outputs import at_least_single
from traintwice.methods import Memories
from traintwice.nets import enter_dropout
from traintwice.recipes import Recipe
from traintwice.schedules import at_step

PREDICT_BATCH, PREDICT_NUMBERS = 1024, 1 << 22
"""Examples per forward pass when predicting, and the numbers that their inputs may have together: fixed, because matrix products of other
shapes may round otherwise; bounded by numbers too, because a thousand large pictures fill the memory."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        outputs: named arrays by split: "test" holds raw logits of every kept network, ``J N K`` float32 (``S·J N K`` with S snapshots);
            "test.gate" the weights of the mixture, one for each of these, where the method has a gate.
        weights: parameters and buffers of every kept network ("0.name", "1.name" ...), and of a gate for each set of them ("gate.0.name").
        steps: optimiser steps taken.
    """

    outputs: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    steps: int


def train(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    start: Weights | None = None,
    teacher: Weights | None = None,
    dtype: torch.dtype = torch.float32,
    device: Device = CPU,
    keeper: Keeper | None = None,
) -> Trained:
    """Train one replica and predict the validation and test examples.

    Args:
        recipe: what to train.
        data: on what.
        seed: of the experiment.
        replica: which one; its weights and mini-batches come from streams of their own.
        start, teacher: weights of the earlier models that the recipe names.
        dtype: of weights and inputs.
        device: where.
        keeper: keeps the state after some steps, and gives it back after an interruption; the outcome is the same bits.
    Returns:
        Raw logits of every network that is kept, before anything is averaged or dropped; of a stream, those of each example just before it
        was trained on.
    Raises:
        Diverged: a loss or logits became infinite or NaN; names the step and the term.
    Source:
        Ours: the components of a replica take their steps together, and the smaller batch that ends an epoch is used.
    """
    check_stream(recipe, data)
    with device.entered(recipe.hardware):
        return _trained(
            recipe, data, seed=seed, replica=replica, start=start, teacher=teacher, dtype=dtype, device=device, keeper=keeper
        )


def _trained(
    plain: Recipe,
    data: Dataset,
    *,
    seed: int,
    replica: int,
    start: Weights | None,
    teacher: Weights | None,
    dtype: torch.dtype,
    device: Device,
    keeper: Keeper | None,
) -> Trained:
    recipe = plain.resolve(len(data.train))
    training = Training(recipe, data, seed=seed, replica=replica, start=start, teacher=teacher, dtype=dtype, device=device)
    per_epoch = recipe.steps_per_epoch(len(data.train))
    kept = averager(plain.averaging, training.followed, steps=per_epoch * recipe.epochs, steps_per_epoch=per_epoch)
    seen = Seen(data, training.networks) if recipe.progressive is not None else None
    run = _Run(training, kept, seen)
    step = 0
    if keeper is not None and (resumed := keeper.resume()) is not None:
        step, state = resumed
        run.restore(state)
    for epoch in range(step // per_epoch, recipe.epochs):
        training.examples.enter(epoch)
        all_batches = epoch_of(recipe, data, seed=seed, replica=replica, epoch=epoch)
        for batch in training.examples.ahead(islice(all_batches, step % per_epoch, None)):
            before = training.step(batch, step)
            if seen is not None:
                seen.add(batch.rows, before)
            kept.after_step(step)
            step += 1
            if keeper is not None:
                keeper.after_step(step, run)
    sets = kept.finish()
    gates = [networks.pop() for networks in sets] if training.gate is not None else []
    predicted = seen.outputs() if seen is not None else None
    return outcome(
        plain,
        data,
        sets,
        training.inputs,
        seed=seed,
        replica=replica,
        steps=step,
        gates=gates,
        outputs=predicted,
        reason=lambda: recipe.method.enlarged(training.last, training.memories),
    )


def outcome(
    recipe: Recipe,
    data: Dataset,
    sets: list[list[nn.Module]],
    inputs: Inputs,
    *,
    seed: int,
    replica: int,
    steps: int,
    gates: Sequence[nn.Module] = (),
    outputs: dict[str, np.ndarray] | None = None,
    reason: Callable[[], str] = str,
) -> Trained:
    """What the networks of a trained replica predict.

    Args:
        recipe, data, seed, replica: what was trained.
        sets: of networks that predict, each with every component; batch statistics of averaged weights are computed anew.
        inputs: of the training set, as the networks saw them.
        steps: taken.
        gates: of the mixture, one for each set, where the method has one.
        outputs: what was predicted before, as on a stream; None predicts validation and test examples now.
        reason: asked only where logits are not finite: what drove them away, to end the sentence with.
    Raises:
        Diverged: logits are infinite or NaN.
    """
    if recipe.averaging is not None:
        for networks in sets:
            enter_dropout_of(networks, recipe, seed=seed, replica=replica, step=steps)
            renew_batch_statistics(networks, inputs, recipe.batch_size)
    networks = [network for networks in sets for network in networks]
    if outputs is None:
        outputs = {name: predict(networks, split) for name, split in data.splits.items() if name != "train"}
    if gates:
        outputs |= {f"{name}.gate": gate_weights(list(gates), data.splits[name]) for name in tuple(outputs)}
    for name, logits in outputs.items():
        if not np.isfinite(logits).all():
            raise Diverged(f"the logits of the {name} split are not finite after step {steps}{reason()}", steps)
    weights = weights_of(networks) | {f"gate.{name}": value for name, value in weights_of(list(gates)).items()}
    return Trained(outputs, weights, steps)


def enter_dropout_of(networks: Sequence[nn.Module], recipe: Recipe, *, seed: int, replica: int, step: int) -> bool:
    """Let the dropout layers of all components draw the masks of a step; returns whether there are any."""
    found = False
    for j, network in enumerate(networks):
        found |= enter_dropout(network, stream_of(recipe, seed, "dropout", replica=replica, component=j, epoch=step))
    return found


@dataclass(frozen=True)
class _Run:
    """A training and the average of its weights, between two steps."""

    training: Training
    kept: Averager
    seen: Seen | None

    def state(self) -> State:
        """All that the next step depends on, and the predictions made so far."""
        seen = {} if self.seen is None else under("seen", self.seen.state())
        return {**under("training", self.training.state()), **under("averager", self.kept.state()), **seen}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        self.training.restore(within("training", state))
        self.kept.restore(within("averager", state))
        if self.seen is not None:
            self.seen.restore(within("seen", state))


class Training:
    """Networks, optimiser and what the losses need, between two steps."""

    def __init__(
        self,
        recipe: Recipe,
        data: Dataset,
        *,
        seed: int,
        replica: int,
        start: Weights | None,
        teacher: Weights | None,
        dtype: torch.dtype,
        device: Device = CPU,
    ) -> None:
        self.recipe, self.seed, self.replica, self.device = recipe, seed, replica, device
        self.inputs = Inputs(data.train, dtype, device.torch_device)
        self.labels = torch.from_numpy(data.train.labels).to(device.torch_device)
        self.networks = build(recipe, data, seed=seed, replica=replica, start=start, dtype=dtype)
        if recipe.emulates_hardware(on_gpu=device.on_gpu):
            poke(self.networks, stream_of(recipe, seed, "hardware", replica=replica))
        self.networks = [network.to(device.torch_device) for network in self.networks]
        self.examples = Examples(recipe, data, self.inputs, seed=seed, replica=replica)
        self.drops = self.enter_dropout(self.networks, 0)
        self.gate = None
        if "gate" in recipe.method.needs:
            self.gate = build_gate(recipe, data, start=start, dtype=dtype).to(device.torch_device)
        self.optimizers = self._optimizers()
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        lag = recipe.method.peer_lag
        self.peers = Peers(self.networks, lag) if lag else None
        self.signals = Signals(self.networks, recipe.method.signals)
        self.memories: Memories | None = None
        self.last: tuple[Outputs, int] | None = None  # for what is said when the next step is not finite
        self.teachers = self._teachers(data, teacher, dtype)
        # Without augmentation a teacher says the same of an example in every epoch; a loader of the user's does not say which it gives.
        constant = bool(self.teachers) and recipe.augmentation is None and not isinstance(data.train.inputs, Loaded)
        self.teacher_logits = (
            torch.from_numpy(predict(self.teachers, data.train)).to(self.labels.device, dtype) if constant else None
        )

    def step(self, batch: Batch, step: int) -> Tensor:
        """One step of every component; returns their logits ``J B K`` before it."""
        if self.recipe.lr_schedule is not None:
            factor = at_step(self.recipe.lr_schedule, step)
            for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
        remembered, before = self._gradients(batch, step)
        if self.recipe.sharpness:
            ascent = self._ascend(self.recipe.sharpness)
            self._gradients(batch, step)
            for parameter, move in ascent:
                parameter.data.sub_(move)
        self.memories = remembered
        if self.recipe.clip_norm is not None:
            for optimizer in self.optimizers:  # one for each component, so that components do not mix
                nn.utils.clip_grad_norm_(_parameters(optimizer), self.recipe.clip_norm, foreach=False)
        for optimizer in self.optimizers:
            optimizer.step()
        return before

    @property
    def followed(self) -> list[nn.Module]:
        """What is averaged and served: the components, and the gate behind them."""
        return [*self.networks, *([self.gate] if self.gate is not None else [])]

    def state(self) -> State:
        """All that it carries from one step to the next."""
        state = under("networks", of_networks(self.networks)) | under("optimizers", of_optimizers(self.optimizers))
        if self.gate is not None:
            state |= under("gate", of_networks([self.gate]))
        if self.peers is not None:
            state |= under("peers", self.peers.state())
        for i, memory in enumerate(self.memories or ()):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        into_networks(self.networks, within("networks", state))
        into_optimizers(self.optimizers, within("optimizers", state))
        if self.gate is not None:
            into_networks([self.gate], within("gate", state))
        if self.peers is not None:
            self.peers.restore(within("peers", state))
        terms = range(len(self.recipe.method.terms))
        there = self.labels.device
        self.memories = tuple(
            {name: value.to(there) for name, value in within(f"memories.{i}", state).items()} or None for i in terms
        )

    def _gradients(self, batch: Batch, step: int) -> tuple[Memories, Tensor]:
        out = self._outputs(batch, step)
        loss, memories = self.recipe.method.advance(out, step, self.memories)
        if not bool(loss.isfinite()):
            raise Diverged(f"at step {step} {self.recipe.method.not_finite(out, step, self.memories, before=self.last)}", step)
        self.last = out, step
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return memories, out.logits.detach()

    def _outputs(self, batch: Batch, step: int) -> Outputs:
        rows = batch.rows.to(self.labels.device)
        inputs = self.examples.of(batch)
        if self.drops:
            self.enter_dropout(self.networks, step)
        with self.signals.recording() as signals, self.device.forward():
            logits = torch.stack([network(x) for network, x in zip(self.networks, inputs, strict=True)])
        return Outputs(
            at_least_single(logits),
            self.labels[rows].long() if batch.given is None else batch.given[1].to(self.labels.device),
            peers=self._peer_logits(inputs, step),
            teacher=self._taught(inputs[0], rows),
            gate=None if self.gate is None else self.gate(inputs[0].flatten(1)),
            signals=signals,
            shared=batch.shared,
        )

    def _peer_logits(self, inputs: Sequence[Tensor], step: int) -> Tensor | None:
        """Logits of older copies of all components on the same examples."""
        if self.peers is None:
            return None
        peers = self.peers.at(step)
        if self.drops:
            self.enter_dropout(peers, step)  # the masks of the components that they are copies of
        with torch.no_grad(), self.device.forward():
            return at_least_single(torch.stack([peer(x) for peer, x in zip(peers, inputs, strict=True)]))

    def enter_dropout(self, networks: list[nn.Module], step: int) -> bool:
        """Let the dropout layers of all components draw the masks of a step; returns whether there are any."""
        return enter_dropout_of(networks, self.recipe, seed=self.seed, replica=self.replica, step=step)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """One for the weights of each component; parts that components share belong to the first."""
        taken: set[int] = set()
        optimizers = []
        for j, network in enumerate(self.networks):
            own = [p for p in network.parameters() if id(p) not in taken]
            taken |= {id(p) for p in own}
            optimizers.append(self.recipe.optimizer_of(j).build(own))
        if self.gate is not None:
            optimizers.append(self.recipe.optimizer.build(self.gate.parameters()))
        return optimizers

    @torch.no_grad()
    def _ascend(self, size: float) -> list[tuple[nn.Parameter, Tensor]]:
        """Move every component's weights by ``size`` along its gradient; returns the moves, to be taken back.

        Source: Foret et al. 2021, w + ρ g / ‖g‖. Ours: the norm is that of one component, so that components do not mix.
        """
        moves = []
        for optimizer in self.optimizers:
            own = [p for p in _parameters(optimizer) if p.grad is not None]
            norm = torch.stack([p.grad.norm() for p in own if p.grad is not None]).norm()
            for p in own:
                move = p.grad * (size / (norm + 1e-12))
                p.data.add_(move)
                moves.append((p, move))
        return moves

    def _teachers(self, data: Dataset, weights: Weights | None, dtype: torch.dtype) -> list[nn.Module]:
        """The networks that the teacher serves, in evaluation mode."""
        teacher = self.recipe.teacher
        if teacher is None or weights is None:
            return []
        return [network.to(self.labels.device, dtype) for network in deployed(teacher.recipe, data, weights).networks]

    def _taught(self, x: Tensor, rows: Tensor) -> Tensor | None:
        """Logits of the teacher's networks for the student's view of a mini-batch, ``T B K``."""
        if self.teacher_logits is not None:
            return self.teacher_logits[:, rows]
        if not self.teachers:
            return None
        with torch.no_grad():
            return torch.stack([teacher(x) for teacher in self.teachers])


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


@torch.no_grad()
def gate_weights(gates: list[nn.Module], split: Split) -> np.ndarray:
    """Weights of the mixture of all sets of networks on a split, ``S·J N`` float32, summing to one."""
    own = next(gates[0].parameters())
    parts = Inputs(split, own.dtype, own.device).parts(PREDICT_BATCH)
    inputs = torch.cat([part.flatten(1) for part in parts])
    weights = torch.cat([torch.softmax(gate(inputs), dim=-1) for gate in gates], dim=-1) / len(gates)
    return weights.T.float().contiguous().cpu().numpy()


@torch.no_grad()
def predict(networks: list[nn.Module], split: Split) -> np.ndarray:
    """Logits of every network on a split, ``J N K`` float32."""
    own = next(networks[0].parameters())
    inputs = Inputs(split, own.dtype, own.device)
    at_once = max(min(PREDICT_BATCH, PREDICT_NUMBERS // prod(inputs.shape)), 1)
    for network in networks:
        network.eval()
    logits = torch.cat([torch.stack([network(part) for network in networks]) for part in inputs.parts(at_once)], dim=1)
    for network in networks:
        network.train()
    return logits.float().cpu().numpy()
