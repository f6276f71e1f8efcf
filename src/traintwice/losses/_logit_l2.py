"""Penalty on the size of the logits: the control for losses that reward small logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._outputs import Outputs
from traintwice.losses._probabilities import at_least_single


@dataclass(frozen=True)
@typed
class LogitL2:
    r"""Squared length of the logits: mean over the batch, sum over components.

        L = Σ_j mean_b Σ_k z_jbk²

    Shapes: logits ``*M J B K`` -> ``*M``. Units: squared logits, >= 0.
    Source: ours, as a control. Decorrelation of logits scales with their fourth power and so rewards small logits; this loss rewards small
    logits only. Sum over components and classes.

    Example:
        >>> import torch
        >>> LogitL2()(Outputs(torch.tensor([[[3.0, 4.0]]]), torch.tensor([0]))).item()
        25.0
    """

    def __call__(self, out: Outputs) -> Tensor:
        return out.mean(at_least_single(out.logits).square().sum(-1)).sum(-1)
