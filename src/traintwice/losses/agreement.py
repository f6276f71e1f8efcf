"""Co-distillation: components are pulled towards each other's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs, pairs


@dataclass(frozen=True)
class Agreement:
    r"""Distance between the predictions of the components, which pulls them together; the gradient flows into all of them.

    ``kind="skl"``:  mean_b KL(f_i ‖ f_j) + KL(f_j ‖ f_i) = mean_b Σ_k (f_ik − f_jk)(log f_ik − log f_jk)
    ``kind="l1"``:   mean_b ‖f_i − f_j‖₁
    ``kind="ce"``:   mean_b H(f_i, f_j) + H(f_j, f_i),  H(p, q) = −Σ_k p_k log q_k;  this is skl plus both entropies

    Joint or independent updates: with "skl" and "l1" it makes no difference. D(f_i, f_j) = D(f_j, f_i), so the gradient that
    component i gets from the joint sum, ∂D(f_i, f_j)/∂w_i, is the gradient of its own objective in which f_j is a constant; what an
    optimiser then does to w_i depends on w_i's gradient alone (or, with a shared optimiser, entry by entry). With "ce" it does, since
    component i also gets the gradient through the first place of H(f_i, f_j): `PeerCrossEntropy` is the independent form.

    Args:
        kind: see above.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats for "skl" and "ce", probability in [0, 2] for "l1". J = 1 gives 0.
    Source: CH eqs. (8) and (9), β is the weight of the term; "ce" is their appendix C with joint updates and no lag. Ours: with more than
    two components, 1/(J − 1) times the sum over unordered pairs.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(Agreement("l1")(out).item(), 4)
        0.4621
    """

    kind: Literal["skl", "l1", "ce"] = "skl"

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.kind not in ("skl", "l1", "ce"):
            raise BadSpec(f"Agreement.kind: got {self.kind!r}, expected 'skl', 'l1' or 'ce'")

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        probs, log_probs, components = out.probs, out.log_probs, out.components
        total = torch.zeros_like(log_probs[..., 0, 0, 0])
        for i, j in pairs(components):
            p, q, log_p, log_q = probs[..., i, :, :], probs[..., j, :, :], log_probs[..., i, :, :], log_probs[..., j, :, :]
            if self.kind == "l1":
                distance = (p - q).abs()
            elif self.kind == "skl":
                distance = (p - q) * (log_p - log_q)
            else:
                distance = -(p * log_q + q * log_p)
            total = total + out.mean(distance.sum(-1))
        return total / max(components - 1, 1)
