"""Distance from the uniform distribution: a larger distance means more confident predictions."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from torch import Tensor

from traintwice._typed import typed
from traintwice.errors import BadSpec
from traintwice.losses._inputs import check_top_k, largest, top_k_cautions
from traintwice.losses._outputs import Outputs


@dataclass(frozen=True)
@typed
class SymmetricKLToUniform:
    r"""Minus the symmetric KL divergence between predictions and the uniform distribution: mean over the batch, sum over components.

        L = −Σ_j mean_b SKL(f_jb, U),   SKL(f, U) = Σ_k (f_k − 1/K) log(K f_k)

    The loss includes the minus sign, so it takes a positive weight, like `Entropy`.

    Args:
        cap: largest SKL of an example, > 0; above the cap the example has no gradient. None sets no cap.
        top_k, renormalise: as in `Entropy`; if renormalised, U is uniform over the k classes.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, in (−inf, 0], at least −J·cap with a cap. At −0.05 predictions are nearly uniform.
    Without a cap the loss is unbounded below: it falls as the logits grow.

    Source: CH eq. (7), whose α blends it with the cross entropy: ``blend(alpha, CrossEntropy(), SymmetricKLToUniform())``; top-k, CH
    section 4. Ours: ``cap``; sum over components; renormalised by default; k >= K raises an error when called.

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
        out.expect_classes("SymmetricKLToUniform")
        log_probs, classes = largest("SymmetricKLToUniform", out, self.top_k, self.renormalise)
        if isinstance(classes, int):
            parts = (log_probs.exp() - 1 / classes) * (log_probs + log(classes))
        else:
            classes = classes.unsqueeze(-1)
            parts = (log_probs.exp() - 1 / classes) * (log_probs + classes.log())
        distance = (parts if out.masked is None or self.top_k is not None else parts.masked_fill(out.masked, 0.0)).sum(-1)
        return -out.mean(distance if self.cap is None else distance.clamp(max=self.cap)).sum(-1)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        unbounded = (
            "SymmetricKLToUniform is unbounded below: logits may grow until the loss is not finite; set a cap (in nats), "
            "or use Entropy"
        )
        return (*top_k_cautions("SymmetricKLToUniform", self.top_k, classes), *((unbounded,) if self.cap is None else ()))
