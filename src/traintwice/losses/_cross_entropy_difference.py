"""Anti-distillation by the cross entropy between components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice._typed import typed
from traintwice.losses._difference import Form, check_form
from traintwice.losses._outputs import Outputs, pairs


@dataclass(frozen=True)
@typed
class CrossEntropyDifference:
    r"""Minus the mean cross entropy between components, or its reciprocal.

        D = 1/(J² − J) Σ_i Σ_{j≠i} mean_b H(f_ib, f_jb),   H(p, q) = −Σ_k p_k log q_k

    ``form="negative"``:  L = −D
    ``form="inverse"``:   L = 1/(D + ε)

    Args:
        form: the negative mean, or its reciprocal.
        epsilon: ε > 0 of the inverse form.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, <= 0, unbounded below; or one over nats. J = 1 gives 0. H also grows with
    the entropies of the components: the loss pushes components apart and flattens their predictions.
    The inverse form differs from the mean of its values on parts of a batch: with gradient accumulation, D is that of a micro-batch.

    Source: AD section 4, in words ("as well as cross entropy losses"). Ours: this formula, with the factor of eq. (7); gradient into both.

    Example:
        >>> out = Outputs(torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([0]))
        >>> round(CrossEntropyDifference()(out).item(), 4)
        -0.7532
    """

    form: Form = "negative"
    epsilon: float = 1e-3

    couples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_form("CrossEntropyDifference", self.form, self.epsilon)

    @property
    def per_batch(self) -> bool:
        """True for the inverse form: the reciprocal of a mean differs from the mean of reciprocals."""
        return self.form == "inverse"

    def __call__(self, out: Outputs) -> Tensor:
        out = out.coupled
        value = torch.zeros_like(out.log_probs[..., 0, 0, 0])
        if out.components == 1:
            return value
        for i, j in pairs(out.components):
            p, q, log_p, log_q = (x[..., k, :, :] for x in (out.probs, out.log_probs) for k in (i, j))
            value = value - out.mean((p * log_q + q * log_p).sum(-1))
        value = value / (out.components**2 - out.components)
        return -value if self.form == "negative" else 1 / (value + self.epsilon)

    def cautions(self, components: int, classes: int | None) -> tuple[str, ...]:
        """Warnings for the user."""
        if self.form == "inverse":
            return ()
        return (
            "CrossEntropyDifference is unbounded below: components may move apart until the loss is not finite; use form='inverse'",
        )
