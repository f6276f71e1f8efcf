"""Anti-distillation with moments that are estimated over many mini-batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.decorrelation import Decorrelation, Matrix
from traintwice.losses.outputs import Outputs
from traintwice.losses.protocol import Memory, Need
from traintwice.losses.signals import Center, read_signal


@dataclass(frozen=True)
class RunningDecorrelation:
    r"""`Decorrelation` of a running estimate of its matrix, for small mini-batches.

        S_t = ρ S_{t−1} + (1 − ρ) C_t,   C̄_t = S_t / (1 − ρ^t),   L = ½(‖A‖²_F − ‖diag A‖²_F),   A = C_t + stopgrad(C̄_t − C_t)

    The value is that of C̄_t; the gradient flows through C_t with its full size, so that a weight means the same for every ρ.

    Args:
        rho: ρ in [0, 1), what is kept at each step; 0 is `Decorrelation`.
        matrix, signal, center, normalize: see `Decorrelation`.

    It has a memory, which the caller keeps: ``memory = loss.init(signal.shape)``, then ``value, memory = loss(out, memory)``.

    Shapes: logits ``*M J B K`` -> ``*M``; memory: moments ``*M K J J``, steps ``*M``. J = 1 gives 0. With gradient accumulation the memory
    advances at every micro-batch.

    Source: AD section 4, in words ("updated continuously over the batches"). Ours: the exponential mean, its bias correction, the stopped
    gradient.

    Example:
        >>> out = Outputs(torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]]), torch.tensor([0]))
        >>> loss = RunningDecorrelation(0.5)
        >>> first, memory = loss(out, loss.init(out.logits.shape))
        >>> second, memory = loss(Outputs(2 * out.logits, out.labels), memory)
        >>> first.item(), round(second.item(), 4)  # moments 2, then (1·2 + 2·8)/3
        (4.0, 36.0)
    """

    rho: float = 0.9
    matrix: Matrix = "second-moment"
    signal: str = "logits"
    center: Center = "none"
    normalize: bool = False

    couples: ClassVar[bool] = True
    per_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.rho < 1:
            raise BadSpec(f"RunningDecorrelation.rho: got {self.rho}, expected a number in [0, 1)")
        _ = self.plain

    @property
    def plain(self) -> Decorrelation:
        """The loss without memory."""
        return Decorrelation(self.matrix, self.signal, self.center, self.normalize)

    @property
    def needs(self) -> frozenset[Need]:
        """A sub-network's output, where it is named."""
        return self.plain.needs

    def signal_of(self, out: Outputs) -> Tensor:
        """The signal it reads, ``*M J B D``."""
        return read_signal(out, self.signal, "none")

    def init(self, shape: tuple[int, ...]) -> Memory:
        """Nothing seen yet, for a signal of shape ``*M J B D``."""
        *leading, components, _, entries = shape
        return {"moments": torch.zeros(*leading, entries, components, components), "steps": torch.zeros(leading)}

    def __call__(self, out: Outputs, memory: Memory) -> tuple[Tensor, Memory]:
        now = self.plain.moments(out)
        kept = memory["moments"].to(now)
        running = self.rho * kept + (1 - self.rho) * now.detach()
        steps = memory["steps"].to(now) + 1
        estimate = running / (1 - self.rho**steps)[..., None, None, None]
        value = self.plain.of_moments(now + (estimate - now.detach()))
        return value, {"moments": running, "steps": steps}

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """What its user may not expect."""
        return self.plain.cautions(components, classes)
