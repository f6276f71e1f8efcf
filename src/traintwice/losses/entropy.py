"""Minimum entropy: predictions are made more confident."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from traintwice.losses.outputs import Outputs


@dataclass(frozen=True)
class Entropy:
    r"""Entropy of the predictions: the mean over the batch, summed over components.

        H = Σ_j mean_b −Σ_k f_jbk log f_jbk

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in [0, J log K]; 0.05 reads: nearly all the probability lies on one class. Added
    with weight α it sharpens predictions (minimum entropy); with a negative weight it is the confidence penalty.

    Source: CH eq. (6), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), Entropy())``. Ours: sum over components.

    Example:
        >>> import torch
        >>> round(Entropy()(Outputs(torch.zeros(1, 4, 3), torch.tensor([0, 1, 2, 0]))).item(), 4)  # log 3
        1.0986
    """

    def __call__(self, out: Outputs) -> Tensor:
        return -(out.probs * out.log_probs).sum(-1).mean(-1).sum(-1)
