"""Entropy of the predictions: a lower entropy means more confident predictions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._inputs import check_top_k, largest, top_k_cautions
from traintwice.losses._outputs import Outputs


@dataclass(frozen=True)
@typed
class Entropy:
    r"""Entropy of the predictions: the mean over the batch, summed over components.

        H = Σ_j mean_b −Σ_k f_jbk log f_jbk

    Args:
        top_k: sum over the k largest predictions of each example only, 1 < k < K; None sums over all.
        renormalise: divide those k by their sum first; False is the literal partial sum.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in [0, J log K]; at 0.05 one class has nearly all the probability. A positive
    weight makes predictions more confident (minimum entropy); a negative weight is the confidence penalty.

    Source: CH eq. (6), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), Entropy())``; top-k, CH section 4.
    Ours: sum over components; renormalised by default, so that the value is an entropy; k >= K raises an error when called.

    Example:
        >>> import torch
        >>> out = Outputs(torch.zeros(1, 4, 3), torch.tensor([0, 1, 2, 0]))
        >>> round(Entropy()(out).item(), 4), round(Entropy(top_k=2)(out).item(), 4)  # log 3, log 2
        (1.0986, 0.6931)
    """

    top_k: int | None = None
    renormalise: bool = True

    def __post_init__(self) -> None:
        check_top_k("Entropy", self.top_k, self.renormalise)

    def __call__(self, out: Outputs) -> Tensor:
        log_probs, _ = largest("Entropy", out, self.top_k, self.renormalise)
        probs = out.probs if self.top_k is None else log_probs.exp()
        return -out.mean((probs * log_probs).sum(-1)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        return top_k_cautions("Entropy", self.top_k, classes)
