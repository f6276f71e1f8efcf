"""The networks of a method as one PyTorch module, for training loops of your own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from traintwice.errors import BadInput, require

require("torch", extra="torch", purpose="traintwice.integrations.components")

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.distributed import ProcessGroup  # noqa: E402

from traintwice.engine._building import same_weights  # noqa: E402
from traintwice.engine._deployed import Deployed, mix_components, stacked_logits  # noqa: E402
from traintwice.engine._loss_inputs import Peers, Signals  # noqa: E402
from traintwice.engine._state import parts, under, within  # noqa: E402
from traintwice.losses import Memory, Outputs  # noqa: E402
from traintwice.losses._outputs import Task  # noqa: E402
from traintwice.methods import Method  # noqa: E402
from traintwice.randomness import stream  # noqa: E402
from traintwice.schedules import at_step  # noqa: E402

__all__ = ["Components"]


class _MethodLoss(nn.Module):
    """The loss of a method at a step of a training. The step and the memories of the losses are part of ``state_dict``."""

    _names_of_state: tuple[str, ...] = ("step", "memories.")
    """Beginnings of the names of what the state has in addition to the networks."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self._set_method(method)
        self.step = 0
        self.terms: dict[str, Tensor] = {}
        self._memories: list[Memory | None] = [None] * len(method.terms)

    def resolve(self, steps_per_epoch: int, total_steps: int | None = None) -> None:
        """Turn the epochs of the method's schedules into steps, where the length of an epoch is known only now."""
        self._set_method(self.method.resolve(steps_per_epoch, total_steps))

    def _set_method(self, method: Method) -> None:
        """Keep the method, and a method for each of its terms, so that the value of each term is known."""
        self.method = method
        self._alone = tuple(replace(method, terms=(term,), keep="first") for term in method.terms)
        names = [type(term.loss).__name__ for term in method.terms]
        self._names = [n if names.count(n) == 1 else f"{n}_{names[:i].count(n) + 1}" for i, n in enumerate(names)]

    @property
    def _learns(self) -> bool:
        return self.training and torch.is_grad_enabled()

    def _sum(self, out: Outputs) -> Tensor:
        """The sum of the terms at this step."""
        self.terms.clear()
        learns = self._learns
        total: Tensor | None = None
        for i, alone in enumerate(self._alone):
            weight = alone.terms[0].weight
            if not isinstance(weight, float | int) and at_step(weight, self.step) == 0.0:
                continue
            value, (memory,) = alone.advance(out, self.step, (self._memories[i],))
            if learns and memory is not None:
                self._memories[i] = memory
            self.terms[self._names[i]] = value.detach()
            total = value if total is None else total + value
        return out.logits.sum() * 0.0 if total is None else total

    def _state(self) -> dict[str, Tensor]:
        """What the state has in addition to the networks."""
        state = {"step": torch.tensor(self.step)}
        for i, memory in enumerate(self._memories):
            state |= under(f"memories.{i}", memory or {})
        return state

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `_state`."""
        self.step = int(state["step"])
        found = parts(within("memories", state))
        self._memories = [(found[i] or None) if i < len(found) else None for i in range(len(self.method.terms))]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.update({prefix + name: value.detach().clone() for name, value in self._state().items()})

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        own = tuple(prefix + name for name in self._names_of_state)
        state = {name.removeprefix(prefix): state_dict.pop(name) for name in list(state_dict) if name.startswith(own)}
        _, strict, missing, *_ = args
        if "step" in state:
            self._restore(state)
        elif strict:
            missing.append(prefix + "step")
        super()._load_from_state_dict(state_dict, prefix, *args)


class Components(_MethodLoss):
    r"""J networks with independent initial weights, and the loss of a method over them.

        L = Σ over terms of weight(step) · loss(outputs)

    The step, the memories of the losses and the older copies of the networks (stale peers) are part of ``state_dict``, as tensors, so
    a training that is resumed continues as if it had not stopped.

    Args:
        make: builds one network; called J times. A network maps ``B ...`` to logits ``B K`` (``B 1`` for a binary network of one logit,
            ``B T K`` for sequences), or to an object with such ``logits``.
        method: what to minimise, see `traintwice.methods`. Call ``method.resolve(steps_per_epoch)`` first if a ramp is in epochs.
        seed: for initial weights that depend on the seed and the component only; None draws them from PyTorch's global generator.
        gate: from inputs ``B D`` to J logits, for methods that train a gate.
        accumulation: micro-batches of an optimiser step, where `loss` counts the steps.
        group: the processes that share a batch under DistributedDataParallel; losses are then those of the whole batch.
        task: what the logits are, see `Outputs`.

    Shapes: inputs ``B ...`` -> stacked logits ``J B K``.
    Raises:
        BadInput: no network, two networks with equal weights, or a gate that is missing or not used. BadSpec: a signal that a network does
            not have.
    Source:
        Ours. Every loss is a mean over the batch, summed over components: gradients of a component are those of its own training.
    Example:
        >>> from traintwice.integrations.components import Components
        >>> from traintwice.methods import co_distillation
        >>> model = Components(lambda: nn.Linear(4, 3), co_distillation(), seed=0)
        >>> x, y = torch.ones(5, 4), torch.tensor([0, 1, 2, 0, 1])
        >>> model(x).shape, model.loss(x, y).shape, model.step
        (torch.Size([2, 5, 3]), torch.Size([]), 1)
        >>> sorted(model.terms), model.deployed()(x).shape
        (['Agreement', 'CrossEntropy'], torch.Size([5, 3]))
    """

    _names_of_state = ("step", "memories.", "peers.")

    def __init__(
        self,
        make: Callable[[], nn.Module],
        method: Method,
        *,
        seed: int | None = None,
        gate: nn.Module | None = None,
        accumulation: int = 1,
        group: ProcessGroup | None = None,
        task: Task = "classes",
    ) -> None:
        super().__init__(method)
        if accumulation < 1:
            raise BadInput(f"Components.accumulation: got {accumulation}, expected at least 1")
        if (gate is not None) != ("gate" in method.needs):
            expected = "a module from inputs to J logits" if gate is None else "None: no term of the method trains a gate"
            raise BadInput(f"Components.gate: got {'none' if gate is None else type(gate).__name__}, expected {expected}")
        self.networks = nn.ModuleList(_made(make, j, seed) for j in range(method.components))
        if same := same_weights(list(self.networks)):
            raise BadInput(
                f"Components.make: networks 0 and {same} have the same weights, expected independent ones; build a new network in every "
                "call, and set no seed inside"
            )
        self.gate = gate
        self.accumulation, self.group, self.task = accumulation, group, task
        self._calls = 0
        self._signals = Signals(list(self.networks), method.signals)
        self._peers: Peers | None = None
        self._peers_to_restore: dict[str, Tensor] = {}

    def forward(
        self,
        *inputs: Any,
        labels: Tensor | None = None,
        teacher: Tensor | None = None,
        teacher_probs: Tensor | None = None,
        logged: Tensor | None = None,
        **named: Any,
    ) -> Any:
        """Stacked logits ``J B K``; with labels, the `Outputs` that `loss` reads.

        Under DistributedDataParallel call the wrapper with labels, then ``wrapper.module.loss`` with its result.

        Args:
            inputs, named: of every network.
            labels: classes ``B``, or ``B T`` for sequences, where positions with label -100 are left out.
            teacher: logits of a trained model on the same inputs, ``B K``, or of several, ``T B K``.
            teacher_probs: probabilities in place of these logits.
            logged: probabilities that the deployed model logged on the same inputs, ``B K``.
        Raises:
            BadInput: shapes that do not match, or a method that reads what sequences do not have.
        """
        with self._signals.recording() as signals:
            logits = _stacked(self.networks, inputs, named)
        if labels is None:
            return logits
        gate = None if self.gate is None else self.gate(inputs[0].flatten(1))
        peers = self._peer_logits(logits, inputs, named)
        return self.outputs(logits, labels, peers, teacher, gate, signals, teacher_probs=teacher_probs, logged=logged)

    def outputs(
        self,
        logits: Tensor,
        labels: Tensor,
        peers: Tensor | None = None,
        teacher: Tensor | None = None,
        gate: Tensor | None = None,
        signals: Mapping[str, Tensor] | None = None,
        **others: Any,
    ) -> Outputs:
        """The `Outputs` that `loss` reads, from stacked logits; labelled positions of sequences are examples of their own.

        Args:
            logits: ``J B K``, or ``J B T K`` of sequences.
            labels: ``B`` or ``B T``.
            peers, teacher, gate, signals, others: see `Outputs`; gate and signals not with sequences.
        Raises:
            BadInput: shapes that do not match.
        """
        known = {
            "peers": peers,
            "teacher": teacher,
            "gate": gate,
            "signals": signals or None,
            "group": self.group,
            "task": self.task,
        }
        make = Outputs.of_sequences if logits.ndim > 3 else Outputs
        return make(logits, labels, **{**known, **others})

    def loss(
        self,
        inputs: Any,
        labels: Tensor | None = None,
        *,
        step: int | None = None,
        teacher: Tensor | None = None,
        teacher_probs: Tensor | None = None,
        logged: Tensor | None = None,
    ) -> Tensor:
        """The method's loss on a mini-batch, a scalar; ``terms`` then holds the weighted value of each term.

        In training mode the step advances (after every ``accumulation`` calls) and memories learn. In evaluation mode, and without
        gradients, nothing changes; peers are then the networks themselves.

        Args:
            inputs: of the networks: a tensor, a tuple of positional or a mapping of named arguments; or the `Outputs` of `forward`.
            labels, teacher, teacher_probs, logged: see `forward`; not with `Outputs`.
            step: optimiser steps taken before this one; None counts them.
        Raises:
            BadInput: no labels, labels twice, or shapes that do not match. BadSpec: a schedule in epochs that was not resolved.
        """
        if step is not None:
            self.step = step
        if isinstance(inputs, Outputs):
            if any(given is not None for given in (labels, teacher, teacher_probs, logged)):
                raise BadInput("Components.loss: got Outputs and labels or a teacher, expected Outputs alone: they hold both")
            out = inputs
            if out.task != self.task:
                raise BadInput(
                    f"Components.loss: got outputs of the task {out.task!r}, expected {self.task!r}; pass task={out.task!r} to Components"
                )
        elif labels is None:
            raise BadInput("Components.loss: got inputs without labels, expected loss(inputs, labels) or loss(Outputs)")
        else:
            own, named = _arguments_of(inputs)
            out = self(*own, **named, labels=labels, teacher=teacher, teacher_probs=teacher_probs, logged=logged)
        total = self._sum(out)
        if self._learns and step is None:
            if self.accumulation > 1:
                self._calls = (self._calls + 1) % self.accumulation
            if self._calls == 0:
                self.step += 1
        return total

    def probs(self, logits: Tensor, gate: Tensor | None = None) -> Tensor:
        """Probabilities ``... K`` of the kept output, from stacked logits ``J ... K``.

        Args:
            logits: from `forward`.
            gate: logits of the mixture weights ``B J``, for a method that keeps a gate.
        Example:
            >>> from traintwice.integrations.components import Components
            >>> from traintwice.methods import ensemble
            >>> model = Components(lambda: nn.Linear(4, 3), ensemble(2))
            >>> model.probs(torch.tensor([[[0.0, 0.0]], [[100.0, 0.0]]]))
            tensor([[0.7500, 0.2500]])
        """
        weights = None if gate is None else torch.softmax(gate, -1).T
        return mix_components(logits[:1] if self.method.keep == "first" else logits, self.method.keep, weights, task=self.task)

    def deployed(self) -> Deployed:
        """A copy of the kept output as one module from inputs to probabilities ``B K``, in evaluation mode.

        It takes networks of one input tensor. `traintwice.engine.export_model` writes it to files.
        """
        gates = [copy.deepcopy(self.gate)] if self.gate is not None and self.method.keep == "gate" else []
        return Deployed.of(self.method, copy.deepcopy(list(self.networks)), gates, task=self.task)

    def _peer_logits(self, logits: Tensor, inputs: Sequence[Any], named: Mapping[str, Any]) -> Tensor | None:
        """Logits of the older copies; outside training those of the networks."""
        if not self.method.peer_lag:
            return None
        if not self._learns:
            return logits.detach()
        if self._peers is None:
            self._peers = Peers(list(self.networks), self.method.peer_lag)
            self._peers.restore(self._peers_to_restore)
        with torch.no_grad():
            return _stacked(self._peers.at(self.step), inputs, named)

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | under("peers", self._peers.state() if self._peers is not None else self._peers_to_restore)

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        super()._restore(state)
        self._calls = 0
        self._peers, self._peers_to_restore = None, within("peers", state)


def _arguments_of(inputs: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Positional and named arguments of a network."""
    if isinstance(inputs, Mapping):
        return (), inputs
    return inputs if isinstance(inputs, tuple) else (inputs,), {}


def _made(make: Callable[[], nn.Module], j: int, seed: int | None) -> nn.Module:
    """Component j, its weights drawn from a stream of its own where a seed is given."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(int(stream(seed, "initialisation", component=j).integers(2**63)))
        network = make()
    if not isinstance(network, nn.Module):
        raise BadInput(
            f"Components.make: returned a {type(network).__name__}, expected a torch.nn.Module, a new one in every call"
        )
    return network


def _stacked(networks: Iterable[nn.Module], inputs: Sequence[Any], named: Mapping[str, Any]) -> Tensor:
    """Logits of several networks on the same inputs, ``J B K``."""
    return stacked_logits([network(*inputs, **named) for network in networks])
