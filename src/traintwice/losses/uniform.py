"""Distance from the uniform distribution: the other way to make predictions more confident."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.inputs import check_top_k, largest, top_k_cautions
from traintwice.losses.outputs import Outputs


@dataclass(frozen=True)
class SymmetricKLToUniform:
    r"""Minus the symmetric KL divergence between predictions and the uniform distribution: the mean over the batch, summed over components.

        L = −Σ_j mean_b SKL(f_jb, U),   SKL(f, U) = Σ_k (f_k − 1/K) log(K f_k)

    The sign is in the loss, so that it takes a positive weight and stands wherever `Entropy` does.

    Args:
        cap: count at most so much of SKL for each example, > 0; beyond it the example is confident enough and gives no gradient.
        top_k, renormalise: as in `Entropy`; renormalised, U is uniform over the k.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in (−inf, 0], at least −J·cap with a cap. −0.05 reads: nearly uniform.
    Without a cap it is unbounded below: it grows with the logits for ever.

    Source: CH eq. (7), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), SymmetricKLToUniform())``; top-k, CH
    section 4. Ours: ``cap``; sum over components; renormalised by default; k >= K is an error when called.

    Example:
        >>> import torch
        >>> out = Outputs(torch.tensor([[[2.0, 0.0]]]), torch.tensor([0]))
        >>> round(SymmetricKLToUniform()(out).item(), 4), SymmetricKLToUniform(cap=0.5)(out).item()
        (-0.7616, -0.5)
    """

    cap: float | None = None
    top_k: int | None = None
    renormalise: bool = True

    def __post_init__(self) -> None:
        check_top_k("SymmetricKLToUniform", self.top_k, self.renormalise)
        if self.cap is not None and not self.cap > 0:
            raise BadSpec(f"SymmetricKLToUniform.cap: got {self.cap}, expected a number of nats greater than 0")

    def __call__(self, out: Outputs) -> Tensor:
        log_probs, classes = largest("SymmetricKLToUniform", out, self.top_k, self.renormalise)
        distance = ((log_probs.exp() - 1 / classes) * (log_probs + log(classes))).sum(-1)
        return -out.mean(distance if self.cap is None else distance.clamp(max=self.cap)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """What its user may not expect."""
        unbounded = (
            "SymmetricKLToUniform: unbounded below, so logits may grow until a replica stops with a loss that is not finite; set a cap "
            "(in nats) or use Entropy"
        )
        return (*top_k_cautions("SymmetricKLToUniform", self.top_k, classes), *((unbounded,) if self.cap is None else ()))
