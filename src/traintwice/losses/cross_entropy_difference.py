"""Anti-distillation by the cross entropy between components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from traintwice.losses.difference import Form, check_form
from traintwice.losses.outputs import Outputs, pairs


@dataclass(frozen=True)
class CrossEntropyDifference:
    r"""Minus the mean cross entropy between components, or one over it.

        D = 1/(J² − J) Σ_i Σ_{j≠i} mean_b H(f_ib, f_jb),   H(p, q) = −Σ_k p_k log q_k

    ``form="negative"``:  L = −D
    ``form="inverse"``:   L = 1/(D + ε)

    Args:
        form: see above.
        epsilon: ε > 0 of the inverse form.

    Shapes: logits ``*M J B K`` -> ``*M``. Units: nats, <= 0, unbounded below; or one over nats. J = 1 gives 0. H grows with the components'
    own entropies too: it pushes them apart and flattens them.
    The inverse form is not the mean of its values on parts of a batch: with gradient accumulation the mean is the micro-batch's.

    Source: AD section 4, in words ("as well as cross entropy losses"). Ours: this form, with the factor of eq. (7); gradient into both.

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
        """A reciprocal of a mean is not a mean of reciprocals."""
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
        """What its user may not expect."""
        if self.form == "inverse":
            return ()
        return (
            "CrossEntropyDifference is unbounded below: components may run apart until a replica stops with a loss that is not finite; use "
            "form='inverse'",
        )
