"""The input of every loss: logits of all components on one mini-batch, labels, and what some losses need in addition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributed import ProcessGroup, all_reduce

from traintwice.errors import BadInput


class _Sum(torch.autograd.Function):
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


def sum_over_processes(part: Tensor, group: ProcessGroup) -> Tensor:
    """The sum of a part over all processes; every process gets the same sum.

    The loss of each process is then the loss of the whole batch. The backward pass also sums over the W processes, which gives W times
    the derivative; DistributedDataParallel then takes the mean over W processes. The result is the gradient of one process with the
    whole batch.

    All processes must call this for the same sums in the same order.
    """
    return _Sum.apply(part, group)  # type: ignore[no-any-return, no-untyped-call]


T = TypeVar("T")


@dataclass(frozen=True)
class Outputs:
    """The outputs of the components of one replica (or of several at once) on one mini-batch.

    Args:
        logits: ``*M J B K``; the leading axes are never mixed. Binary networks of one logit have ``K = 1``, read as logits (0, z).
        labels: classes ``*M B`` shared by the components, or ``*M J B`` where each component has its own examples.
        peers: logits of older copies of all components on the same batch, ``*M J B K``; constants.
        teacher: logits of a trained model, ``*M B K``, or of several, ``*M T B K``; constants. For probabilities p pass log p (-inf
            where p is 0).
        gate: logits of the mixture weights of each example, ``*M B J``.
        signals: outputs of named sub-networks of every component, ``*M J B D`` each.
        shared: with labels ``*M J B``, the examples of the batch that all components see; losses that couple components read these
            examples only. ``slice(None)`` where all examples are shared.
        group: the processes that share the batch under DistributedDataParallel; means and gradients are then those of the whole batch.
    Raises:
        BadInput: shapes that do not match.
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

    def __post_init__(self) -> None:
        if self.logits.ndim < 3:
            raise BadInput(
                f"Outputs: got logits of shape {tuple(self.logits.shape)}, expected (..., components, batch, classes); a single "
                "network's logits become logits.unsqueeze(0)"
            )
        *leading, components, batch, classes = self.logits.shape
        self._check("labels", self.labels, (*leading, batch), (*leading, components, batch))
        self._check("peers", self.peers, (*leading, components, batch, classes))
        several = self.teacher.shape[-3] if self.teacher is not None and self.teacher.ndim == self.logits.ndim else 1
        self._check("teacher", self.teacher, (*leading, batch, classes), (*leading, several, batch, classes))
        self._check("gate", self.gate, (*leading, batch, components))
        for name, signal in (self.signals or {}).items():
            self._check(f"signal {name!r}", signal, (*leading, components, batch, signal.shape[-1]))
        if classes == 1:
            for name in ("logits", "peers", "teacher"):
                value = getattr(self, name)
                if value is not None:
                    object.__setattr__(self, name, torch.cat([torch.zeros_like(value), value], dim=-1))

    def _check(self, name: str, values: Tensor | None, *expected: tuple[int, ...]) -> None:
        if values is not None and tuple(values.shape) not in expected:
            raise BadInput(
                f"Outputs: got {name} of shape {tuple(values.shape)} for logits {tuple(self.logits.shape)}, expected "
                f"{' or '.join(dict.fromkeys(map(str, expected)))}"
            )

    def _once(self, name: str, make: Callable[[], T]) -> T:
        """A value that is computed once. (torch.compile cannot trace functools.cached_property, which holds a lock.)"""
        if name not in self.__dict__:
            object.__setattr__(self, name, make())
        return self.__dict__[name]  # type: ignore[no-any-return]

    @property
    def components(self) -> int:
        """J."""
        return self.logits.shape[-3]

    @property
    def log_probs(self) -> Tensor:
        """Log-softmax of the logits in at least float32, ``*M J B K``."""
        return self._once("_log_probs", lambda: torch.log_softmax(at_least_single(self.logits), dim=-1))

    @property
    def probs(self) -> Tensor:
        """Softmax of the logits, ``*M J B K``."""
        return self._once("_probs", lambda: self.log_probs.exp())

    @property
    def label_of_component(self) -> Tensor:
        """Labels ``*M J B``."""
        if self.labels.ndim == self.logits.ndim - 1:
            return self.labels
        return self.labels.unsqueeze(-2).expand(self.logits.shape[:-1])

    def of_label(self, values: Tensor) -> Tensor:
        """The entry of each example's label: ``*M J B K`` -> ``*M J B``."""
        return values.gather(-1, self.label_of_component.unsqueeze(-1)).squeeze(-1)

    @property
    def coupled(self) -> Outputs:
        """The part of the batch that all components see, for losses between components.

        Raises:
            BadInput: components have their own examples and ``shared`` is None.
        """
        return self._once("_coupled", self._coupled_part)

    def _coupled_part(self) -> Outputs:
        own = self.labels.ndim == self.logits.ndim - 1
        if self.shared is None:
            if own and self.components > 1:
                raise BadInput(
                    "Outputs: got labels per component and no `shared`; a loss between components needs the slice of the batch that "
                    "all components see (slice(None) where they see the same examples)"
                )
            return self

        def cut(values: Tensor) -> Tensor:
            return values[..., self.shared, :]

        labels = (self.labels[..., 0, :] if own else self.labels)[..., self.shared]
        if labels.shape[-1] == 0:
            raise BadInput(
                f"Outputs.shared: {self.shared} leaves none of {self.logits.shape[-2]} examples, expected at least one"
            )
        return replace(
            self,
            logits=cut(self.logits),
            labels=labels,
            peers=None if self.peers is None else cut(self.peers),
            teacher=None if self.teacher is None else cut(self.teacher),
            gate=None if self.gate is None else cut(self.gate),
            signals=None if self.signals is None else {name: cut(signal) for name, signal in self.signals.items()},
            shared=None,
        )

    def select(self, components: tuple[int, ...]) -> Outputs:
        """The outputs of some of the components, in this order.

        Raises:
            BadInput: an unknown component.
        """
        if not set(components) <= set(range(self.components)):
            raise BadInput(f"Outputs.select: got components {components} of {self.components}, counted from 0")
        which = list(components)
        return replace(
            self,
            logits=self.logits[..., which, :, :],
            labels=self.labels[..., which, :] if self.labels.ndim == self.logits.ndim - 1 else self.labels,
            peers=None if self.peers is None else self.peers[..., which, :, :],
            gate=None if self.gate is None else self.gate[..., which],
            signals=None if self.signals is None else {name: signal[..., which, :, :] for name, signal in self.signals.items()},
        )

    @property
    def examples(self) -> int | Tensor:
        """Number of examples in a mean over the batch: B, or the sum of B over the processes."""
        if self.group is None:
            return self.logits.shape[-2]
        group = self.group
        return self._once("_examples", lambda: sum_over_processes(self.log_probs.new_tensor(float(self.logits.shape[-2])), group))

    def total(self, part: Tensor) -> Tensor:
        """The sum over all processes of a sum over the examples of this process."""
        return part if self.group is None else sum_over_processes(part, self.group)

    def mean(self, values: Tensor, dim: int = -1) -> Tensor:
        """Mean over the batch, which is axis ``dim`` of ``values``."""
        return values.mean(dim) if self.group is None else self.total(values.sum(dim)) / self.examples


def at_least_single(values: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 are unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def pairs(components: int) -> list[tuple[int, int]]:
    """All i < j.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(i, j) for i in range(components) for j in range(i + 1, components)]
