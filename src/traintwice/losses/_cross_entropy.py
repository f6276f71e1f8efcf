"""The label loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._outputs import Outputs


@dataclass(frozen=True)
@typed
class CrossEntropy:
    r"""Negative log probability of the label: the mean over the batch, summed over components.

        L = Σ_j mean_b −log softmax(z_jb)[y_b]

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, >= 0; at 0.05 the label typically has probability 0.95.
    Each component is trained on its own output; no gradient passes through the average of the components.

    Source: the cross entropy of both papers. Ours: mean over the batch, sum over components.

    Example:
        >>> import torch
        >>> out = Outputs(torch.zeros(2, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> round(CrossEntropy()(out).item(), 4)  # 2 log 3
        2.1972
    """

    def __call__(self, out: Outputs) -> Tensor:
        return -out.mean(out.of_label(out.log_probs)).sum(-1)
