"""The label loss with a little of the label's weight given to all classes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs


@dataclass(frozen=True)
class LabelSmoothing:
    r"""Cross entropy with targets (1 − ε)·label + ε·uniform: the mean over the batch, summed over components.

        L = Σ_j mean_b [(1 − ε)·(−log f_jb[y_b]) + ε·mean_k (−log f_jbk)]

    Args:
        smoothing: ε in [0, 1); 0 is the plain cross entropy.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, >= 0; its minimum is the entropy of the targets, not 0.
    Source: Szegedy et al. 2016, in the form of `torch.nn.functional.cross_entropy`: the label gets 1 − ε + ε/K. Ours: sum over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(LabelSmoothing(0.1)(out).item(), 4)
        0.2269
    """

    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise BadSpec(f"LabelSmoothing.smoothing: got {self.smoothing}, expected a number in [0, 1)")

    def __call__(self, out: Outputs) -> Tensor:
        of_label, of_all = out.of_label(out.log_probs), out.log_probs.mean(-1)
        return -out.mean((1 - self.smoothing) * of_label + self.smoothing * of_all).sum(-1)
