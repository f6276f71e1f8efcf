"""Cross entropy with smoothed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._inputs import mean_over_classes
from traintwice.losses._loss import ScheduledLoss, ends
from traintwice.losses._outputs import Outputs
from traintwice.schedules import Weight


@dataclass(frozen=True)
@typed
class LabelSmoothing(ScheduledLoss):
    r"""Cross entropy with targets (1 − ε)·label + ε·uniform: mean over the batch, sum over components.

        L = Σ_j mean_b [(1 − ε)·(−log f_jb[y_b]) + ε·mean_k (−log f_jbk)]

    Args:
        smoothing: ε in [0, 1), or a schedule; 0 is the plain cross entropy.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, at least the entropy of the targets.
    Source: Szegedy et al. 2016, in the form of `torch.nn.functional.cross_entropy`: the target of the label is 1 − ε + ε/K. Ours: sum
    over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(LabelSmoothing(0.1)(out).item(), 4)
        0.2269
    """

    smoothing: Weight = 0.1

    weights: ClassVar[tuple[str, ...]] = ("smoothing",)

    def __post_init__(self) -> None:
        if not all(0 <= value < 1 for value in ends(self.smoothing)):
            raise BadSpec(f"LabelSmoothing.smoothing: got {self.smoothing}, expected a number in [0, 1)")

    def __call__(self, out: Outputs) -> Tensor:
        smoothing = self.number("smoothing")
        out.expect_classes("LabelSmoothing")
        of_label, of_all = out.of_label(out.log_probs), mean_over_classes(out, out.log_probs)
        return -out.mean((1 - smoothing) * of_label + smoothing * of_all).sum(-1)
