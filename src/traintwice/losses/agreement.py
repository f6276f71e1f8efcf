"""Co-distillation: components are pulled towards each other's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from traintwice.errors import BadSpec
from traintwice.losses.outputs import Outputs, pairs


@dataclass(frozen=True)
class Agreement:
    r"""Distance between the predictions of the components, which pulls them together.

    ``kind="skl"``, with the gradient into both:  mean_b KL(f_i ‖ f_j) + KL(f_j ‖ f_i) = mean_b Σ_k (f_ik − f_jk)(log f_ik − log f_jk)
    ``kind="l1"``:  mean_b ‖f_i − f_j‖₁

    Args:
        kind: see above.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats for "skl", probability in [0, 2] for "l1". J = 1 gives 0.
    Source: CH eqs. (8) and (9), β is the weight of the term. Ours: with more than two components, 1/(J − 1) times the sum over
    unordered pairs.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(Agreement("l1")(out).item(), 4)
        0.4621
    """

    kind: Literal["skl", "l1"] = "skl"

    def __post_init__(self) -> None:
        if self.kind not in ("skl", "l1"):
            raise BadSpec(f"Agreement.kind: got {self.kind!r}, expected 'skl' or 'l1'")

    def __call__(self, out: Outputs) -> Tensor:
        probs, log_probs, components = out.probs, out.log_probs, out.components
        total = torch.zeros_like(log_probs[..., 0, 0, 0])
        for i, j in pairs(components):
            difference = probs[..., i, :, :] - probs[..., j, :, :]
            of_logs = log_probs[..., i, :, :] - log_probs[..., j, :, :]
            distance = difference.abs() if self.kind == "l1" else difference * of_logs
            total = total + distance.sum(-1).mean(-1)
        return total / max(components - 1, 1)
