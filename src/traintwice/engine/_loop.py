"""The reference engine: one replica, plain PyTorch, written to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from traintwice.data import Dataset
from traintwice.engine._batches import Batch, epoch_of
from traintwice.engine._building import build_gate
from traintwice.engine._loss_inputs import Peers, Signals, Teacher
from traintwice.engine._reading import Examples, TrainingSet
from traintwice.engine._state import (
    Averager,
    State,
    copied,
    into_networks,
    into_optimizers,
    of_networks,
    of_optimizers,
    parameters_of,
    scale_rates,
    under,
    within,
)
from traintwice.engine._training import Training, TrainingSpec
from traintwice.errors import BadSpec
from traintwice.losses import Outputs
from traintwice.losses._outputs import at_least_single
from traintwice.losses._prepare import of_examples
from traintwice.methods import Memories
from traintwice.nets import Dropout, SeededDraws
from traintwice.optimizers import ParameterGroups
from traintwice.recipes import Recipe


class LoopTraining(Training):
    """One replica. Ours: its components take their steps together, and the smaller batch that ends an epoch is used."""

    def __init__(self, spec: TrainingSpec, examples: TrainingSet, replicas: Sequence[int]) -> None:
        super().__init__(spec, examples, replicas)
        (self.replica,) = replicas
        device, method = spec.execution.torch_device, spec.recipe.method
        self.networks = [network.to(device).train() for network in spec.networks(self.replica)]
        self.views = Examples(spec.recipe, spec.data, examples.inputs, seed=spec.seed, replica=self.replica)
        self.drops = spec.enter_dropout(self.networks, self.replica, 0)
        self.gate = None
        if "gate" in method.needs:
            start, dtype = spec.start_of(self.replica), spec.execution.dtype
            self.gate = build_gate(spec.recipe, spec.data, start=start, dtype=dtype).to(device)
        self.optimizers = self._optimizers()
        self.peers = Peers(self.networks, method.peer_lag) if method.peer_lag else None
        self.signals = Signals(self.networks, method.signals)
        self.teacher = Teacher(spec, self.replica)
        self.progressive = ProgressivePredictions(spec.data, self.networks) if spec.recipe.progressive is not None else None
        self.memories: Memories | None = None
        self.last: tuple[Outputs, int] | None = None  # explains a later step that is not finite
        self._start_average([*self.networks, *self._gates])

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        self.views.enter(number)
        batches = epoch_of(self.recipe, self.data, seed=self.spec.seed, replica=self.replica, epoch=number)
        return self.views.ahead(islice(batches, first, None))

    def step(self, batch: Batch, step: int) -> dict[int, str]:
        for optimizer in self.optimizers:
            scale_rates(optimizer, self.rate_factor(step))
        whole = self.forward(batch, step)
        out = _sampled(whole, batch)
        if not out.labels.numel():
            self._predicted(batch, whole)
            return {}
        memories, failed = self._backward(out, step)
        if failed is None:
            self.curve.add(step, self.loss)
        if failed is None and self.recipe.sharpness:
            ascent = self._ascend(self.recipe.sharpness)
            _, failed = self._backward(_sampled(self.forward(batch, step), batch), step)
            for parameter, move in ascent:
                parameter.data.sub_(move)
        if failed is not None:
            return {0: failed}
        self.memories = memories
        if self.recipe.clip_norm is not None:
            for optimizer in self.optimizers:  # one for each component, so that components do not mix
                nn.utils.clip_grad_norm_(parameters_of(optimizer), self.recipe.clip_norm, foreach=False)
        for optimizer in self.optimizers:
            optimizer.step()
        self._predicted(batch, whole)
        return {}

    def _predicted(self, batch: Batch, out: Outputs) -> None:
        """Keep the predictions of a stream."""
        if self.progressive is not None:
            self.progressive.add(batch.rows, out.logits.detach())

    def forward(self, batch: Batch, step: int) -> Outputs:
        rows = batch.rows.to(self.examples.labels.device)
        inputs = self.views.of(batch)
        if self.drops:
            self.spec.enter_dropout(self.networks, self.replica, step)
        with self.signals.recording() as signals, self.execution.forward_pass():
            logits = torch.stack([network(x) for network, x in zip(self.networks, inputs, strict=True)])
        labels = self.examples.labels
        return Outputs(
            at_least_single(logits),
            labels[rows].long() if batch.loaded is None else batch.loaded[1].to(labels.device),
            peers=self._peer_logits(inputs, step),
            teacher=self.teacher.logits(rows, inputs[0]),
            gate=None if self.gate is None else self.gate(inputs[0].flatten(1)),
            signals=signals,
            shared=batch.shared,
            plain=True,
        )

    def _backward(self, out: Outputs, step: int) -> tuple[Memories, str | None]:
        """Compute gradients; returns what losses remember, and why the loss is not finite."""
        method = self.recipe.method
        loss, memories = method.advance(out, step, self.memories)
        if not bool(loss.isfinite()):
            return memories, f"at step {step} {method.not_finite(out, step, self.memories, before=self.last)}"
        self.last, self.loss = (out, step), loss.detach()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return memories, None

    def _peer_logits(self, inputs: Sequence[Tensor], step: int) -> Tensor | None:
        """Logits of older copies of all components on the same examples."""
        if self.peers is None:
            return None
        peers = self.peers.at(step)
        if self.drops:
            self.spec.enter_dropout(peers, self.replica, step)  # the masks of the components that they are copies of
        with torch.no_grad(), self.execution.forward_pass():
            return at_least_single(torch.stack([peer(x) for peer, x in zip(peers, inputs, strict=True)]))

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        """One optimiser for each component, and one for the gate; shared parameters belong to the first component."""
        taken: set[int] = set()
        optimizers = []
        for j, network in enumerate(self.networks):
            own = {name: p for name, p in network.named_parameters() if id(p) not in taken}
            taken |= {id(p) for p in own.values()}
            optimizer = self.recipe.optimizer_of(j)
            if isinstance(optimizer, ParameterGroups):
                optimizers.append(optimizer.build_named(own.items()))
            else:
                optimizers.append(optimizer.build(own.values()))
        if self.gate is not None:
            optimizers.append(self.recipe.optimizer.build(self.gate.parameters()))
        return optimizers

    @torch.no_grad()
    def _ascend(self, size: float) -> list[tuple[nn.Parameter, Tensor]]:
        """Move every component by ``size`` along its gradient, w + ρ g / ‖g‖ (Foret et al. 2021); returns the moves."""
        moves = []
        for optimizer in self.optimizers:
            own = [p for p in parameters_of(optimizer) if p.grad is not None]
            norm = torch.stack([p.grad.norm() for p in own if p.grad is not None]).norm()
            for p in own:
                move = p.grad * (size / (norm + 1e-12))
                p.data.add_(move)
                moves.append((p, move))
        return moves

    def served(self, place: int) -> tuple[list[list[nn.Module]], list[nn.Module]]:
        count = len(self.networks)
        return [own[:count] for own in self.finished], [gate for own in self.finished for gate in own[count:]]

    def weights(self, place: int) -> dict[str, Tensor]:
        return of_networks(self.networks)

    def divergence_cause(self, place: int) -> str:
        return self.recipe.method.enlarged(self.last, self.memories)

    def outputs(self) -> dict[str, np.ndarray] | None:
        return None if self.progressive is None else self.progressive.outputs()

    @property
    def _gates(self) -> list[nn.Module]:
        return [] if self.gate is None else [self.gate]

    @property
    def _carried(self) -> dict[str, Averager | Peers | ProgressivePredictions]:
        """Parts that carry something from one step to the next, as they are named in a checkpoint."""
        parts = {"average": self.average, "peers": self.peers, "progressive": self.progressive}
        return {name: part for name, part in parts.items() if part is not None}

    def state(self, place: int) -> State:
        state = under("networks", of_networks(self.networks)) | under("optimizers", of_optimizers(self.optimizers))
        state |= under("gate", of_networks(self._gates)) | under("curve", self.curve.state(0))
        for name, part in self._carried.items():
            state |= under(name, part.state())
        for i, memory in enumerate(self.memories or ()):
            state |= under(f"memories.{i}", {name: copied(value) for name, value in (memory or {}).items()})
        return state

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        (state,) = states
        into_networks(self.networks, within("networks", state))
        into_optimizers(self.optimizers, within("optimizers", state))
        into_networks(self._gates, within("gate", state))
        self.curve.restore([within("curve", state)])
        for name, part in self._carried.items():
            part.restore(within(name, state))
        there = self.execution.torch_device
        self.memories = tuple(
            {name: value.to(there) for name, value in within(f"memories.{i}", state).items()} or None
            for i in range(len(self.recipe.method.terms))
        )


def _sampled(out: Outputs, batch: Batch) -> Outputs:
    """Outputs of the examples that are trained on; a stream predicts the others too."""
    if batch.trained is None:
        return out
    return replace(out, **of_examples(out, batch.trained.to(out.labels.device)))


def check_stream(recipe: Recipe, data: Dataset) -> None:
    """Check that a stream of data is trained progressively, and nothing else is."""
    if recipe.progressive is None and data.places is not None:
        raise BadSpec(
            f"Recipe.progressive: left out, but {data.name} is a stream: its test examples are trained on too, so each must be predicted "
            "before; set progressive = { window = 10000 } and epochs = 1"
        )
    if recipe.progressive is not None and data.places is None:
        raise BadSpec(
            f"Recipe.progressive: {data.name} is not a stream: its test examples are never trained on; leave progressive out"
        )


class ProgressivePredictions:
    """Logits of the reported examples of a stream, taken from the forward pass of the step that trains on them."""

    def __init__(self, data: Dataset, networks: Sequence[nn.Module]) -> None:
        for module in (m for network in networks for m in network.modules()):
            if isinstance(module, Dropout | SeededDraws | _BatchNorm):
                raise BadSpec(
                    f"Recipe.progressive: the network has {type(module).__name__} layers, with which it predicts differently in training; "
                    "take a network without them"
                )
        self.places = dict(data.places or {})
        shape = (len(networks), data.classes)
        self.logits = {name: torch.full((shape[0], len(at), shape[1]), torch.nan) for name, at in self.places.items()}

    def add(self, rows: Tensor, logits: Tensor) -> None:
        """Keep logits ``J B K`` of a mini-batch, from before its step."""
        rows_of_batch, logits = rows.numpy(), logits.cpu()
        for name, at in self.places.items():
            place = np.searchsorted(at, rows_of_batch)
            found = at[np.minimum(place, len(at) - 1)] == rows_of_batch
            self.logits[name][:, place[found]] = logits[:, found].float()

    def outputs(self) -> dict[str, np.ndarray]:
        return {name: logits.numpy() for name, logits in self.logits.items()}

    def state(self) -> State:
        return {name: copied(logits) for name, logits in self.logits.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for name, logits in self.logits.items():
            logits.copy_(state[name])
