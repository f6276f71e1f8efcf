"""The input of every loss: logits of all components on one mini-batch, labels, and what some losses need in addition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup, all_reduce

from traintwice._typed import typed
from traintwice.errors import BadInput
from traintwice.losses._prepare import (
    IGNORED,
    not_zero,
    of_all_components,
    parts_of_components,
    positions,
    prepared,
    shared_part,
    weights_like,
)

Task: TypeAlias = Literal["classes", "multi-label", "numbers"]
"""What the outputs of a network are: logits of classes, one logit for each of several labels, or the numbers of a regression."""

Average: TypeAlias = Literal["prob", "logit"]
"""How several models are averaged: the mean of their probabilities, or the softmax of the mean of their logits."""

T = TypeVar("T")


class _OverBatch:
    """Sums and means over the batch of `Outputs`, by the weights of its examples and over all processes."""

    logits: Tensor
    weights: Tensor | None
    group: ProcessGroup | None

    def _once(self, name: str, make: Callable[[], T]) -> T:
        """A value that is computed once. (torch.compile cannot trace functools.cached_property, which holds a lock.)"""
        if name not in self.__dict__:
            object.__setattr__(self, name, make())
        return self.__dict__[name]  # type: ignore[no-any-return]

    @property
    def examples(self) -> int | Tensor:
        """Number of examples in a mean over the batch, or the sum of their weights, over all processes."""
        batch, weights = self.logits.shape[-2], self.weights
        if weights is not None:
            return self._once("_examples", lambda: self.total(of_all_components(weights).sum(-1)))
        if self.group is None:
            return batch
        return self._once("_examples", lambda: self.total(self.logits.new_tensor(float(batch), dtype=torch.float32)))

    def total(self, part: Tensor) -> Tensor:
        """The sum over all processes of a sum over the examples of this process."""
        return part if self.group is None else _SumOverProcesses.apply(part, self.group)  # type: ignore[no-untyped-call]

    def weighted(self, values: Tensor, dim: int = -1) -> Tensor:
        """Values times the weights of their examples, which are on axis ``dim``."""
        return values if self.weights is None else values * weights_like(self.weights, values, dim)

    def sum(self, values: Tensor, dim: int = -1) -> Tensor:
        """Weighted sum over the batch, which is axis ``dim`` of ``values``, and over all processes."""
        return self.total(self.weighted(values, dim).sum(dim))

    def per_example(self, total: Tensor) -> Tensor:
        """A sum over the batch ``*M ...`` divided by the number, or the sum of the weights, of its examples."""
        examples = self.examples
        if self.weights is None or not isinstance(examples, Tensor):
            return total / examples
        return total / not_zero(examples)[(..., *[None] * (total.ndim - examples.ndim))]

    def mean(self, values: Tensor, dim: int = -1) -> Tensor:
        """Mean over the batch, which is axis ``dim`` of ``values``."""
        if self.weights is not None:
            return self.sum(values, dim) / not_zero(self.total(weights_like(self.weights, values, dim).sum(dim)))
        return values.mean(dim) if self.group is None else self.total(values.sum(dim)) / self.examples


@dataclass(frozen=True)
@typed
class Outputs(_OverBatch):
    """The outputs of the components of one replica (or of several at once) on one mini-batch.

    Args:
        logits: ``*M J B K``; the leading axes are never mixed. Binary networks of one logit have ``K = 1``, read as logits (0, z). A class
            whose logit is -inf in all components is masked: no loss reads it.
        labels: classes ``*M B`` shared by the components, or ``*M J B`` where each component has its own examples, of any integer type or
            booleans; or soft labels ``*M B K`` (``*M J B K``); of binary networks also floats ``*M B``, the probabilities of class 1.
        peers: logits of older copies of all components on the same batch, ``*M J B K``; constants.
        teacher: logits of a trained model, ``*M B K``, or of several, ``*M T B K``; constants.
        gate: logits of the mixture weights of each example, ``*M B J``.
        signals: outputs of named sub-networks of every component, ``*M J B D`` each.
        shared: with labels ``*M J B``, the examples of the batch that all components see; losses that couple components read these
            examples only. ``slice(None)`` where all examples are shared.
        group: the processes that share the batch under DistributedDataParallel; means and gradients are then those of the whole batch.
        teacher_probs: probabilities of trained models in place of their logits, in the shapes of ``teacher``; for ``K = 1`` those of
            class 1, also ``*M B``.
        logged: logged probabilities of the deployed model, ``*M B K``; for ``K = 1`` those of class 1, also ``*M B``. Losses that learn
            from an old model read them, else the teacher.
        weights: of the examples, ``*M B`` or ``*M J B``, >= 0. A mean over the batch is Σ w·x / Σ w, and 0 where all weights are 0.
        mask: True for examples that count, ``*M B`` or ``*M J B``; the others have weight 0.
        ignored: label of examples with weight 0; None: no label means that.
        task: "classes"; "multi-label", labels 0 or 1 (or in between) for each example and label, ``*M B K``, losses are summed over labels;
            or "numbers", a regression with labels ``*M B K`` (or ``*M B`` for ``K = 1``).
        masked: True for masked classes, ``*M J B K``; found from the logits.
        plain: labels are int64 classes, all examples count and no class is masked: nothing is looked at. Under `torch.func.vmap` set it.
    Raises:
        BadInput: shapes that do not match, probabilities outside [0, 1], labels of no class. On a GPU and under `torch.compile` the content
            of labels and weights is not looked at.
    Example:
        >>> out = Outputs(torch.zeros(2, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> out.components, out.probs.shape
        (2, torch.Size([2, 4, 3]))
    """

    logits: Tensor
    labels: Tensor
    peers: Tensor | None = None
    teacher: Tensor | None = None
    gate: Tensor | None = None
    signals: Mapping[str, Tensor] | None = None
    shared: slice | None = None
    group: ProcessGroup | None = None
    teacher_probs: Tensor | None = None
    logged: Tensor | None = None
    weights: Tensor | None = None
    mask: Tensor | None = None
    ignored: int | None = IGNORED
    task: Task = "classes"
    masked: Tensor | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        if self.logits.ndim < 3:
            raise BadInput(
                f"Outputs: got logits of shape {tuple(self.logits.shape)}, expected (..., components, batch, classes); a single "
                "network's logits become logits.unsqueeze(0)"
            )
        *leading, components, batch, classes = self.logits.shape
        self.check_shape("peers", self.peers, (*leading, components, batch, classes))
        several = self.teacher.shape[-3] if self.teacher is not None and self.teacher.ndim == self.logits.ndim else 1
        self.check_shape("teacher", self.teacher, (*leading, batch, classes), (*leading, several, batch, classes))
        self.check_shape("gate", self.gate, (*leading, batch, components))
        for name, signal in (self.signals or {}).items():
            self.check_shape(f"signal {name!r}", signal, (*leading, components, batch, signal.shape[-1]))
        if not self.plain:
            for name, value in prepared(self).items():
                object.__setattr__(self, name, value)
        if classes == 1 and self.task == "classes":
            for name in ("logits", "peers", "teacher"):
                value = getattr(self, name)
                if value is not None and value.shape[-1] == 1:
                    object.__setattr__(self, name, torch.cat([torch.zeros_like(value), value], dim=-1))

    @classmethod
    def of_sequences(cls, logits: Tensor, labels: Tensor, **others: Any) -> Outputs:
        """The outputs on sequences: every position that counts is an example of its own.

        Args:
            logits: ``J B T K``.
            labels: ``B T``, or soft labels ``B T K``; positions with the label ``ignored`` (-100) are left out.
            others: as for `Outputs`: peers ``J B T K``; teacher, teacher_probs, logged ``B T K``; weights and mask ``B T`` or, for whole
                sequences, ``B``; group, ignored and task. Gate, signals and shared examples have no meaning here.
        Raises:
            BadInput: shapes that do not match.
        Example:
            >>> Outputs.of_sequences(torch.zeros(2, 1, 3, 5), torch.tensor([[4, -100, 0]])).logits.shape
            torch.Size([2, 2, 5])
        """
        return cls(**positions(logits, labels, **others))

    def check_shape(self, name: str, values: Tensor | None, *expected: tuple[int, ...]) -> None:
        """Raise `BadInput` where values have none of the expected shapes."""
        if values is not None and tuple(values.shape) not in expected:
            raise BadInput(
                f"Outputs: got {name} of shape {tuple(values.shape)} for logits {tuple(self.logits.shape)}, expected "
                f"{' or '.join(dict.fromkeys(map(str, expected)))}"
            )

    @property
    def components(self) -> int:
        """J."""
        return self.logits.shape[-3]

    @property
    def log_probs(self) -> Tensor:
        """Log-softmax of the logits in at least float32, ``*M J B K``, 0 for masked classes; for several labels, log f of 0 then of 1.

        Raises:
            BadInput: the outputs are numbers.
        """
        return self._once("_log_probs", self.log_probs_at)

    def log_probs_at(self, temperature: float = 1.0) -> Tensor:
        """`log_probs` at a temperature."""
        logits = at_least_single(self.logits)
        return log_probs_of(logits / temperature if temperature != 1 else logits, self.task, self.masked)

    @property
    def probs(self) -> Tensor:
        """Softmax of the logits, ``*M J B K``, 0 for masked classes; for several labels the probabilities of 0, then of 1."""
        return self._once("_probs", lambda: _without(self.masked, self.log_probs.exp()))

    @property
    def soft(self) -> bool:
        """Whether labels are targets of every class (or numbers), with an axis of classes."""
        return self.labels.is_floating_point()

    @property
    def own_labels(self) -> bool:
        """Whether each component has labels of its own."""
        return self.labels.ndim - self.soft == self.logits.ndim - 1

    @property
    def label_of_component(self) -> Tensor:
        """Labels ``*M J B``; the most probable class of soft labels, the lowest of several."""
        if self.soft:
            return self.target_of_component.argmax(-1)
        return self.labels if self.own_labels else self.labels.unsqueeze(-2).expand(self.logits.shape[:-1])

    @property
    def target_of_component(self) -> Tensor:
        """Soft labels, or the numbers of a regression, ``*M J B K``."""
        if self.own_labels:
            return self.labels
        return self.labels.unsqueeze(-3).expand(*self.logits.shape[:-1], self.labels.shape[-1])

    def of_label(self, values: Tensor) -> Tensor:
        """The entry of each example's label, or the mean over soft labels: ``*M J B K`` -> ``*M J B``."""
        if self.soft:
            return (self.target_of_component * values).sum(-1)
        if self.masked is not None:
            values = values.masked_fill(self.masked, -torch.inf)
        return values.gather(-1, self.label_of_component.unsqueeze(-1)).squeeze(-1)

    def expect_classes(self, loss: str) -> None:
        """Raise `BadInput` where the outputs are not those of one class for each example."""
        if self.task != "classes":
            raise BadInput(f"{loss}: reads one class for each example, got outputs of the task {self.task!r}")

    @property
    def coupled(self) -> Outputs:
        """The part of the batch that all components see, for losses between components.

        Raises:
            BadInput: components have their own examples and ``shared`` is None.
        """
        return self._once("_coupled", lambda: replace(self, **part) if (part := shared_part(self)) else self)

    def select(self, components: tuple[int, ...]) -> Outputs:
        """The outputs of some of the components, in this order.

        Raises:
            BadInput: an unknown component.
        """
        return replace(self, **parts_of_components(self, components))


def pairs(components: int) -> list[tuple[int, int]]:
    """All i < j.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(i, j) for i in range(components) for j in range(i + 1, components)]


def at_least_single(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 are unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def log_probs_of(logits: Tensor, task: Task, masked: Tensor | None = None) -> Tensor:
    """Log probabilities ``... K`` in at least float32: of classes (0 for masked ones), or ``... 2K`` of 0 and 1 for each label."""
    logits = at_least_single(logits)
    if task == "numbers":
        raise BadInput(
            "Outputs: the numbers of a regression have no probabilities; Agreement (skl, l1), Difference, Decorrelation, GramSchmidt, "
            "LogitL2 and Distillation take numbers"
        )
    if task == "multi-label":
        return torch.cat([nn.functional.logsigmoid(-logits), nn.functional.logsigmoid(logits)], dim=-1)
    if masked is None:
        return torch.log_softmax(logits, dim=-1)
    return _without(masked, torch.log_softmax(logits.masked_fill(masked, -torch.inf), dim=-1))


def _without(masked: Tensor | None, values: Tensor) -> Tensor:
    """Values with 0 in the places of masked classes."""
    return values if masked is None else values.masked_fill(masked, 0.0)


def probs_of(logits: Tensor, task: Task) -> Tensor:
    """Probabilities of classes, or of 0 and 1 for each label; of logits without masked classes."""
    return torch.softmax(logits, dim=-1) if task == "classes" else log_probs_of(logits, task).exp()


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a part over all processes; every process gets the same sum, and must ask for the same sums in the same order.

    The loss of each process is then the loss of the whole batch. The backward pass also sums over the W processes, which gives W times
    the derivative; DistributedDataParallel then takes the mean over W processes. The result is the gradient of one process with the
    whole batch.
    """

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        total = part.clone(memory_format=torch.contiguous_format)
        all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        all_reduce(total, group=ctx.group)
        return total, None
